// Controller: folds the metadata log and carries its decisions out on this broker; on the leader of
// that log it also takes the decisions.
#ifndef VARVE_SERVER_METADATA_CONTROLLER_H_
#define VARVE_SERVER_METADATA_CONTROLLER_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "common/random.h"
#include "server/metadata/metadata_fold.h"
#include "server/partition/partition_host.h"

namespace varve::server {

struct ControllerOptions {
  ReplicaId self;  // this broker's replica of the metadata log
  ClusterId cluster;
  DirectoryId directory;
  BrokerInfo addresses;                // of this broker's doors; the other fields are not looked at
  Nanos flush_interval = 5 * kSecond;  // of the fold, when it changed
};

// Confined to the metadata partition's shard. A decision is a record batch of the metadata
// partition; it takes effect when the fold applies it, on every broker alike: only then are logs
// created or removed and the caller answered. Only the leader of the metadata log decides, after it
// has folded all that was committed before it led; elsewhere requests get NOT_LEADER. Data is
// removed only for a RemovedGroupValue that names this replica.
class Controller {
 public:
  using TopicDone = absl::AnyInvocable<void(absl::StatusOr<TopicRef>)>;
  using Done = absl::AnyInvocable<void(absl::Status)>;

  // All must outlive the controller; `flusher` may block.
  Controller(ControllerOptions options, PartitionHost& host, Partition& metadata,
             storage::StateStore& store, Catalogue& catalogue, ClusterView& view, Random& random,
             const Clock& clock, Executor& flusher);
  ~Controller();

  // Catches the fold up, opens what this broker hosts, founds the cluster if the log has none; then
  // `ready`: as sole voter when everything here is led, else when this broker is known to the fold.
  void Start(Done ready);
  // Called when the brokers that the fold knows have changed.
  void SetBrokersListener(Task listener) { brokers_listener_ = std::move(listener); }

  // Records the broker, or its new addresses; answered with its replica of the metadata log.
  // NOT_LEADER; FOREIGN_DIRECTORY when a live broker has the node id with another directory.
  using JoinDone = absl::AnyInvocable<void(absl::StatusOr<ReplicaEpoch>)>;
  void Join(BrokerInfo broker, JoinDone done);

  // Answered when every partition of the new topic serves. Errors: INVALID_TOPIC_NAME,
  // TOPIC_EXISTS, INVALID_PARTITIONS, INVALID_REPLICATION, INVALID_CONFIG, OVERLOADED, and those of
  // Append.
  void CreateTopic(CreateTopicRequest request, TopicDone done);
  // Answered when the fold has the new settings and this broker's partitions act by them.
  // UNKNOWN_TOPIC, INVALID_CONFIG; OVERLOADED while another change of the topic is under way.
  void AlterTopic(AlterTopicRequest request, TopicDone done);
  // Answered when the topic is gone from the catalogue. UNKNOWN_TOPIC when it is not there.
  void DeleteTopic(DeleteTopicRequest request, Done done);

  // Writes the fold to disk and stops; nothing may be asked afterwards.
  void Stop();
  [[nodiscard]] storage::FoldPosition fold_position() const { return fold_.position(); }

 private:
  absl::Status CheckFold();
  // Why nothing can be decided here now, if so.
  [[nodiscard]] absl::Status CheckDeciding() const;
  [[nodiscard]] bool alone() const;
  [[nodiscard]] bool registered() const;
  [[nodiscard]] bool up_to_date() const;
  void BeginToDecide();
  void AnswerWhenLed(TopicRef topic, Index decided, size_t led, int attempts, TopicDone done);
  // controller_brokers.cc
  // The live ones if those are enough for so many replicas, else all; by node.
  [[nodiscard]] std::vector<NodeId> BrokersForReplicas(size_t wanted) const;
  [[nodiscard]] ReplicaEpoch EpochOf(NodeId node) const;
  void RegisterSelf();
  void ArmMembership();
  void ReviewMembership();
  void ResolveJoins();
  void Pump();
  void ApplyRun(std::vector<Entry> entries);
  void Act(const MetadataChanges& changes);
  void AfterCatchUp();
  void FoundCluster();
  void PlaceTopic(const TopicRef& topic, Done done);
  void RemoveGroups(const std::map<GroupId, std::vector<ReplicaId>>& groups);
  void ForgetRemoval(GroupId group);
  void Propose(std::vector<EntityChange> changes, Done done);
  void ArmFlush();
  absl::Status CheckCreate(CreateTopicRequest* request) const;
  std::vector<EntityChange> CreateChanges(const CreateTopicRequest& request, TopicId id,
                                          WallTime now);
  EntityChange ClusterChange(GroupId next_group) const;
  void ResolveDeletes();

  const ControllerOptions options_;
  PartitionHost& host_;
  Partition& metadata_;
  storage::StateStore& store_;
  Catalogue& catalogue_;
  ClusterView& view_;
  Random& random_;
  const Clock& clock_;
  Executor& flusher_;
  MetadataFold fold_;

  bool pumping_ = false;
  bool caught_up_ = false;
  bool placed_ = false;     // what the fold had at start is open
  MonoTime patience_ends_;  // then it is ready without a controller
  bool stopped_ = false;
  absl::Status failure_;  // of the fold; final
  Term deciding_in_;      // term in which everything before was folded; 0: none
  Task brokers_listener_;
  std::multimap<NodeId, std::pair<BrokerInfo, JoinDone>> joins_;
  TimerId membership_timer_;
  Done ready_;
  TimerId flush_timer_;
  GroupId next_group_;  // above every id given away, decisions under way included
  std::map<std::string, uint32_t> creating_;  // names under way, with their partitions
  std::map<TopicId, TopicDone> creates_;
  std::multimap<TopicId, Done> deletes_;
  std::map<TopicId, TopicDone> alters_;
  std::set<TopicId>
      deleting_;  // decided or about to be: nothing may be written about them any more
  std::shared_ptr<Controller*> self_;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_METADATA_CONTROLLER_H_
