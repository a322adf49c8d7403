// Controller: decisions about topics: create, alter, delete.
#include <algorithm>
#include <set>
#include <utility>

#include "common/error.h"
#include "common/limits.h"
#include "server/metadata/controller.h"
#include "server/metadata/topic_settings.h"
#include "varve/state/v1/metadata.pb.h"

namespace varve::server {
namespace {

namespace state = varve::state::v1;

constexpr std::string_view kNamespace = "default";
// Replicas of a topic that does not say how many, where there are as many brokers.
constexpr size_t kMostDefaultReplicas = 3;

TopicId RandomTopicId(Random& random) {
  TopicId id;
  do {
    for (uint8_t& byte : id.bytes) byte = static_cast<uint8_t>(random.Next());
  } while (id.empty());
  return id;
}

EntityChange TopicChange(const TopicEntry& topic) {
  state::TopicValue value;
  value.set_name(topic.name);
  value.set_id(StoredId(topic.id));
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
  const size_t brokers = BrokersForReplicas(SIZE_MAX).size();
  if (request->replication_factor == 0)
    request->replication_factor = static_cast<uint32_t>(std::min(brokers, kMostDefaultReplicas));
  if (request->partitions > limits::kMaxPartitionsPerTopic)
    return MakeError(Reason::INVALID_PARTITIONS, request->partitions, " partitions are more than ",
                     limits::kMaxPartitionsPerTopic);
  if (partitions + request->partitions > limits::kMaxPartitionsPerBroker)
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
  const std::vector<NodeId> brokers = BrokersForReplicas(request.replication_factor);
  const uint64_t first = next_group_.value();
  for (uint32_t i = 0; i < request.partitions; ++i) {
    state::PartitionValue partition;
    partition.set_group_id(next_group_.value());
    ++next_group_;
    // One broker further for each partition: the leaders of a topic are spread evenly.
    for (uint32_t r = 0; r < request.replication_factor; ++r) {
      const NodeId node = brokers[(first + i + r) % brokers.size()];
      auto* replica = partition.add_replicas();
      replica->set_node(node.value());
      replica->set_replica_epoch(EpochOf(node).value());
    }
    partition.set_created_ms(now.value());
    changes.push_back(
        {PartitionKey(std::string(kNamespace), id, PartitionId(i)), partition.SerializeAsString()});
  }
  changes.push_back(ClusterChange(next_group_));
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

void Controller::AlterTopic(AlterTopicRequest request, TopicDone done) {
  if (absl::Status status = CheckDeciding(); !status.ok()) return done(std::move(status));
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
  if (absl::Status status = CheckDeciding(); !status.ok()) return done(std::move(status));
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

}  // namespace varve::server
