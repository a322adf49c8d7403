#include "tests/raft/shell/shell_cluster.h"

#include <utility>

#include "tests/raft/core_harness.h"

namespace varve::raft {
namespace {

std::vector<ReplicaId> ReplicasOn(const std::vector<NodeId>& nodes) {
  std::vector<ReplicaId> out;
  out.reserve(nodes.size());
  for (const NodeId node : nodes) out.push_back({node, ReplicaEpoch{1}});
  return out;
}

}  // namespace

ShellNode::ShellNode(SimScheduler& scheduler, sim::SimNetwork& network, NodeId id, size_t groups,
                     std::vector<NodeId> all)
    : scheduler_(scheduler), network_(network), id_(id), replicas_(groups) {
  for (Replica& replica : replicas_) {
    replica.durable = FreshState(ReplicasOn(all));
    replica.refused = &refused_;
  }
}

ShellNode::~ShellNode() { Crash(); }

void ShellNode::Start(uint64_t process_epoch, const std::vector<NodeId>& all) {
  shard_ = scheduler_.NewExecutor("shard");
  home_ = scheduler_.NewExecutor("hub");
  transport_ = network_.NewTransport(id_);
  PeerHubOptions options;
  options.self = id_;
  options.process_epoch = process_epoch;
  hub_ = std::make_unique<PeerHub>(options, *transport_, static_cast<GroupRouter&>(*this),
                                   static_cast<PeerHubListener&>(*this), *home_, scheduler_.clock(),
                                   std::vector<Executor*>{shard_.get()});
  std::map<NodeId, std::string> peers;
  for (const NodeId node : all) peers[node] = "sim";
  hub_->Start();
  hub_->SetPeers(std::move(peers));
  for (size_t i = 0; i < replicas_.size(); ++i) {
    Replica& replica = replicas_[i];
    replica.log = std::make_unique<MemoryLogStore>(scheduler_, *shard_, kMillisecond,
                                                   *replica.durable, replica.entries);
    CoreOptions core{GroupId{kFirstGroup.value() + i}, {id_, ReplicaEpoch{1}}, 1 << 20};
    core.seed = scheduler_.random().Next();
    replica.group = std::make_unique<Group>(core, *replica.log, *shard_, scheduler_.clock(),
                                            static_cast<GroupListener&>(replica), hub_.get());
    shard_->Post([group = replica.group.get()] { group->Start(); });
  }
}

void ShellNode::Crash() {
  if (!running()) return;
  transport_->SetListener(nullptr);
  for (Replica& replica : replicas_) {
    replica.durable = replica.log->durable();
    replica.entries = replica.log->entries();
    replica.group.reset();
    replica.log.reset();
  }
  hub_.reset();
  transport_.reset();
  shard_.reset();
  home_.reset();
  liveness_.clear();
  leaders_.clear();
}

ShellNode::Replica* ShellNode::Find(GroupId group) {
  const uint64_t i = group.value() - kFirstGroup.value();
  return i < replicas_.size() && replicas_[i].group ? &replicas_[i] : nullptr;
}

void ShellNode::Deliver(std::vector<Message> messages) {
  messages_delivered_ += messages.size();
  shard_->Post([this, messages = std::move(messages)]() mutable {
    std::map<GroupId, std::vector<Message>> by_group;
    for (Message& message : messages) by_group[message.group].push_back(std::move(message));
    for (auto& [group, mine] : by_group)
      if (Replica* replica = Find(group)) replica->group->Receive(std::move(mine));
  });
}

void ShellNode::Tell(std::vector<PeerNews> news) {
  shard_->Post([this, news = std::move(news)] {
    for (const PeerNews& item : news)
      if (Replica* replica = Find(item.group)) replica->group->Hear(item);
  });
}

void ShellNode::TellLost(NodeId node) {
  shard_->Post([this, node] {
    for (size_t i = 0; i < replicas_.size(); ++i)
      replicas_[i].group->Hear(
          {PeerNews::Kind::kLost, GroupId{kFirstGroup.value() + i}, node, Term{}});
  });
}

void ShellNode::OnLed(NodeId node, const LedView::Changes& changes) {
  for (const LedGroup& led : changes.led) leaders_[led.group] = node;
  for (const GroupId group : changes.not_led)
    if (leaders_[group] == node) leaders_.erase(group);
}

ShellCluster::ShellCluster(uint64_t seed, size_t nodes, size_t groups)
    : scheduler(seed), network(scheduler, {}), groups_(groups), epochs_(nodes) {
  for (size_t i = 0; i < nodes; ++i) ids_.push_back(NodeId{static_cast<uint32_t>(i + 1)});
  for (size_t i = 0; i < nodes; ++i) {
    nodes_.push_back(std::make_unique<ShellNode>(scheduler, network, ids_[i], groups, ids_));
    Restart(i);
  }
}

ShellCluster::~ShellCluster() = default;

std::optional<size_t> ShellCluster::LeaderOf(size_t group) {
  std::optional<size_t> best;
  Term term;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (!nodes_[i]->running()) continue;
    const Core& core = nodes_[i]->group(group).core();
    if (!core.leadership_confirmed() || core.term() < term) continue;
    best = i;
    term = core.term();
  }
  return best;
}

bool ShellCluster::AllLed() {
  for (size_t g = 0; g < groups_; ++g)
    if (!LeaderOf(g)) return false;
  return true;
}

std::optional<Nanos> ShellCluster::AwaitLeaders(Nanos limit) {
  const MonoTime begin = scheduler.Now();
  while (!AllLed()) {
    if (scheduler.Now() - begin > limit) return std::nullopt;
    scheduler.RunFor(5 * kMillisecond);
  }
  return scheduler.Now() - begin;
}

bool ShellCluster::Commit(size_t group, Nanos limit) {
  const MonoTime begin = scheduler.Now();
  while (scheduler.Now() - begin < limit) {
    const auto leader = LeaderOf(group);
    if (!leader) {
      scheduler.RunFor(5 * kMillisecond);
      continue;
    }
    ShellNode& node = *nodes_[*leader];
    const size_t before = node.committed(group);
    node.shard().Post(
        [&node, group] { node.group(group).Propose(Batch(1), EntryKind::kData, 1, std::nullopt); });
    if (scheduler.RunUntil([&] { return !node.running() || node.committed(group) > before; },
                           2 * kSecond) &&
        node.running())
      return true;
  }
  return false;
}

bool ShellCluster::AllAsleep() {
  for (const auto& node : nodes_) {
    if (!node->running()) continue;
    for (size_t g = 0; g < groups_; ++g)
      if (!node->group(g).asleep()) return false;
  }
  return true;
}

}  // namespace varve::raft
