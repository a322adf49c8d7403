// ReplicaMover: sees to it that every partition gets its replicas back where they should be.
#ifndef VARVE_SERVER_METADATA_REPLICA_MOVER_H_
#define VARVE_SERVER_METADATA_REPLICA_MOVER_H_

#include <functional>
#include <map>
#include <set>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "common/clock.h"
#include "server/metadata/metadata_fold.h"
#include "server/metadata/placement.h"

namespace varve::server {

// The controller's part that moves replicas. Confined to the metadata partition's shard; what it
// is called for happens only while this broker decides.
//
// It sets goals in the metadata and never touches a group: the leader of each group brings it
// there and reports. A partition that is being moved keeps the list of replicas that leave; they
// are told to remove their data in the same decision that records that the goal is reached.
class ReplicaMover {
 public:
  using Done = absl::AnyInvocable<void(absl::Status)>;
  // Decides; OK when the fold has it.
  using Propose = std::function<void(std::vector<EntityChange>, Done)>;

  ReplicaMover(const MetadataFold& fold, const Catalogue& catalogue, const ClusterView& view,
               const Clock& clock, Propose propose);
  ~ReplicaMover();

  // A new leadership: nothing is under way.
  void Begin();
  // Something happened that may call for a move. Looks at all partitions at the next Review.
  void LookAgain() { look_ = true; }
  // Decides what is to be moved, a bounded number of partitions at a time; called now and then.
  // Leaves alone topics for which `busy` is true.
  void Review(const std::function<bool(TopicId)>& busy);
  // Whether a change of the topic's placements is proposed and not yet folded: nobody else may
  // write about the topic then.
  [[nodiscard]] bool IsChanging(TopicId topic) const { return changing_.contains(topic); }

  // Answered when what follows from the reports is decided, or nothing follows; OVERLOADED while
  // other changes are under way.
  void TakeReports(const std::vector<ReplicaReport>& reports,
                   const std::function<bool(TopicId)>& busy, Done done);
  // Brokers as a choice looks at them.
  [[nodiscard]] Brokers LookAtBrokers() const;

 private:
  [[nodiscard]] bool CanLose(GroupId group, ReplicaId replica) const;
  void ReviewBrokers(const Brokers& brokers, const std::set<NodeId>& holding);
  void ForgetRemovalsOfTheGone();
  void ProposeFor(const std::set<TopicId>& topics, std::vector<EntityChange> changes, Done done);
  // Replicas whose data is to go, of groups about which something was reported.
  using Removed = std::map<GroupId, std::vector<ReplicaId>>;
  std::vector<ReplicaId>& RemovedOf(GroupId group, Removed* removed) const;
  void OnGoalReached(const ReplicaReport& report, std::vector<EntityChange>* changes,
                     std::set<TopicId>* topics, Removed* removed) const;
  void OnRemoved(const ReplicaReport& report, Removed* removed) const;

  const MetadataFold& fold_;
  const Catalogue& catalogue_;
  const ClusterView& view_;
  const Clock& clock_;
  const Propose propose_;
  bool look_ = true;
  MonoTime next_look_;
  std::set<TopicId> changing_;
  bool reporting_ = false;  // a proposal that follows from reports is under way
  SuspectReplicas suspects_;
  std::set<NodeId> departing_;  // proposed to be gone
  std::shared_ptr<ReplicaMover*> self_;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_METADATA_REPLICA_MOVER_H_
