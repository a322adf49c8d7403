#include "server/metadata/entity_key.h"

#include <utility>

#include "common/bytes.h"
#include "common/check.h"
#include "common/error.h"

namespace varve::server {
namespace {

constexpr uint8_t kKeyVersion = 1;

void PutBig32(std::string* out, uint32_t v) {
  const size_t at = out->size();
  out->resize(at + sizeof v);
  StoreBig(out->data() + at, v);
}

void PutBig64(std::string* out, uint64_t v) {
  const size_t at = out->size();
  out->resize(at + sizeof v);
  StoreBig(out->data() + at, v);
}

void PutScope(std::string* out, std::string_view name_space) {
  VARVE_CHECK(name_space.size() <= 255, "namespace of ", name_space.size(), " bytes");
  out->push_back(static_cast<char>(name_space.size()));
  out->append(name_space);
}

void PutTopic(std::string* out, TopicId topic) {
  out->append(reinterpret_cast<const char*>(topic.bytes.data()), topic.bytes.size());
}

// Namespace and topic id, which topic and partition keys share.
bool GetScope(ByteReader& in, EntityKey* key) {
  key->name_space = std::string(in.GetBytes(in.Get<uint8_t>()));
  const std::string_view id = in.GetBytes(key->topic.bytes.size());
  if (!in.ok()) return false;
  std::copy(id.begin(), id.end(), key->topic.bytes.begin());
  return true;
}

}  // namespace

EntityKey ClusterKey() { return {.type = EntityType::kCluster}; }
EntityKey TopicKey(std::string name_space, TopicId topic) {
  return {.type = EntityType::kTopic, .name_space = std::move(name_space), .topic = topic};
}
EntityKey PartitionKey(std::string name_space, TopicId topic, PartitionId partition) {
  return {.type = EntityType::kPartition,
          .name_space = std::move(name_space),
          .topic = topic,
          .partition = partition};
}
EntityKey RemovedGroupKey(GroupId group) {
  return {.type = EntityType::kRemovedGroup, .group = group};
}

EntityKey BrokerKey(NodeId node) { return {.type = EntityType::kBroker, .node = node}; }

std::string EntityTypePrefix(EntityType type) {
  return {static_cast<char>(type), static_cast<char>(kKeyVersion)};
}

std::string TopicPartitionsPrefix(const std::string& name_space, TopicId topic) {
  std::string out = EntityTypePrefix(EntityType::kPartition);
  PutScope(&out, name_space);
  PutTopic(&out, topic);
  return out;
}

std::string EncodeEntityKey(const EntityKey& key) {
  std::string out = EntityTypePrefix(key.type);
  switch (key.type) {
    case EntityType::kCluster:
      break;
    case EntityType::kTopic:
      PutScope(&out, key.name_space);
      PutTopic(&out, key.topic);
      break;
    case EntityType::kPartition:
      PutScope(&out, key.name_space);
      PutTopic(&out, key.topic);
      PutBig32(&out, key.partition.value());
      break;
    case EntityType::kRemovedGroup:
      PutBig64(&out, key.group.value());
      break;
    case EntityType::kBroker:
      PutBig32(&out, key.node.value());
      break;
  }
  return out;
}

absl::StatusOr<EntityKey> DecodeEntityKey(std::string_view bytes) {
  ByteReader in(bytes);
  EntityKey key;
  const auto type = in.Get<uint8_t>();
  const auto version = in.Get<uint8_t>();
  if (type < 1 || type > static_cast<uint8_t>(EntityType::kBroker) || version != kKeyVersion)
    return MakeError(Reason::UNSUPPORTED_FEATURE, "metadata key of type ", +type, " version ",
                     +version, " is not known to this version");
  key.type = static_cast<EntityType>(type);
  bool ok = true;
  switch (key.type) {
    case EntityType::kCluster:
      break;
    case EntityType::kTopic:
      ok = GetScope(in, &key);
      break;
    case EntityType::kPartition:
      ok = GetScope(in, &key);
      if (const std::string_view n = in.GetBytes(4); in.ok())
        key.partition = PartitionId(LoadBig<uint32_t>(n.data()));
      break;
    case EntityType::kRemovedGroup:
      if (const std::string_view n = in.GetBytes(8); in.ok())
        key.group = GroupId(LoadBig<uint64_t>(n.data()));
      break;
    case EntityType::kBroker:
      if (const std::string_view n = in.GetBytes(4); in.ok())
        key.node = NodeId(LoadBig<uint32_t>(n.data()));
      break;
  }
  if (!ok || !in.ok() || in.remaining() != 0)
    return MakeError(Reason::DATA_LOSS, "metadata key of type ", +type, " has ", bytes.size(),
                     " bytes, which is not its length");
  return key;
}

}  // namespace varve::server
