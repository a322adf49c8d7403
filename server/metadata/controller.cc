#include "server/metadata/controller.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/error.h"
#include "common/limits.h"
#include "common/record_batch.h"
#include "server/metadata/topic_settings.h"
#include "varve/state/v1/metadata.pb.h"

namespace varve::server {
namespace {

namespace state = varve::state::v1;

constexpr size_t kFoldReadBytes = 1 * limits::kMiB;

LogPolicy PolicyOf(const TopicConfig& config) {
  LogPolicy policy;
  policy.segment_bytes = static_cast<uint64_t>(EffectiveSetting("segment.bytes", config));
  policy.segment_ms = EffectiveSetting("segment.ms", config);
  policy.retention_ms = EffectiveSetting("retention.ms", config);
  policy.retention_bytes = EffectiveSetting("retention.bytes", config);
  return policy;
}

}  // namespace

Controller::Controller(ControllerOptions options, PartitionHost& host, Partition& metadata,
                       storage::StateStore& store, Catalogue& catalogue, Random& random,
                       const Clock& clock, Executor& flusher)
    : options_(options),
      host_(host),
      metadata_(metadata),
      store_(store),
      catalogue_(catalogue),
      random_(random),
      clock_(clock),
      flusher_(flusher),
      fold_(store, catalogue),
      self_(std::make_shared<Controller*>(this)) {}

Controller::~Controller() { *self_ = nullptr; }

void Controller::Start(Done ready) {
  ready_ = std::move(ready);
  failure_ = CheckFold();
  if (!failure_.ok()) return std::exchange(ready_, {})(failure_);
  metadata_.SetCommitListener([this](Index) { Pump(); });
  // Everything in the log of a confirmed leader up to its own first entry is committed.
  metadata_.AwaitServing([self = self_] {
    if (*self != nullptr && !(*self)->stopped_) (*self)->Pump();
  });
}

// The fold is a cache of the log: where it does not fit, the log decides.
absl::Status Controller::CheckFold() {
  VARVE_RETURN_IF_ERROR(fold_.Load());
  const storage::FoldPosition at = fold_.position();
  const LogEnd end = metadata_.log().end();
  if (at.applied > end.last_index)
    return MakeError(Reason::DATA_LOSS, "the fold of the metadata partition is at index ",
                     at.applied, ", beyond the end of its log at ", end.last_index,
                     ": the journal lost entries that were committed");
  if (at.applied > Index{} && metadata_.log().TermAt(at.applied) != at.term) return fold_.Restart();
  return absl::OkStatus();
}

// --- Folding
// --------------------------------------------------------------------------------------

void Controller::Pump() {
  if (pumping_ || stopped_ || !failure_.ok() || !metadata_.serving()) return;
  if (fold_.position().applied >= metadata_.foldable_index()) return AfterCatchUp();
  pumping_ = true;
  metadata_.ReadCommitted(fold_.position().applied + 1, kFoldReadBytes,
                          [self = self_](absl::StatusOr<storage::ReadResult> run) {
                            if (*self == nullptr || (*self)->stopped_) return;
                            (*self)->pumping_ = false;
                            if (!run.ok()) {
                              (*self)->failure_ = run.status();
                              return (*self)->AfterCatchUp();
                            }
                            (*self)->ApplyRun(std::move(run->entries));
                          });
}

void Controller::ApplyRun(std::vector<Entry> entries) {
  for (const Entry& entry : entries) {
    auto changes = fold_.Apply(entry);
    if (!changes.ok()) {
      failure_ = changes.status();
      return AfterCatchUp();
    }
    if (caught_up_) Act(*changes);
  }
  ArmFlush();
  ResolveDeletes();
  Pump();
}

// At start, decisions are carried out once for the state that they lead to.
void Controller::AfterCatchUp() {
  if (!failure_.ok()) {
    if (ready_) std::exchange(ready_, {})(failure_);
    return;
  }
  if (caught_up_) return;
  caught_up_ = true;
  next_group_ = fold_.next_group();
  if (!fold_.has_cluster()) FoundCluster();
  RemoveGroups(fold_.removed_groups());
  auto left = std::make_shared<size_t>(1);
  auto finish = [self = self_, left](absl::Status status) {
    Controller* me = *self;
    if (me == nullptr || !me->ready_) return;
    if (status.ok() && --*left > 0) return;
    std::exchange(me->ready_, {})(std::move(status));
  };
  for (std::string after;;) {
    const auto page = catalogue_.List(after, 1000);
    if (page.empty()) break;
    *left += page.size();
    for (const TopicRef& topic : page) PlaceTopic(topic, finish);
    after = page.back()->name;
  }
  finish(absl::OkStatus());
}

void Controller::Act(const MetadataChanges& changes) {
  for (const TopicRef& topic : changes.put_topics) {
    // Asked now: an alteration may be proposed while the creation is still being carried out.
    const bool alters = alters_.contains(topic->id);
    PlaceTopic(topic, [self = self_, topic, alters](absl::Status status) {
      if (*self == nullptr) return;
      if (alters) {
        if (auto node = (*self)->alters_.extract(topic->id); !node.empty()) node.mapped()(topic);
        return;
      }
      auto node = (*self)->creates_.extract(topic->id);
      if (node.empty()) return;
      (*self)->creating_.erase(topic->name);
      if (status.ok()) return node.mapped()(topic);
      // The decision stands: the topic is there at the next start, whatever became of its logs.
      node.mapped()(MakeError(Reason::OUTCOME_UNKNOWN, "the creation of topic \"", topic->name,
                              "\" was decided, but not carried out: ", MessageOf(status)));
    });
  }
  RemoveGroups(changes.removed_groups);
}

// Opens or creates what this broker hosts of the topic; `done` (on this shard) when all of it
// serves.
void Controller::PlaceTopic(const TopicRef& topic, Done done) {
  struct Progress {
    size_t left = 1;
    absl::Status status;
    Done done;
  };
  auto progress = std::make_shared<Progress>();
  progress->done = std::move(done);
  Executor& home = metadata_.shard();
  const auto step = [progress, &home](absl::Status status) {
    home.Post([progress, status = std::move(status)] {
      progress->status.Update(status);
      if (--progress->left == 0) progress->done(progress->status);
    });
  };
  for (const PartitionPlacement& placement : topic->partitions) {
    const auto mine =
        std::find_if(placement.replicas.begin(), placement.replicas.end(),
                     [&](const ReplicaId& r) { return r.node == options_.self.node; });
    if (mine == placement.replicas.end()) continue;
    ++progress->left;
    Placement place;
    place.options.group = placement.group;
    place.options.self = *mine;
    place.options.policy = PolicyOf(topic->config);
    place.bootstrap.configuration.voters = placement.replicas;
    place.bootstrap.append_time = placement.created;
    host_.Place(std::move(place), [this, group = placement.group, step](absl::Status status) {
      if (!status.ok()) return step(std::move(status));
      if (Partition* partition = host_.Find(group); partition != nullptr)
        return partition->AwaitServing([step] { step(absl::OkStatus()); });
      step(absl::OkStatus());  // removed meanwhile
    });
  }
  step(absl::OkStatus());
}

void Controller::RemoveGroups(const std::map<GroupId, std::vector<ReplicaId>>& groups) {
  for (const auto& [group, replicas] : groups) {
    const bool mine = std::any_of(replicas.begin(), replicas.end(),
                                  [&](const ReplicaId& r) { return r.node == options_.self.node; });
    if (!mine) continue;
    host_.Remove(group,
                 [&home = metadata_.shard(), self = self_, group = group](absl::Status status) {
                   home.Post([self, group, status = std::move(status)] {
                     // A removal that failed stays recorded and is tried again at the next start.
                     if (*self != nullptr && status.ok()) (*self)->ForgetRemoval(group);
                   });
                 });
  }
}

void Controller::ForgetRemoval(GroupId group) {
  if (stopped_ || !fold_.removed_groups().contains(group)) return;
  Propose({{RemovedGroupKey(group), std::nullopt}}, [](absl::Status) {});
}

// --- Decisions
// ------------------------------------------------------------------------------------

void Controller::Propose(std::vector<EntityChange> changes, Done done) {
  auto batch = EncodeMetadataBatch(changes, clock_.Wall());
  if (!batch.ok()) return done(batch.status());
  metadata_.Append(FrameBuffer::Copy(*batch), static_cast<uint32_t>(changes.size()),
                   [done = std::move(done)](absl::StatusOr<AppendOutcome> outcome) mutable {
                     done(outcome.status());
                   });
}

EntityChange Controller::ClusterChange(GroupId next_group) const {
  state::ClusterValue value;
  value.set_cluster_id(StoredId(options_.cluster));
  value.set_next_group_id(next_group.value());
  value.set_feature_level(1);
  return {ClusterKey(), value.SerializeAsString()};
}

void Controller::FoundCluster() {
  Propose({ClusterChange(next_group_)}, [](absl::Status) {});
}

// --- Flushing
// -------------------------------------------------------------------------------------

void Controller::ArmFlush() {
  if (flush_timer_ != TimerId{} || stopped_) return;
  flush_timer_ = metadata_.shard().RunAt(clock_.Now() + options_.flush_interval, [self = self_] {
    if (*self == nullptr) return;
    (*self)->flush_timer_ = {};
    // A flush that fails costs a longer catch-up at the next start, nothing else.
    (*self)->flusher_.Post([&store = (*self)->store_] { store.Flush().IgnoreError(); });
  });
}

void Controller::Stop() {
  if (stopped_) return;
  stopped_ = true;
  metadata_.SetCommitListener({});
  metadata_.shard().Cancel(flush_timer_);
  // Proposed already: the next start may find them committed.
  const absl::Status unknown =
      MakeError(Reason::OUTCOME_UNKNOWN,
                "the broker stopped before the decision was known to be carried out");
  for (auto& [id, done] : std::exchange(creates_, {})) done(unknown);
  for (auto& [id, done] : std::exchange(deletes_, {})) done(unknown);
  for (auto& [id, done] : std::exchange(alters_, {})) done(unknown);
  if (ready_) std::exchange(ready_, {})(MakeError(Reason::SHUTTING_DOWN, "the broker is stopping"));
  store_.Flush().IgnoreError();
}

}  // namespace varve::server
