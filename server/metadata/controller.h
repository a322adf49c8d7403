// Controller: decides about topics and carries the decisions out on this broker.
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
  ReplicaId self;
  ClusterId cluster;
  Nanos flush_interval = 5 * kSecond;  // of the fold, when it changed
};

// Confined to the metadata partition's shard. A decision is a record batch of the metadata
// partition; it takes effect when the fold applies it, on every broker alike: only then are logs
// created or removed and the caller answered. Data is removed only for a RemovedGroupValue that
// names this replica.
class Controller {
 public:
  using TopicDone = absl::AnyInvocable<void(absl::StatusOr<TopicRef>)>;
  using Done = absl::AnyInvocable<void(absl::Status)>;

  // All must outlive the controller; `flusher` may block.
  Controller(ControllerOptions options, PartitionHost& host, Partition& metadata,
             storage::StateStore& store, Catalogue& catalogue, Random& random, const Clock& clock,
             Executor& flusher);
  ~Controller();

  // Catches the fold up, opens what this broker hosts, founds the cluster if the log has none; then
  // `ready`.
  void Start(Done ready);

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
  Random& random_;
  const Clock& clock_;
  Executor& flusher_;
  MetadataFold fold_;

  bool pumping_ = false;
  bool caught_up_ = false;
  bool stopped_ = false;
  absl::Status failure_;  // of the fold; final
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
