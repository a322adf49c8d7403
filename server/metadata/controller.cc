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
constexpr std::string_view kNamespace = "default";

template <class Id>
Id RandomId(Random& random) {
  Id id;
  do {
    for (uint8_t& byte : id.bytes) byte = static_cast<uint8_t>(random.Next());
  } while (id.empty());
  return id;
}

template <class Id>
std::string IdBytes(const Id& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

LogPolicy PolicyOf(const TopicConfig& config) {
  LogPolicy policy;
  policy.segment_bytes = static_cast<uint64_t>(EffectiveSetting("segment.bytes", config));
  policy.segment_ms = EffectiveSetting("segment.ms", config);
  policy.retention_ms = EffectiveSetting("retention.ms", config);
  policy.retention_bytes = EffectiveSetting("retention.bytes", config);
  return policy;
}

EntityChange TopicChange(const TopicEntry& topic) {
  state::TopicValue value;
  value.set_name(topic.name);
  value.set_id(IdBytes(topic.id));
  value.set_partitions(static_cast<uint32_t>(topic.partitions.size()));
  value.set_replication_factor(topic.replication_factor);
  value.set_max_batch_bytes(topic.config.max_batch_bytes);
  value.set_segment_bytes(topic.config.segment_bytes);
  value.set_created_ms(topic.created.value());
  if (topic.config.segment_ms) value.set_segment_ms(*topic.config.segment_ms);
  if (topic.config.retention_ms) value.set_retention_ms(*topic.config.retention_ms);
  if (topic.config.retention_bytes) value.set_retention_bytes(*topic.config.retention_bytes);
  return {TopicKey(std::string(kNamespace), topic.id), value.SerializeAsString()};
}

absl::Status SetTwice(std::string_view name) {
  return MakeError(Reason::INVALID_CONFIG, "the request names the setting ", name, " twice");
}

absl::Status AlterConfig(const AlterTopicRequest& request, TopicConfig* config) {
  std::set<std::string_view> named;
  for (const TopicSetting& setting : request.set) {
    if (!named.insert(setting.name).second) return SetTwice(setting.name);
    VARVE_RETURN_IF_ERROR(SetTopicSetting(setting.name, setting.value, config));
  }
  for (const std::string& name : request.unset) {
    if (!named.insert(name).second) return SetTwice(name);
    VARVE_RETURN_IF_ERROR(UnsetTopicSetting(name, config));
  }
  if (named.empty())
    return MakeError(Reason::INVALID_REQUEST, "the request neither sets nor unsets anything");
  return absl::OkStatus();
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
    PlaceTopic(topic, [self = self_, topic](absl::Status status) {
      if (*self == nullptr) return;
      if (auto altered = (*self)->alters_.extract(topic->id); !altered.empty())
        return altered.mapped()(topic);
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
  value.set_cluster_id(IdBytes(options_.cluster));
  value.set_next_group_id(next_group.value());
  value.set_feature_level(1);
  return {ClusterKey(), value.SerializeAsString()};
}

void Controller::FoundCluster() {
  Propose({ClusterChange(next_group_)}, [](absl::Status) {});
}

absl::Status Controller::CheckCreate(CreateTopicRequest* request) const {
  VARVE_RETURN_IF_ERROR(CheckTopicName(request->name));
  if (catalogue_.Find(request->name) || creating_.contains(request->name))
    return MakeError(Reason::TOPIC_EXISTS, "topic \"", request->name, "\" exists already");
  std::string colliding;
  if (const TopicRef other = catalogue_.FindColliding(request->name)) colliding = other->name;
  uint64_t partitions = catalogue_.partition_count();
  for (const auto& [name, count] : creating_) {
    partitions += count;
    if (FoldedTopicName(name) == FoldedTopicName(request->name)) colliding = name;
  }
  if (!colliding.empty())
    return MakeError(Reason::INVALID_TOPIC_NAME, "topic \"", request->name, "\" differs from \"",
                     colliding, "\" only in '.' and '_', which metrics cannot tell apart");
  if (request->partitions == 0) request->partitions = 1;
  if (request->replication_factor == 0) request->replication_factor = 1;
  if (request->partitions > limits::kMaxPartitionsPerTopic)
    return MakeError(Reason::INVALID_PARTITIONS, request->partitions, " partitions are more than ",
                     limits::kMaxPartitionsPerTopic);
  if (partitions + request->partitions > limits::kMaxPartitionsPerBroker)
    return MakeError(Reason::OVERLOADED, "the broker would have more than ",
                     limits::kMaxPartitionsPerBroker, " partitions");
  if (catalogue_.size() + creating_.size() >= limits::kMaxTopics)
    return MakeError(Reason::OVERLOADED, "the cluster has ", limits::kMaxTopics, " topics already");
  if (request->replication_factor != 1)
    return MakeError(Reason::INVALID_REPLICATION, "replication factor ",
                     request->replication_factor, " needs as many brokers, and the cluster has 1");
  for (size_t i = 0; i < request->settings.size(); ++i) {
    const TopicSetting& setting = request->settings[i];
    VARVE_RETURN_IF_ERROR(SetTopicSetting(setting.name, setting.value, &request->config));
    for (size_t k = 0; k < i; ++k)
      if (request->settings[k].name == setting.name) return SetTwice(setting.name);
  }
  return CheckTopicConfig(request->config);
}

std::vector<EntityChange> Controller::CreateChanges(const CreateTopicRequest& request, TopicId id,
                                                    WallTime now) {
  std::vector<EntityChange> changes;
  TopicEntry topic;
  topic.name = request.name;
  topic.id = id;
  topic.partitions.resize(request.partitions);
  topic.replication_factor = request.replication_factor;
  topic.config = request.config;
  topic.created = now;
  changes.push_back(TopicChange(topic));
  for (uint32_t i = 0; i < request.partitions; ++i) {
    state::PartitionValue partition;
    partition.set_group_id(next_group_.value());
    ++next_group_;
    auto* replica = partition.add_replicas();
    replica->set_node(options_.self.node.value());
    replica->set_replica_epoch(1);
    partition.set_created_ms(now.value());
    changes.push_back(
        {PartitionKey(std::string(kNamespace), id, PartitionId(i)), partition.SerializeAsString()});
  }
  changes.push_back(ClusterChange(next_group_));
  return changes;
}

void Controller::CreateTopic(CreateTopicRequest request, TopicDone done) {
  if (!failure_.ok()) return done(failure_);
  if (stopped_) return done(MakeError(Reason::SHUTTING_DOWN, "the broker is stopping"));
  if (!caught_up_) return done(MakeError(Reason::STARTING, "the metadata is being read"));
  if (absl::Status status = CheckCreate(&request); !status.ok()) return done(std::move(status));
  const auto id = RandomId<TopicId>(random_);
  if (request.validate_only) {
    auto topic = std::make_shared<TopicEntry>();
    topic->name = request.name;
    topic->replication_factor = request.replication_factor;
    topic->config = request.config;
    topic->partitions.resize(request.partitions);
    return done(TopicRef(std::move(topic)));
  }
  creating_.emplace(request.name, request.partitions);
  creates_.emplace(id, std::move(done));
  Propose(CreateChanges(request, id, clock_.Wall()),
          [self = self_, id, name = request.name](absl::Status status) {
            if (*self == nullptr || status.ok()) return;  // OK: the fold answers
            auto node = (*self)->creates_.extract(id);
            (*self)->creating_.erase(name);
            if (!node.empty()) node.mapped()(std::move(status));
          });
}

void Controller::AlterTopic(AlterTopicRequest request, TopicDone done) {
  if (!failure_.ok()) return done(failure_);
  if (stopped_) return done(MakeError(Reason::SHUTTING_DOWN, "the broker is stopping"));
  if (!caught_up_) return done(MakeError(Reason::STARTING, "the metadata is being read"));
  const TopicRef topic = catalogue_.Find(request.name);
  if (!topic || deleting_.contains(topic->id) || (request.id && *request.id != topic->id))
    return done(MakeError(Reason::UNKNOWN_TOPIC, "topic \"", request.name, "\"",
                          topic ? " has another id, or is being deleted" : " does not exist"));
  auto altered = std::make_shared<TopicEntry>(*topic);
  if (absl::Status status = AlterConfig(request, &altered->config); !status.ok())
    return done(std::move(status));
  if (request.validate_only || altered->config == topic->config) return done(TopicRef(altered));
  // The next change must begin from this one.
  if (alters_.contains(topic->id))
    return done(MakeError(Reason::OVERLOADED, "another change of topic \"", request.name,
                          "\" is under way"));
  alters_.emplace(topic->id, std::move(done));
  Propose({TopicChange(*altered)}, [self = self_, id = topic->id](absl::Status status) {
    if (status.ok() || *self == nullptr) return;  // answered when the fold has applied it
    if (auto node = (*self)->alters_.extract(id); !node.empty()) node.mapped()(std::move(status));
  });
}

void Controller::DeleteTopic(DeleteTopicRequest request, Done done) {
  if (!failure_.ok()) return done(failure_);
  if (stopped_) return done(MakeError(Reason::SHUTTING_DOWN, "the broker is stopping"));
  if (!caught_up_) return done(MakeError(Reason::STARTING, "the metadata is being read"));
  const TopicRef topic = catalogue_.Find(request.name);
  if (!topic || (request.id && *request.id != topic->id))
    return done(MakeError(Reason::UNKNOWN_TOPIC, "topic \"", request.name, "\"",
                          topic ? " has another id" : " does not exist"));
  deleting_.insert(topic->id);
  std::vector<EntityChange> changes;
  const WallTime now = clock_.Wall();
  changes.push_back({TopicKey(std::string(kNamespace), topic->id), std::nullopt});
  for (size_t i = 0; i < topic->partitions.size(); ++i) {
    const PartitionPlacement& placement = topic->partitions[i];
    const PartitionId number(static_cast<uint32_t>(i));
    changes.push_back({PartitionKey(std::string(kNamespace), topic->id, number), std::nullopt});
    state::RemovedGroupValue removed;
    removed.set_removed_ms(now.value());
    for (const ReplicaId& replica : placement.replicas) {
      auto* out = removed.add_replicas();
      out->set_node(replica.node.value());
      out->set_replica_epoch(replica.epoch.value());
    }
    changes.push_back({RemovedGroupKey(placement.group), removed.SerializeAsString()});
  }
  Propose(std::move(changes),
          [self = self_, id = topic->id, done = std::move(done)](absl::Status status) mutable {
            if (*self != nullptr && InfoOf(ReasonOf(status)).outcome == Outcome::NOT_APPLIED &&
                !status.ok())
              (*self)->deleting_.erase(id);
            if (!status.ok() || *self == nullptr) return done(std::move(status));
            // Decided, but this fold applies no more: nobody would answer.
            if ((*self)->stopped_)
              return done(MakeError(Reason::OUTCOME_UNKNOWN,
                                    "the broker stopped before the deletion was carried out"));
            (*self)->deletes_.emplace(id, std::move(done));
            (*self)->ResolveDeletes();
          });
}

void Controller::ResolveDeletes() {
  for (auto at = deletes_.begin(); at != deletes_.end();) {
    if (catalogue_.FindById(at->first)) {
      ++at;
      continue;
    }
    Done done = std::move(at->second);
    deleting_.erase(at->first);
    at = deletes_.erase(at);
    done(absl::OkStatus());
  }
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
