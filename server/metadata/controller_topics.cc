// Controller: decisions about topics: create, alter, delete.
#include <algorithm>
#include <set>
#include <utility>

#include "common/error.h"
#include "common/limits.h"
#include "server/metadata/controller.h"
#include "server/metadata/topic_settings.h"

namespace varve::server {
namespace {

// Replicas of a topic that does not say how many, where there are as many brokers.
constexpr size_t kMostDefaultReplicas = 3;

TopicId RandomTopicId(Random& random) {
  TopicId id;
  do {
    for (uint8_t& byte : id.bytes) byte = static_cast<uint8_t>(random.Next());
  } while (id.empty());
  return id;
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
  if (named.empty() && request.replication_factor == 0)
    return MakeError(Reason::INVALID_REQUEST, "the request neither sets nor unsets anything");
  return absl::OkStatus();
}

}  // namespace

uint64_t Controller::PartitionsInAll() const {
  uint64_t partitions = catalogue_.partition_count();
  for (const auto& [name, count] : creating_) partitions += count;
  return partitions;
}

absl::Status Controller::CheckCreate(CreateTopicRequest* request) const {
  VARVE_RETURN_IF_ERROR(CheckTopicName(request->name));
  if (catalogue_.Find(request->name) || creating_.contains(request->name))
    return MakeError(Reason::TOPIC_EXISTS, "topic \"", request->name, "\" exists already");
  std::string colliding;
  if (const TopicRef other = catalogue_.FindColliding(request->name)) colliding = other->name;
  for (const auto& [name, count] : creating_) {
    if (FoldedTopicName(name) == FoldedTopicName(request->name)) colliding = name;
  }
  if (!colliding.empty())
    return MakeError(Reason::INVALID_TOPIC_NAME, "topic \"", request->name, "\" differs from \"",
                     colliding, "\" only in '.' and '_', which metrics cannot tell apart");
  if (request->partitions == 0) request->partitions = 1;
  const size_t brokers = BrokersForReplicas(SIZE_MAX).size();
  if (request->replication_factor == 0)
    request->replication_factor = static_cast<uint32_t>(std::min(brokers, kMostDefaultReplicas));
  if (request->partitions > limits::kMaxPartitionsPerTopic)
    return MakeError(Reason::INVALID_PARTITIONS, request->partitions, " partitions are more than ",
                     limits::kMaxPartitionsPerTopic);
  if (PartitionsInAll() + request->partitions > limits::kMaxPartitionsPerBroker)
    return MakeError(Reason::OVERLOADED, "the broker would have more than ",
                     limits::kMaxPartitionsPerBroker, " partitions");
  if (catalogue_.size() + creating_.size() >= limits::kMaxTopics)
    return MakeError(Reason::OVERLOADED, "the cluster has ", limits::kMaxTopics, " topics already");
  if (request->replication_factor > brokers)
    return MakeError(Reason::INVALID_REPLICATION, "replication factor ",
                     request->replication_factor, " needs as many brokers, and the cluster has ",
                     brokers);
  for (size_t i = 0; i < request->settings.size(); ++i) {
    const TopicSetting& setting = request->settings[i];
    VARVE_RETURN_IF_ERROR(SetTopicSetting(setting.name, setting.value, &request->config));
    for (size_t k = 0; k < i; ++k)
      if (request->settings[k].name == setting.name) return SetTwice(setting.name);
  }
  return CheckTopicConfig(request->config);
}

// One broker further for each partition: the leaders of a topic are spread evenly.
void Controller::AddNewPartitions(size_t count, WallTime now, TopicEntry* topic,
                                  std::vector<EntityChange>* changes) {
  const std::vector<NodeId> brokers = BrokersForReplicas(topic->replication_factor);
  const size_t old = topic->partitions.size();
  const uint64_t turn = next_group_.value();
  for (size_t i = old; i < count; ++i) {
    PartitionPlacement placement;
    placement.group = next_group_;
    ++next_group_;
    for (size_t r = 0; r < topic->replication_factor; ++r) {
      const NodeId node = brokers[(turn + i - old + r) % brokers.size()];
      placement.replicas.push_back({{node, EpochOf(node)}, EpochOf(node)});
      placement.last_epoch = std::max(placement.last_epoch, EpochOf(node));
    }
    placement.created = now;
    placement.founders = placement.goal();
    topic->partitions.push_back(placement);
    changes->push_back(
        PartitionChange(topic->id, PartitionId(static_cast<uint32_t>(i)), placement));
  }
  changes->push_back(ClusterChange(next_group_));
}

std::vector<EntityChange> Controller::CreateChanges(const CreateTopicRequest& request, TopicId id,
                                                    WallTime now) {
  TopicEntry topic;
  topic.name = request.name;
  topic.id = id;
  topic.replication_factor = request.replication_factor;
  topic.config = request.config;
  topic.created = now;
  std::vector<EntityChange> changes;
  AddNewPartitions(request.partitions, now, &topic, &changes);
  changes.insert(changes.begin(), TopicChange(topic));
  return changes;
}

void Controller::CreateTopic(CreateTopicRequest request, TopicDone done) {
  if (absl::Status status = CheckDeciding(); !status.ok()) return done(std::move(status));
  if (absl::Status status = CheckCreate(&request); !status.ok()) return done(std::move(status));
  const auto id = RandomTopicId(random_);
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

absl::StatusOr<TopicRef> Controller::FindToChange(const std::string& name,
                                                  const std::optional<TopicId>& id) const {
  TopicRef topic = catalogue_.Find(name);
  if (!topic || deleting_.contains(topic->id) || (id && *id != topic->id))
    return MakeError(Reason::UNKNOWN_TOPIC, "topic \"", name, "\"",
                     topic ? " has another id, or is being deleted" : " does not exist");
  // The next change must begin from this one.
  if (altering_.contains(topic->id) || mover_->IsChanging(topic->id))
    return MakeError(Reason::OVERLOADED, "another change of topic \"", name, "\" is under way");
  return topic;
}

void Controller::AlterTopic(AlterTopicRequest request, TopicDone done) {
  if (absl::Status status = CheckDeciding(); !status.ok()) return done(std::move(status));
  const auto topic = FindToChange(request.name, request.id);
  if (!topic.ok()) return done(topic.status());
  auto altered = std::make_shared<TopicEntry>(**topic);
  std::vector<EntityChange> changes;
  absl::Status status = AlterConfig(request, &altered->config);
  if (status.ok() && request.replication_factor != 0)
    status = ChangeReplication(request.replication_factor, altered.get(), &changes);
  if (!status.ok()) return done(std::move(status));
  if (request.validate_only || (altered->config == (*topic)->config && changes.empty()))
    return done(TopicRef(altered));
  changes.insert(changes.begin(), TopicChange(*altered));
  ProposeAlteration(altered->id, std::move(changes), std::move(done));
}

// The first replicas stay; others come to the brokers that have the fewest.
absl::Status Controller::ChangeReplication(uint32_t replicas, TopicEntry* topic,
                                           std::vector<EntityChange>* changes) {
  if (topic->replication_factor == replicas) return absl::OkStatus();
  Brokers brokers = mover_->LookAtBrokers();
  for (size_t i = 0; i < topic->partitions.size(); ++i) {
    PartitionPlacement& placement = topic->partitions[i];
    std::vector<NodeId> nodes;
    for (const ReplicaId& replica : placement.goal())
      if (nodes.size() < replicas) nodes.push_back(replica.node);
    while (nodes.size() < replicas) {
      const auto node = brokers.LeastLoaded(nodes);
      if (!node)
        return MakeError(Reason::INVALID_REPLICATION, "replication factor ", replicas,
                         " needs as many live brokers");
      ++brokers.replicas[*node];
      nodes.push_back(*node);
    }
    placement = WithReplicasOn(placement, nodes, brokers);
    changes->push_back(
        PartitionChange(topic->id, PartitionId(static_cast<uint32_t>(i)), placement));
  }
  topic->replication_factor = replicas;
  return absl::OkStatus();
}

// The answer is the topic as it is then.
void Controller::ProposeAlteration(TopicId id, std::vector<EntityChange> changes, TopicDone done) {
  altering_.insert(id);
  ProposeAndFold(std::move(changes), [self = self_, id,
                                      done = std::move(done)](absl::Status status) mutable {
    if (*self != nullptr) (*self)->altering_.erase(id);
    if (!status.ok()) return done(std::move(status));
    const TopicRef topic = (*self)->catalogue_.FindById(id);
    if (!topic) return done(MakeError(Reason::UNKNOWN_TOPIC, "the topic was deleted meanwhile"));
    (*self)->PlaceTopic(topic, [self, topic, done = std::move(done)](absl::Status placed) mutable {
      if (!placed.ok() || *self == nullptr)
        return done(MakeError(Reason::OUTCOME_UNKNOWN, "the change of topic \"", topic->name,
                              "\" was decided, but not carried out: ", MessageOf(placed)));
      (*self)->AnswerWhenLed(topic, (*self)->fold_.position().applied, 0, kLedAttempts,
                             std::move(done));
    });
  });
}

void Controller::AddPartitions(AddPartitionsRequest request, TopicDone done) {
  if (absl::Status status = CheckDeciding(); !status.ok()) return done(std::move(status));
  const auto found = FindToChange(request.name, request.id);
  if (!found.ok()) return done(found.status());
  auto topic = std::make_shared<TopicEntry>(**found);
  const size_t now = topic->partitions.size();
  if (request.partitions <= now)
    return done(MakeError(Reason::INVALID_PARTITIONS, "topic \"", request.name, "\" has ", now,
                          " partitions already; they cannot become fewer"));
  if (request.partitions > limits::kMaxPartitionsPerTopic)
    return done(MakeError(Reason::INVALID_PARTITIONS, request.partitions,
                          " partitions are more than ", limits::kMaxPartitionsPerTopic));
  if (PartitionsInAll() + request.partitions - now > limits::kMaxPartitionsPerBroker)
    return done(MakeError(Reason::OVERLOADED, "the broker would have more than ",
                          limits::kMaxPartitionsPerBroker, " partitions"));
  if (request.validate_only) {
    topic->partitions.resize(request.partitions);
    return done(TopicRef(std::move(topic)));
  }
  std::vector<EntityChange> changes;
  AddNewPartitions(request.partitions, clock_.Wall(), topic.get(), &changes);
  changes.insert(changes.begin(), TopicChange(*topic));
  ProposeAlteration(topic->id, std::move(changes), std::move(done));
}

void Controller::DeleteTopic(DeleteTopicRequest request, Done done) {
  if (absl::Status status = CheckDeciding(); !status.ok()) return done(std::move(status));
  const TopicRef topic = catalogue_.Find(request.name);
  if (!topic || (request.id && *request.id != topic->id))
    return done(MakeError(Reason::UNKNOWN_TOPIC, "topic \"", request.name, "\"",
                          topic ? " has another id" : " does not exist"));
  // What is under way may place replicas of which this decision knows nothing.
  if (altering_.contains(topic->id) || mover_->IsChanging(topic->id)) {
    metadata_.shard().RunAt(
        clock_.Now() + kLedInterval,
        [self = self_, request = std::move(request), done = std::move(done)]() mutable {
          if (*self == nullptr)
            return done(MakeError(Reason::SHUTTING_DOWN, "the broker is stopping"));
          (*self)->DeleteTopic(std::move(request), std::move(done));
        });
    return;
  }
  deleting_.insert(topic->id);
  std::vector<EntityChange> changes;
  const WallTime now = clock_.Wall();
  changes.push_back({TopicKey(std::string(kNamespace), topic->id), std::nullopt});
  for (size_t i = 0; i < topic->partitions.size(); ++i) {
    const PartitionPlacement& placement = topic->partitions[i];
    const PartitionId number(static_cast<uint32_t>(i));
    changes.push_back({PartitionKey(std::string(kNamespace), topic->id, number), std::nullopt});
    std::vector<ReplicaId> removed = placement.goal();
    for (const PlacedReplica& placed : placement.leaving) removed.push_back(placed.replica);
    const auto earlier = fold_.removed_groups().find(placement.group);
    if (earlier != fold_.removed_groups().end())
      removed.insert(removed.end(), earlier->second.begin(), earlier->second.end());
    changes.push_back(RemovedGroupChange(placement.group, removed, now));
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

}  // namespace varve::server
