// World: a simulated cluster, the clients that work with it, and the books they share.
#ifndef VARVE_TESTS_SIM_CLUSTER_WORLD_H_
#define VARVE_TESTS_SIM_CLUSTER_WORLD_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/error.h"
#include "tests/sim/cluster/options.h"
#include "tests/sim/cluster/oracle.h"

namespace varve::clustersim {

struct KnownTopic {
  enum class State : uint8_t { kWanted, kExists, kUnwanted, kGone };
  State state = State::kWanted;
  uint32_t partitions = 0;
};

// Driven from outside events. Brokers crash through Crash only, so that clients notice.
class World {
 public:
  explicit World(const ClusterOptions& options);
  ~World();

  const ClusterOptions options;
  server::SimCluster cluster;
  Oracle oracle;
  const std::unique_ptr<Random> random;
  std::unique_ptr<Executor> executor;  // on which clients act
  std::map<std::string, KnownTopic> topics;
  std::map<Place, MonoTime> acknowledged_at;  // the last write
  // Several brokers vote on metadata: before, the disk of the only one must not be lost.
  bool formed = false;
  uint64_t operations = 0;
  uint64_t moves = 0;  // that were decided

  // Something that a client did or was told: part of the hash.
  void Note(std::string_view what, uint64_t detail) { cluster.scheduler.Trace(what, detail); }
  [[nodiscard]] MonoTime Now() const { return cluster.scheduler.Now(); }
  [[nodiscard]] bool Serves(size_t node) { return cluster.node(node).ready(); }
  void Crash(size_t node, bool power_loss);

  // A place of a topic that exists; nullopt when there is none.
  std::optional<Place> AnyPlace();
  std::vector<Place> Places() const;
  void WantTopic();

  // The broker to ask about a place, or for "" the controller; by what was heard last.
  size_t Route(const std::string& what);
  void Learn(const std::string& what, size_t asked, const absl::Status& status);
  static std::string RouteOf(const Place& place) {
    return StrCat(place.topic, "/", place.partition);
  }

  // `use` is called exactly once, on the clients' executor: with the answer, or with
  // OUTCOME_UNKNOWN when the broker died or nothing came in time.
  template <class Answer, class Request>
  void Call(size_t node,
            void (server::BrokerService::*method)(server::RequestContext, Request,
                                                  server::Reply<Answer>),
            Request request, std::function<void(absl::StatusOr<Answer>)> use) {
    ++operations;
    const uint64_t id = ++last_request_;
    requests_[id] = {node, [use](const absl::Status& lost) { use(lost); }};
    executor->RunAt(Now() + kPatience + kSecond, [this, id] { Lose(id); });
    server::RequestContext context = cluster.Context(kPatience);
    (cluster.node(node).broker().service().*method)(
        std::move(context), std::move(request),
        [this, id, use = std::move(use)](absl::StatusOr<Answer> answer) mutable {
          executor->RunAt(Now() + kReplyDelay,
                          [this, id, use = std::move(use), answer = std::move(answer)]() mutable {
                            if (requests_.erase(id) > 0) use(std::move(answer));
                          });
        });
  }
  [[nodiscard]] size_t under_way() const { return requests_.size(); }

  // Clients act, each in its own time, until Rest; then what is under way ends, and topics become
  // what is wanted of them.
  void Work();
  void Rest() { working_ = false; }
  // Within one event of the broker that answered: what it let somebody read must be committed.
  void CheckCommitted(size_t node, const Place& place, Offset end);

 private:
  static constexpr Nanos kPatience = 3 * kSecond;
  static constexpr Nanos kReplyDelay = 100 * kMicrosecond;
  struct Request {
    size_t node;
    std::function<void(const absl::Status&)> lose;
  };
  struct Reader {
    std::map<Place, Offset> next;
    bool waits = false;
  };
  void Lose(uint64_t id);
  void Arm(bool tends, std::function<void()> act);
  // clients.cc
  void Write(uint32_t writer);
  void Produce(const Place& place);
  void Trim(const Place& place);
  void Read(Reader& reader);
  void TakeRead(Reader& reader, const Place& place, size_t node, const server::FetchResult& result);
  void TendTopics();
  // moves.cc
  void Operate(const Place& place);
  std::vector<NodeId> AnyNodes(size_t count);
  void Move(const Place& place);
  void Transfer(const Place& place);
  void AddPartition(const std::string& topic);

  std::map<uint64_t, Request> requests_;
  uint64_t last_request_ = 0;
  std::map<std::string, size_t> routes_;
  std::vector<std::unique_ptr<Reader>> readers_;
  std::map<Place, uint32_t> producing_;
  uint32_t topics_made_ = 0;
  bool tending_ = false;
  bool working_ = false;
  bool armed_ = false;
};

}  // namespace varve::clustersim

#endif  // VARVE_TESTS_SIM_CLUSTER_WORLD_H_
