#include "tests/raft/core_cluster.h"

#include <utility>

#include "tests/raft/core_harness.h"

namespace varve::raft {

ReplicaId ReplicaOf(uint64_t node) {
  return {NodeId{static_cast<NodeId::rep>(node)}, ReplicaEpoch{1}};
}

CoreCluster::CoreCluster(ClusterOptions options) : options_(std::move(options)) {
  Configuration configuration = options_.configuration;
  for (uint64_t id = 1; options_.configuration.voters.empty() && id <= options_.nodes; ++id) {
    configuration.voters.push_back(ReplicaOf(id));
  }
  for (uint64_t id = 1; id <= options_.nodes; ++id) {
    const MemoryLog log(configuration, options_.index);
    Node node{ReplicaOf(id), log, log, log, nullptr, {}, false, options_.index, {}, {}, {}, {}};
    Start(nodes_.emplace(id, std::move(node)).first->second);
  }
}

void CoreCluster::Start(Node& node) {
  CoreOptions options = options_.core;
  options.group = kGroup;
  options.self = node.self;
  options.seed = node.self.node.value();
  node.written = node.durable;
  node.core = std::make_unique<Core>(options, node.durable.State());
  if (node.fixed_timeout) node.core->FixElectionTimeout(*node.fixed_timeout);
}

void CoreCluster::Step(uint64_t id, Input input) {
  Node& node = nodes_.at(id);
  node.core->Step(std::move(input));
  TakeEffects(node);
  if (!node.held) FinishDisk(id, SIZE_MAX);
}

// What is asked of the owner is answered at once, and may ask for more.
void CoreCluster::TakeEffects(Node& node) {
  for (bool more = true; more;) {
    Effects effects = node.core->TakeEffects();
    for (DiskOperation& operation : effects.disk) {
      node.written.Apply(operation, FilesOf(operation));
      node.disk.push_back(std::move(operation));
    }
    for (Message& message : effects.messages) Send(std::move(message));
    node.results.insert(node.results.end(), effects.results.begin(), effects.results.end());
    node.reads.insert(node.reads.end(), effects.reads.begin(), effects.reads.end());
    node.refused.insert(node.refused.end(), effects.refused.begin(), effects.refused.end());
    for (const LoadEntries& load : effects.loads) {
      node.core->Step(
          EntriesLoaded{load.peer, load.from, node.written.Read(load.from, load.max_bytes)});
    }
    for (const PrepareInstall& prepare : effects.prepare_installs) {
      const MemoryLog files = node.written.FilesThrough(node.core->commit_index());
      const InstallPoint point = files.point();
      files_.insert_or_assign({point.end.last_index, point.end.last_term}, files);
      node.core->Step(InstallReady{prepare.peer, point});
    }
    if (effects.stage_install) node.core->Step(InstallStaged{effects.stage_install->point});
    more = !effects.loads.empty() || !effects.prepare_installs.empty() || effects.stage_install;
  }
}

const MemoryLog* CoreCluster::FilesOf(const DiskOperation& operation) const {
  if (!operation.install) return nullptr;
  return &files_.at({operation.install->end.last_index, operation.install->end.last_term});
}

void CoreCluster::Send(Message message) {
  const bool lost =
      isolated_.contains(message.from.node.value()) || isolated_.contains(message.to.node.value());
  if (!lost) messages_.push_back(std::move(message));
}

ProposalId CoreCluster::Propose(uint64_t id, uint32_t records) {
  const ProposalId proposal{++last_proposal_};
  Step(id, raft::Propose{proposal, EntryKind::kData, Batch(records), records, std::nullopt,
                         WallTime{1'000}});
  return proposal;
}

ProposalId CoreCluster::ProposeConfig(uint64_t id, const Configuration& configuration) {
  const ProposalId proposal{++last_proposal_};
  Step(id, raft::Propose{proposal, EntryKind::kConfig,
                         FrameBuffer::Copy(EncodeConfiguration(configuration)), 0, std::nullopt,
                         WallTime{1'000}});
  return proposal;
}

ReadId CoreCluster::ReadBarrier(uint64_t id) {
  const ReadId read{++last_read_};
  Step(id, raft::ReadBarrier{read});
  return read;
}

size_t CoreCluster::Deliver(const Filter& filter) {
  std::deque<Message> now;
  std::deque<Message> kept;
  for (Message& message : messages_) {
    (filter(message) ? now : kept).push_back(std::move(message));
  }
  messages_ = std::move(kept);
  for (Message& message : now) {
    const uint64_t to = message.to.node.value();
    if (nodes_.contains(to)) Step(to, Receive{std::move(message)});
  }
  return now.size();
}

size_t CoreCluster::Drop(const Filter& filter) { return std::erase_if(messages_, filter); }

bool CoreCluster::Stabilize(const std::set<uint64_t>& ids, size_t limit) {
  const auto to_them = [&](const Message& message) {
    return ids.empty() || ids.contains(message.to.node.value());
  };
  size_t delivered = 0;
  for (size_t n = Deliver(to_them); n > 0; n = Deliver(to_them)) {
    delivered += n;
    if (delivered > limit) return false;
  }
  return true;
}

void CoreCluster::Elect(uint64_t id) {
  Step(id, Campaign{});
  Stabilize();
}

void CoreCluster::HoldDisk(uint64_t id, bool hold) {
  nodes_.at(id).held = hold;
  if (!hold) FinishDisk(id, SIZE_MAX);
}

void CoreCluster::FinishDisk(uint64_t id, size_t count) {
  Node& node = nodes_.at(id);
  for (; count > 0 && !node.disk.empty(); --count) {
    const DiskOperation operation = std::move(node.disk.front());
    node.disk.pop_front();
    node.durable.Apply(operation, FilesOf(operation));
    node.core->Step(DiskDone{operation.sequence, operation.term});
    TakeEffects(node);
  }
}

void CoreCluster::Compact(uint64_t id, Index index) {
  Node& node = nodes_.at(id);
  node.written.Compact(index);
  node.durable.Compact(index);
  Step(id, LogStartMoved{node.written.start()});
}

void CoreCluster::Restart(uint64_t id) {
  Node& node = nodes_.at(id);
  node.disk.clear();
  node.held = false;
  node.applied = node.durable.commit_index();
  Start(node);
}

void CoreCluster::Wipe(uint64_t id) {
  Node& node = nodes_.at(id);
  node.self.epoch = node.self.epoch + 1;
  node.durable = node.fresh;
  Restart(id);
}

void CoreCluster::Isolate(uint64_t id) {
  isolated_.insert(id);
  Drop([&](const Message& message) {
    return message.from.node.value() == id || message.to.node.value() == id;
  });
}

void CoreCluster::FixElectionTimeout(uint64_t id, uint64_t ticks) {
  nodes_.at(id).fixed_timeout = ticks;
  nodes_.at(id).core->FixElectionTimeout(ticks);
}

void CoreCluster::ForgetResults() {
  for (auto& [id, node] : nodes_) {
    node.results.clear();
    node.reads.clear();
    node.refused.clear();
  }
}

}  // namespace varve::raft
