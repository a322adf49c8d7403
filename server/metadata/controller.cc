#include "server/metadata/controller.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/error.h"
#include "common/limits.h"
#include "common/record_batch.h"
#include "server/defect.h"
#include "server/metadata/topic_settings.h"
#include "varve/state/v1/metadata.pb.h"

namespace varve::server {
namespace {

namespace state = varve::state::v1;

constexpr size_t kFoldReadBytes = 1 * limits::kMiB;
// How long a starting broker waits for the controller before it serves without.
constexpr Nanos kReadyPatience = 5 * kSecond;

// The replica that the node has or is to have; else the last one that leaves it.
const PlacedReplica* MineOf(const PartitionPlacement& placement, NodeId node) {
  if (const PlacedReplica* wanted = placement.OnNode(node)) return wanted;
  const PlacedReplica* last = nullptr;
  for (const PlacedReplica& placed : placement.leaving)
    if (placed.replica.node == node) last = &placed;
  return last;
}

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
                       storage::StateStore& store, Catalogue& catalogue, ClusterView& view,
                       Random& random, const Clock& clock, Executor& flusher)
    : options_(std::move(options)),
      host_(host),
      metadata_(metadata),
      store_(store),
      catalogue_(catalogue),
      view_(view),
      random_(random),
      clock_(clock),
      flusher_(flusher),
      fold_(store, catalogue, view),
      mover_(std::make_unique<ReplicaMover>(fold_, catalogue, view, clock,
                                            [this](std::vector<EntityChange> changes, Done done) {
                                              ProposeAndFold(std::move(changes), std::move(done));
                                            })),
      balancer_(catalogue, view, clock,
                [this](GroupId group, NodeId to) {
                  if (options_.transfer) options_.transfer(group, to);
                }),
      self_(std::make_shared<Controller*>(this)) {}

Controller::~Controller() { *self_ = nullptr; }

void Controller::Start(Done ready) {
  ready_ = std::move(ready);
  failure_ = CheckFold();
  if (!failure_.ok()) return std::exchange(ready_, {})(failure_);
  if (brokers_listener_) brokers_listener_();
  metadata_.SetCommitListener([this](Index) { Pump(); });
  // Everything in the log of a confirmed leader up to its own first entry is committed.
  metadata_.AwaitLeader([self = self_] {
    if (*self != nullptr && !(*self)->stopped_) (*self)->Pump();
  });
  patience_ends_ = clock_.Now() + kReadyPatience;
  metadata_.shard().RunAt(patience_ends_, [self = self_] {
    if (*self != nullptr) (*self)->Pump();
  });
  Pump();
}

// Whether this broker decides by itself what is committed.
bool Controller::alone() const {
  const Configuration& now = metadata_.core().log().configuration();
  return now.outgoing.empty() && now.voters.size() == 1 && now.voters.front() == metadata_.self();
}

// What a replica finds at its start may be old: it is of use when the leader has told it what is
// committed. Without a leader it serves what it has, after a while.
bool Controller::up_to_date() const {
  return alone() || !metadata_.core().leader().empty() || clock_.Now() >= patience_ends_;
}

absl::Status Controller::CheckDeciding() const {
  VARVE_RETURN_IF_ERROR(failure_);
  if (stopped_) return MakeError(Reason::SHUTTING_DOWN, "the broker is stopping");
  if (!metadata_.serving()) return metadata_.WhyNotServing();
  if (deciding_in_ != metadata_.leader_epoch())
    return MakeError(Reason::STARTING, "the metadata is being read");
  return absl::OkStatus();
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
  if (pumping_ || stopped_ || !failure_.ok()) return;
  // What a sole voter finds is committed when it leads; others hear it from their leader.
  if (!caught_up_ && alone() && !metadata_.serving()) return;
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
    if (changes->brokers && brokers_listener_) brokers_listener_();
    if (caught_up_) Act(*changes);
  }
  ArmFlush();
  ResolveDeletes();
  ResolveJoins();
  ResolveFolded();
  Pump();
}

