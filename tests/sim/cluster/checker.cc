#include "tests/sim/cluster/checker.h"

#include <set>

namespace varve::clustersim {

void Checker::Look() {
  for (size_t i = 0; i < world_.cluster.size(); ++i) {
    server::SimNode& node = world_.cluster.node(i);
    if (!node.ready() || node.frozen()) continue;
    LookAtBroker(i);
    LookAtPlacements(i);
    node.broker().partitions().ForEach(
        [this, i](server::Partition& partition) { LookAt(i, partition); });
  }
}

void Checker::LookAtBroker(size_t i) {
  server::Broker& broker = world_.cluster.node(i).broker();
  const ClusterId cluster = broker.directory().identity().cluster;
  if (!cluster_) cluster_ = cluster;
  if (*cluster_ != cluster)
    world_.oracle.Violate("broker ", i + 1, " is of cluster ", cluster.ToString(), ", not ",
                          cluster_->ToString());
  const auto fold = broker.state_store().FindFold(kMetadataGroup);
  const auto hash =
      broker.state_store().HashFold(kMetadataGroup, storage::StateStore::Hashed::kContent);
  if (!fold.ok() || !*fold || !hash.ok()) return;
  const auto [at, added] = folds_.emplace((*fold)->position.applied, *hash);
  if (!added && at->second != *hash)
    world_.oracle.Violate("the metadata fold of broker ", i + 1, " at index ", at->first,
                          " differs from another broker's");
}

void Checker::LookAtPlacements(size_t i) {
  for (const server::TopicRef& topic : world_.cluster.node(i).broker().catalogue().List("", 1000)) {
    for (const server::PartitionPlacement& placement : topic->partitions) {
      std::set<NodeId> nodes;
      for (const ReplicaId& replica : placement.goal()) nodes.insert(replica.node);
      if (nodes.size() != topic->replication_factor)
        world_.oracle.Violate("group ", placement.group, " of topic ", topic->name, " is on ",
                              nodes.size(), " brokers, not ", topic->replication_factor);
    }
  }
}

void Checker::LookAt(size_t i, const server::Partition& partition) {
  ++looks_;
  const raft::Core& core = partition.core();
  const NodeId node = world_.cluster.node(i).id();
  Group& group = groups_[partition.group()];
  if (core.role() == raft::Role::kLeader) {
    const auto [at, added] = group.leaders.emplace(core.term(), node);
    if (!added && at->second != node)
      world_.oracle.Violate("group ", partition.group(), " has two leaders of term ", core.term(),
                            ": ", at->second, " and ", node);
  }
  const Configurations& configurations = core.configurations();
  if (partition.group() == kMetadataGroup &&
      configurations.committed.configuration.voters.size() >= 3)
    world_.formed = true;
  const Index commit = core.commit_index();
  if (partition.log().commit_index() > commit)
    world_.oracle.Violate("group ", partition.group(), ": broker ", i + 1,
                          " has written down that index ", partition.log().commit_index(),
                          " is committed, and knows it of ", commit);
  if (const auto term = partition.log().TermAt(commit); term && commit > Index{}) {
    const auto [at, added] =
        group.committed.emplace(commit, Committed{*term, core.high_watermark(), i});
    if (!added && (at->second.term != *term || at->second.high_watermark != core.high_watermark()))
      world_.oracle.Violate("group ", partition.group(), ": brokers ", at->second.node + 1, " and ",
                            i + 1, " have committed index ", commit, " with terms ",
                            at->second.term, " and ", *term, ", high watermarks ",
                            at->second.high_watermark, " and ", core.high_watermark());
  }
  const auto& directory = world_.cluster.node(i).broker().directory().identity().directory;
  const auto [owner, added] =
      directories_.emplace(std::tuple(partition.group(), node, partition.self().epoch), directory);
  if (!added && owner->second != directory)
    world_.oracle.Violate("replica ", node, " of epoch ", partition.self().epoch, " of group ",
                          partition.group(), " is in a directory that is not the one it was in");
}

void Checker::Compare(size_t node, const EntryHeader& header, uint32_t payload_crc) {
  ++compared_;
  const auto [at, added] =
      groups_[header.group].entries.emplace(header.first_index, std::pair(header, payload_crc));
  if (!added && (at->second.first != header || at->second.second != payload_crc))
    world_.oracle.Violate("group ", header.group, ": the entry at index ", header.first_index,
                          " of broker ", node + 1, " differs from another replica's");
}

std::map<GroupId, Term> Checker::Terms() const {
  std::map<GroupId, Term> out;
  for (const auto& [id, group] : groups_)
    if (!group.leaders.empty()) out[id] = group.leaders.rbegin()->first;
  return out;
}

uint64_t Checker::elections() const {
  uint64_t sum = 0;
  for (const auto& [id, group] : groups_) sum += group.leaders.size();
  return sum;
}

}  // namespace varve::clustersim
