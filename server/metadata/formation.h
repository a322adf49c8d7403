// Formation: how a broker whose directory is new comes into a cluster: founds it, or joins it.
#ifndef VARVE_SERVER_METADATA_FORMATION_H_
#define VARVE_SERVER_METADATA_FORMATION_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/executor.h"
#include "server/service/peer_service.h"

namespace varve::server {

struct SeedNode {
  NodeId node;
  std::string address;  // of its door for other brokers
  bool operator==(const SeedNode&) const = default;
};

// "1@host:9641, 2@host:9641": INVALID_CONFIG unless each node is named once.
absl::StatusOr<std::vector<SeedNode>> ParseSeeds(std::string_view text);
// The seeds as brokers to connect to, until the metadata names those that there are. Also for a
// directory that is in its cluster: its process may have died before it heard of any of it.
std::vector<BrokerInfo> BrokersOf(const std::vector<SeedNode>& seeds);
// Each node once; what `newer` says of it counts.
std::vector<BrokerInfo> MergedBrokers(std::vector<BrokerInfo> known,
                                      const std::vector<BrokerInfo>& newer);

// Whether a directory of the cluster `ours` may start among these brokers: FOREIGN_CLUSTER when one
// of them belongs to another cluster and none to ours. OK also when nobody answers in time: then
// nothing shows it, and their connections are refused later. `done` runs on `home`, which must not
// be the caller's; the client must outlive that.
void CheckSeeds(const std::vector<SeedNode>& seeds, NodeId self, ClusterId ours, PeerClient& client,
                Executor& home, Nanos timeout, absl::AnyInvocable<void(absl::Status)> done);

struct FormationOptions {
  BrokerInfo self;  // with the id that its directory has or will get
  std::vector<SeedNode> seeds;
  ClusterId cluster;            // empty: any
  bool directory_empty = true;  // told to who asks
  Nanos ask_timeout = 2 * kSecond;
  Nanos join_timeout = 10 * kSecond;
  Nanos retry = 200 * kMillisecond;
  // So long a refusal of this directory is asked for again: its node may have died just now.
  Nanos foreign_patience = 2 * kSecond;
};

struct Formed {
  bool founds = false;
  ClusterId cluster;  // of a cluster that was joined
  ReplicaEpoch metadata_epoch{1};
  std::vector<BrokerInfo> known;  // those in the cluster, and the seeds
  uint64_t recovery_number = 0;   // of the cluster
};

// DESIGN section 6: without seeds a node founds a cluster by itself. With seeds only the first of
// them founds one, and only after every other has answered that it is empty; when one knows a
// cluster, the node joins that. It asks until one of both holds: nodes start in any order.
//
// Confined to `home`, where `done` runs, once, unless it is destroyed before. Answers Hello
// meanwhile, thread-safe.
class Formation final : public PeerService {
 public:
  using Done = absl::AnyInvocable<void(absl::StatusOr<Formed>)>;
  // Called with what it waits for, when that changes.
  using Progress = absl::AnyInvocable<void(const std::string&)>;

  Formation(FormationOptions options, PeerClient& client, Executor& home, const Clock& clock);
  ~Formation() override;

  void Run(Progress progress, Done done);

  void Hello(HelloRequest request, Reply<HelloReply> reply) override;
  // STARTING: nobody decides here yet.
  void Join(JoinRequest request, Reply<JoinReply> reply) override;
  void Report(ReportRequest request, Reply<ReportReply> reply) override;
  void Transfer(TransferRequest request, Reply<TransferReply> reply) override;

 private:
  template <class Answer>
  void Refuse(Reply<Answer> reply) {
    home_.Post([reply = std::move(reply)]() mutable {
      reply(MakeError(Reason::STARTING, "this broker is not in a cluster yet"));
    });
  }
  void Ask();
  void OnAnswer(uint64_t round, NodeId node, absl::StatusOr<HelloReply> answer);
  void Judge();
  void JoinThrough(std::string address, int redirects);
  void OnJoined(absl::StatusOr<JoinReply> reply, int redirects);
  void Again(std::string waiting_for);

  const FormationOptions options_;
  PeerClient& client_;
  Executor& home_;
  const Clock& clock_;
  Progress progress_;
  Done done_;
  uint64_t round_ = 0;
  size_t missing_ = 0;
  std::map<NodeId, absl::StatusOr<HelloReply>> answers_;
  std::string waiting_for_;
  std::optional<MonoTime> foreign_since_;  // refused as another directory's node
  std::shared_ptr<Formation*> self_;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_METADATA_FORMATION_H_
