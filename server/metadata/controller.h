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
#include "server/metadata/leader_balance.h"
#include "server/metadata/metadata_fold.h"
#include "server/metadata/replica_mover.h"
#include "server/partition/partition_host.h"

namespace varve::server {

struct ControllerOptions {
  ReplicaId self;  // this broker's replica of the metadata log
  ClusterId cluster;
  DirectoryId directory;
  BrokerInfo addresses;                // of this broker's doors; the other fields are not looked at
  ReplicaReports* reports = nullptr;   // takes what this broker tells the controller
  LeaderBalancer::Transfer transfer;   // to another broker
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

  // What brokers tell of their replicas; answered when what follows is decided.
  void TakeReports(const std::vector<ReplicaReport>& reports, Done done);
  // Moves all replicas of a broker to others (to `replacement`, where that is not empty), or calls
  // that off. Answered when it is recorded. UNKNOWN_BROKER; INVALID_REPLICATION when too few
  // brokers would stay for some topic.
  void SetBrokerDuty(SetBrokerDutyRequest request, Done done);
  // Moves the replicas of one partition to other brokers; answered when it is recorded.
  // UNKNOWN_TOPIC, UNKNOWN_PARTITION, UNKNOWN_BROKER, INVALID_REPLICATION.
  void MovePartition(MovePartitionRequest request, Done done);

  // Answered when every partition of the new topic serves. Errors: INVALID_TOPIC_NAME,
  // TOPIC_EXISTS, INVALID_PARTITIONS, INVALID_REPLICATION, INVALID_CONFIG, OVERLOADED, and those of
  // Append.
  void CreateTopic(CreateTopicRequest request, TopicDone done);
  // Answered when the fold has the new settings and this broker's partitions act by them.
  // UNKNOWN_TOPIC, INVALID_CONFIG; OVERLOADED while another change of the topic is under way.
  void AlterTopic(AlterTopicRequest request, TopicDone done);
  // Answered when every new partition serves. UNKNOWN_TOPIC, INVALID_PARTITIONS unless there are to
  // be more than now; OVERLOADED as above.
  void AddPartitions(AddPartitionsRequest request, TopicDone done);
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
  absl::Status CheckEnoughStay(const Brokers& brokers) const;
  void Pump();
  void ApplyRun(std::vector<Entry> entries);
  void Act(const MetadataChanges& changes);
  void AfterCatchUp();
  void FoundCluster();
  void PlaceTopic(const TopicRef& topic, Done done);
  void RemoveGroups(const std::map<GroupId, std::vector<ReplicaId>>& groups);
  void Propose(std::vector<EntityChange> changes, Done done);
  // The same; OK when the fold has applied it.
  void ProposeAndFold(std::vector<EntityChange> changes, Done done);
  void ResolveFolded();
  // Whether nobody may write about the topic's partitions now.
  [[nodiscard]] bool IsBusy(TopicId topic) const;
  [[nodiscard]] Placement PlacementHere(const TopicEntry& topic, const PartitionPlacement& p,
                                        const PlacedReplica& mine) const;
  void ArmFlush();
  // Those under way included.
  [[nodiscard]] uint64_t PartitionsInAll() const;
  absl::Status CheckCreate(CreateTopicRequest* request) const;
  std::vector<EntityChange> CreateChanges(const CreateTopicRequest& request, TopicId id,
                                          WallTime now);
  // Appends partitions to the topic until it has so many, and the changes that record them.
  void AddNewPartitions(size_t count, WallTime now, TopicEntry* topic,
                        std::vector<EntityChange>* changes);
  // The topic of that name and id, if it may be changed now. UNKNOWN_TOPIC, OVERLOADED.
  absl::StatusOr<TopicRef> FindToChange(const std::string& name,
                                        const std::optional<TopicId>& id) const;
  // Changes the topic's replicas to so many on each partition, in the topic and in `changes`.
  absl::Status ChangeReplication(uint32_t replicas, TopicEntry* topic,
                                 std::vector<EntityChange>* changes);
  void ProposeAlteration(TopicId id, std::vector<EntityChange> changes, TopicDone done);
  EntityChange ClusterChange(GroupId next_group) const;
  void ResolveDeletes();

  // How long a new topic is waited for until it has leaders: so many times.
  static constexpr Nanos kLedInterval = 5 * kMillisecond;
  static constexpr int kLedAttempts = 1'000;

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
  std::unique_ptr<ReplicaMover> mover_;
  LeaderBalancer balancer_;
  std::multimap<Index, Done> folded_;  // waits until the fold has applied so much
  std::multimap<NodeId, std::pair<BrokerInfo, JoinDone>> joins_;
  TimerId membership_timer_;
  Done ready_;
  TimerId flush_timer_;
  GroupId next_group_;  // above every id given away, decisions under way included
  std::map<std::string, uint32_t> creating_;  // names under way, with their partitions
  std::map<TopicId, TopicDone> creates_;
  std::multimap<TopicId, Done> deletes_;
  std::set<TopicId> altering_;
  std::set<TopicId>
      deleting_;  // decided or about to be: nothing may be written about them any more
  std::shared_ptr<Controller*> self_;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_METADATA_CONTROLLER_H_
