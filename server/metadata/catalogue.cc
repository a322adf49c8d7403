#include "server/metadata/catalogue.h"

#include <algorithm>
#include <mutex>

#include "common/error.h"
#include "common/limits.h"

namespace varve::server {

std::vector<ReplicaId> PartitionPlacement::goal() const {
  std::vector<ReplicaId> out;
  out.reserve(replicas.size());
  for (const PlacedReplica& placed : replicas) out.push_back(placed.replica);
  return out;
}

const PlacedReplica* PartitionPlacement::OnNode(NodeId node) const {
  const auto at = std::find_if(replicas.begin(), replicas.end(), [&](const PlacedReplica& placed) {
    return placed.replica.node == node;
  });
  return at == replicas.end() ? nullptr : &*at;
}

bool PartitionPlacement::MayBeOn(NodeId node) const {
  return OnNode(node) != nullptr ||
         std::any_of(leaving.begin(), leaving.end(),
                     [node](const PlacedReplica& placed) { return placed.replica.node == node; });
}

std::string FoldedTopicName(std::string_view name) {
  std::string out(name);
  std::replace(out.begin(), out.end(), '.', '_');
  return out;
}

TopicRef Catalogue::Find(std::string_view name) const {
  std::shared_lock lock(mutex_);
  const auto at = by_name_.find(name);
  return at == by_name_.end() ? nullptr : at->second;
}

TopicRef Catalogue::FindById(TopicId id) const {
  std::shared_lock lock(mutex_);
  const auto at = by_id_.find(id);
  return at == by_id_.end() ? nullptr : at->second;
}

TopicRef Catalogue::FindColliding(std::string_view name) const {
  std::shared_lock lock(mutex_);
  const auto at = by_folded_name_.find(FoldedTopicName(name));
  return at == by_folded_name_.end() ? nullptr : at->second;
}

std::vector<TopicRef> Catalogue::List(std::string_view after, size_t limit) const {
  std::shared_lock lock(mutex_);
  std::vector<TopicRef> out;
  for (auto at = by_name_.upper_bound(after); at != by_name_.end() && out.size() < limit; ++at)
    out.push_back(at->second);
  return out;
}

size_t Catalogue::size() const {
  std::shared_lock lock(mutex_);
  return by_name_.size();
}

uint64_t Catalogue::partition_count() const {
  std::shared_lock lock(mutex_);
  return partitions_;
}

bool Catalogue::HasGroup(GroupId group) const {
  std::shared_lock lock(mutex_);
  return groups_.contains(group);
}

std::optional<Catalogue::GroupAt> Catalogue::FindPlacement(GroupId group) const {
  std::shared_lock lock(mutex_);
  const auto at = groups_.find(group);
  if (at == groups_.end()) return std::nullopt;
  return GroupAt{by_id_.at(at->second.first), at->second.second};
}

uint64_t Catalogue::CountReplicas(NodeId node) const {
  std::shared_lock lock(mutex_);
  uint64_t count = 0;
  for (const auto& [id, topic] : by_id_)
    for (const PartitionPlacement& placement : topic->partitions)
      if (placement.MayBeOn(node)) ++count;
  return count;
}

void Catalogue::Put(TopicRef topic) {
  std::unique_lock lock(mutex_);
  RemoveLocked(topic->id);
  partitions_ += topic->partitions.size();
  for (uint32_t i = 0; i < topic->partitions.size(); ++i)
    groups_[topic->partitions[i].group] = {topic->id, PartitionId(i)};
  by_name_[topic->name] = topic;
  by_folded_name_[FoldedTopicName(topic->name)] = topic;
  by_id_[topic->id] = std::move(topic);
}

void Catalogue::Remove(TopicId id) {
  std::unique_lock lock(mutex_);
  RemoveLocked(id);
}

void Catalogue::RemoveLocked(TopicId id) {
  const auto at = by_id_.find(id);
  if (at == by_id_.end()) return;
  partitions_ -= at->second->partitions.size();
  for (const PartitionPlacement& partition : at->second->partitions) groups_.erase(partition.group);
  by_name_.erase(at->second->name);
  by_folded_name_.erase(FoldedTopicName(at->second->name));
  by_id_.erase(at);
}

absl::StatusOr<GroupId> Catalogue::FindGroup(std::string_view topic, PartitionId partition) const {
  const TopicRef found = Find(topic);
  if (found == nullptr) return UnknownTopic(topic);
  VARVE_RETURN_IF_ERROR(CheckPartition(*found, partition));
  return found->partitions[partition.value()].group;
}

void Catalogue::Clear() {
  std::unique_lock lock(mutex_);
  by_name_.clear();
  by_folded_name_.clear();
  by_id_.clear();
  groups_.clear();
  partitions_ = 0;
}

absl::Status UnknownTopic(std::string_view name) {
  return MakeError(Reason::UNKNOWN_TOPIC, "topic \"", name, "\" does not exist");
}

absl::Status CheckPartition(const TopicEntry& topic, PartitionId partition) {
  if (partition.value() < topic.partitions.size()) return absl::OkStatus();
  return MakeError(Reason::UNKNOWN_PARTITION, "topic \"", topic.name, "\" has ",
                   topic.partitions.size(), " partitions, not ", partition);
}

absl::Status CheckTopicName(std::string_view name) {
  const auto legal = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  if (name.empty()) return MakeError(Reason::INVALID_TOPIC_NAME, "the topic name is empty");
  if (name.size() > limits::kMaxTopicNameBytes)
    return MakeError(Reason::INVALID_TOPIC_NAME, "the topic name has ", name.size(),
                     " characters, more than ", limits::kMaxTopicNameBytes);
  if (name == "." || name == "..")
    return MakeError(Reason::INVALID_TOPIC_NAME, "\"", name, "\" is not a topic name");
  const auto bad = std::find_if_not(name.begin(), name.end(), legal);
  if (bad != name.end())
    return MakeError(Reason::INVALID_TOPIC_NAME, "the topic name has an illegal character (byte ",
                     static_cast<int>(static_cast<unsigned char>(*bad)), ") at position ",
                     bad - name.begin());
  return absl::OkStatus();
}

}  // namespace varve::server