// At start, decisions are carried out once for the state that they lead to.
void Controller::AfterCatchUp() {
  if (!failure_.ok()) {
    if (ready_) std::exchange(ready_, {})(failure_);
    return;
  }
  if (metadata_.serving() && deciding_in_ != metadata_.leader_epoch()) BeginToDecide();
  if (ready_ && caught_up_ && placed_ && registered() && up_to_date())
    std::exchange(ready_, {})(absl::OkStatus());
  if (std::exchange(caught_up_, true)) return;
  RemoveGroups(fold_.removed_groups());
  auto left = std::make_shared<size_t>(1);
  auto finish = [self = self_, left](absl::Status status) {
    Controller* me = *self;
    if (me == nullptr || !me->ready_) return;
    if (status.ok() && --*left > 0) return;
    if (!status.ok()) return std::exchange(me->ready_, {})(std::move(status));
    me->placed_ = true;
    me->Pump();
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

// Everything that was committed before this leadership is folded.
void Controller::BeginToDecide() {
  deciding_in_ = metadata_.leader_epoch();
  next_group_ = fold_.next_group();
  deleting_.clear();
  for (const auto& [id, done] : deletes_) deleting_.insert(id);
  if (!fold_.has_cluster()) FoundCluster();
  mover_->Begin();
  RegisterSelf();
  ArmMembership();
}

void Controller::Act(const MetadataChanges& changes) {
  for (const TopicRef& topic : changes.put_topics) {
    PlaceTopic(topic, [self = self_, topic](absl::Status status) {
      if (*self == nullptr) return;
      auto node = (*self)->creates_.extract(topic->id);
      if (node.empty()) return;
      (*self)->creating_.erase(topic->name);
      if (status.ok())
        return (*self)->AnswerWhenLed(topic, (*self)->fold_.position().applied, 0, kLedAttempts,
                                      std::move(node.mapped()));
      // The decision stands: the topic is there at the next start, whatever became of its logs.
      node.mapped()(MakeError(Reason::OUTCOME_UNKNOWN, "the creation of topic \"", topic->name,
                              "\" was decided, but not carried out: ", MessageOf(status)));
    });
  }
  if (changes.brokers || !changes.put_topics.empty()) mover_->LookAgain();
  RemoveGroups(changes.removed_groups);
}

// A topic is of use when each partition has a leader and the other brokers know of it. The first
// `led` partitions had one already: they are not looked at again and again.
void Controller::AnswerWhenLed(TopicRef topic, Index decided, size_t led, int attempts,
                               TopicDone done) {
  const auto& partitions = topic->partitions;
  while (led < partitions.size() && view_.LeaderOf(partitions[led].group)) ++led;
  const auto& followers = metadata_.core().followers();
  const bool known = std::all_of(followers.begin(), followers.end(), [&](const auto& follower) {
    return follower.second.known_commit >= decided || !view_.IsLive(follower.first.node);
  });
  // It exists, whoever leads it and whenever.
  if ((led == partitions.size() && known) || attempts == 0 || stopped_) return done(topic);
  metadata_.shard().RunAt(clock_.Now() + kLedInterval, [self = self_, topic, decided, led, attempts,
                                                        done = std::move(done)]() mutable {
    if (*self == nullptr)
      return done(MakeError(Reason::OUTCOME_UNKNOWN, "the broker stopped meanwhile"));
    (*self)->AnswerWhenLed(topic, decided, led, attempts - 1, std::move(done));
  });
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
    const PlacedReplica* mine = MineOf(placement, metadata_.self().node);
    if (mine == nullptr) continue;
    ++progress->left;
    const bool sole = placement.replicas.size() == 1 && placement.leaving.empty();
    host_.Place(PlacementHere(*topic, placement, *mine),
                [this, group = placement.group, sole, step](absl::Status status) {
                  Partition* partition = host_.Find(group);
                  // Others may have to come up before there is a leader.
                  if (!status.ok() || !sole || partition == nullptr) return step(std::move(status));
                  partition->AwaitLeader([step] { step(absl::OkStatus()); });
                });
  }
  step(absl::OkStatus());
}

// A replica is begun only in the directory that it was given to: what a wiped disk held is not
// made up for by an empty log that votes.
Placement Controller::PlacementHere(const TopicEntry& topic, const PartitionPlacement& p,
                                    const PlacedReplica& mine) const {
  Placement place;
  place.options.group = p.group;
  place.options.self = mine.replica;
  place.options.policy = PolicyOf(topic.config);
  place.options.goal = {p.goal(), !p.leaving.empty()};
  place.options.leads_first = mine == p.replicas.front();
  place.create =
      p.OnNode(mine.replica.node) == &mine &&
      (mine.broker_epoch == metadata_.self().epoch || Planted(Defect::kAnyDirectoryBegins));
  if (std::find(p.founders.begin(), p.founders.end(), mine.replica) == p.founders.end())
    return place;
  place.bootstrap.emplace();
  place.bootstrap->configuration.voters = p.founders;
  auto& voters = place.bootstrap->configuration.voters;
  std::sort(voters.begin(), voters.end());
  place.bootstrap->append_time = p.created;
  return place;
}

void Controller::RemoveGroups(const std::map<GroupId, std::vector<ReplicaId>>& groups) {
  for (const auto& [group, replicas] : groups) {
    for (const ReplicaId& replica : replicas) {
      if (replica.node != metadata_.self().node) continue;
      // A removal that failed stays recorded and is tried again at the next start.
      host_.Remove(group, replica.epoch,
                   [reports = options_.reports, group = group, replica](absl::Status status) {
                     if (status.ok() && reports != nullptr)
                       reports->Tell({ReplicaReport::Kind::kRemoved, group, {replica}});
                   });
    }
  }
}

// --- Decisions
// ------------------------------------------------------------------------------------

void Controller::Propose(std::vector<EntityChange> changes, Done done) {
  auto batch = EncodeMetadataBatch(changes, clock_.Wall());
  if (!batch.ok()) return done(batch.status());
  metadata_.Append(
      FrameBuffer::Copy(*batch), static_cast<uint32_t>(changes.size()),
      [done = std::move(done)](absl::StatusOr<AppendOutcome> outcome) mutable {
        done(outcome.status());
      },
      metadata_.leader_epoch());
}

// What is known to be committed when the answer comes includes the entry.
void Controller::ProposeAndFold(std::vector<EntityChange> changes, Done done) {
  Propose(std::move(changes), [self = self_, done = std::move(done)](absl::Status status) mutable {
    if (!status.ok()) return done(std::move(status));
    if (*self == nullptr || (*self)->stopped_)
      return done(MakeError(Reason::OUTCOME_UNKNOWN, "the broker stopped meanwhile"));
    (*self)->folded_.emplace((*self)->metadata_.commit_index(), std::move(done));
    (*self)->ResolveFolded();
  });
}

void Controller::ResolveFolded() {
  while (!folded_.empty() && folded_.begin()->first <= fold_.position().applied) {
    Done done = std::move(folded_.begin()->second);
    folded_.erase(folded_.begin());
    done(absl::OkStatus());
  }
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
  metadata_.shard().Cancel(membership_timer_);
  // Proposed already: the next start may find them committed.
  const absl::Status unknown =
      MakeError(Reason::OUTCOME_UNKNOWN,
                "the broker stopped before the decision was known to be carried out");
  for (auto& [id, done] : std::exchange(creates_, {})) done(unknown);
  for (auto& [id, done] : std::exchange(deletes_, {})) done(unknown);
  for (auto& [index, done] : std::exchange(folded_, {})) done(unknown);
  for (auto& [node, join] : std::exchange(joins_, {})) join.second(unknown);
  if (ready_) std::exchange(ready_, {})(MakeError(Reason::SHUTTING_DOWN, "the broker is stopping"));
  store_.Flush().IgnoreError();
}

}  // namespace varve::server
