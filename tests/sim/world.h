// World: what the simulated clients share: the broker's door, the oracle, and
// the books of requests.
#ifndef VARVE_TESTS_SIM_WORLD_H_
#define VARVE_TESTS_SIM_WORLD_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "common/record_batch_builder.h"
#include "common/sim/sim_scheduler.h"
#include "server/service/broker_service.h"
#include "tests/sim/oracle.h"
#include "tests/sim/sim_options.h"

namespace varve::sim {

// A partition that a client works with.
struct Target {
  std::string topic;
  PartitionId partition;
  auto operator<=>(const Target&) const = default;
};

class World {
 public:
  World(SimScheduler& scheduler, const SimOptions& options, Oracle& oracle);

  SimScheduler& scheduler;
  const SimOptions& options;
  Oracle& oracle;
  const std::unique_ptr<Random> random;
  const std::unique_ptr<Executor> executor;  // on which clients act
  server::BrokerService* service = nullptr;  // null while the broker is down
  uint64_t operations = 0;                   // requests, messages of sessions, and their answers

  // Something that a client did or was told: counted, and part of the hash.
  void Note(std::string_view what, uint64_t detail);

  // Wraps a reply: exactly one, by the deadline. `use` returns what goes into
  // the hash.
  template <class T, class Use>
  server::Reply<T> Expect(std::string_view what, uint64_t detail,
                          const server::RequestContext& context, Use use) {
    const uint64_t request = Asked(what, detail, context.deadline);
    return [this, request, use = std::move(use)](absl::StatusOr<T> answer) mutable {
      if (!Answered(request, answer.status())) return;
      Note("answer", use(std::move(answer)));
    };
  }
  server::RequestContext Context(Nanos patience);
  [[nodiscard]] size_t under_way() const { return requests_.size(); }
  // What requests are under way, for messages.
  [[nodiscard]] std::string UnderWay() const;
  // A crash: nobody waits any more.
  void DropRequests() { requests_.clear(); }

  // A topic that was acknowledged and not deleted; nullopt when there is none.
  std::optional<std::string> AnyTopic();
  std::optional<Target> AnyTarget();
  [[nodiscard]] KnownTopic::State StateOf(const std::string& topic) const;

  // A batch drawn and entered into the oracle's books; `bytes` are what a
  // client sends.
  struct NewBatch {
    BatchNumber number = 0;
    std::string bytes;
  };
  NewBatch MakeBatch(uint32_t client, uint64_t lane, const Target& target);
  // Damages it so that no broker may take it.
  void Damage(NewBatch* batch);
  uint32_t DrawValueBytes();
  uint32_t DrawRecords();
  uint64_t NextLane() { return ++last_lane_; }

 private:
  uint64_t Asked(std::string_view what, uint64_t detail, MonoTime deadline);
  bool Answered(uint64_t request, const absl::Status& status);

  struct Request {
    std::string what;
    MonoTime deadline;
  };
  std::map<uint64_t, Request> requests_;
  uint64_t last_request_ = 0;
  uint64_t last_lane_ = 0;
};

}  // namespace varve::sim

#endif  // VARVE_TESTS_SIM_WORLD_H_
