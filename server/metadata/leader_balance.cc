#include "server/metadata/leader_balance.h"

#include <algorithm>
#include <deque>
#include <utility>

namespace varve::server {
namespace {

// How long leaders and brokers have to stay as they are, and between two rounds.
constexpr Nanos kSettle = 3 * kSecond;
constexpr Nanos kBetweenRounds = 2 * kSecond;
// Each is a short gap for writers: a few at a time.
constexpr size_t kMovesPerRound = 16;
constexpr size_t kPage = 1000;

using Counts = std::map<NodeId, size_t>;

// A chain of hand-overs that ends at a broker which leads at least two fewer than `from`: shortest
// first. Each step is the index of a partition and its next leader. Empty: there is none.
using Chain = std::vector<std::pair<size_t, NodeId>>;
Chain FindChain(const std::vector<LedPartition>& partitions, const Counts& led, NodeId from) {
  std::map<NodeId, std::pair<size_t, NodeId>> reached_by;  // partition, and its leader
  std::deque<NodeId> edge = {from};
  while (!edge.empty()) {
    const NodeId at = edge.front();
    edge.pop_front();
    if (led.at(at) + 2 <= led.at(from)) {
      Chain chain;
      for (NodeId to = at; to != from; to = reached_by.at(to).second)
        chain.emplace_back(reached_by.at(to).first, to);
      return chain;
    }
    for (size_t i = 0; i < partitions.size(); ++i) {
      if (partitions[i].leader != at) continue;
      for (const NodeId next : partitions[i].nodes) {
        if (next == from || !led.contains(next) || reached_by.contains(next)) continue;
        reached_by[next] = {i, at};
        edge.push_back(next);
      }
    }
  }
  return {};
}

bool ImproveOnce(std::vector<LedPartition>* partitions, Counts* led) {
  std::vector<NodeId> by_count;
  for (const auto& [node, count] : *led) by_count.push_back(node);
  std::stable_sort(by_count.begin(), by_count.end(),
                   [&](NodeId a, NodeId b) { return led->at(a) > led->at(b); });
  for (const NodeId from : by_count) {
    const Chain chain = FindChain(*partitions, *led, from);
    if (chain.empty()) continue;
    for (const auto& [i, to] : chain) {
      --led->at((*partitions)[i].leader);
      ++led->at(to);
      (*partitions)[i].leader = to;
    }
    return true;
  }
  return false;
}

}  // namespace

std::vector<LeaderMove> BalanceTopic(std::vector<LedPartition> partitions,
                                     const std::set<NodeId>& live) {
  Counts led;
  for (const LedPartition& partition : partitions)
    for (const NodeId node : partition.nodes)
      if (live.contains(node)) led.try_emplace(node, 0);
  std::erase_if(partitions, [&](const LedPartition& p) { return !led.contains(p.leader); });
  for (const LedPartition& partition : partitions) ++led[partition.leader];
  const std::vector<LedPartition> before = partitions;
  while (ImproveOnce(&partitions, &led)) {
  }
  std::vector<LeaderMove> moves;
  for (size_t i = 0; i < partitions.size(); ++i)
    if (partitions[i].leader != before[i].leader)
      moves.push_back({partitions[i].group, partitions[i].leader});
  return moves;
}

std::vector<LeaderMove> LeaderBalancer::FindMoves() const {
  std::set<NodeId> live;
  for (const BrokerInfo& broker : view_.brokers())
    if (view_.IsLive(broker.node)) live.insert(broker.node);
  std::vector<LeaderMove> moves;
  for (std::string after; moves.size() < kMovesPerRound;) {
    const auto page = catalogue_.List(after, kPage);
    if (page.empty()) break;
    for (const TopicRef& topic : page) {
      std::vector<LedPartition> partitions;
      for (const PartitionPlacement& placement : topic->partitions) {
        const auto leader = view_.LeaderOf(placement.group);
        if (!leader || !placement.leaving.empty()) continue;
        partitions.push_back({placement.group, leader->node, {}});
        for (const PlacedReplica& placed : placement.replicas)
          partitions.back().nodes.push_back(placed.replica.node);
      }
      for (const LeaderMove& move : BalanceTopic(std::move(partitions), live))
        moves.push_back(move);
    }
    after = page.back()->name;
  }
  if (moves.size() > kMovesPerRound) moves.resize(kMovesPerRound);
  return moves;
}

void LeaderBalancer::Review() {
  const MonoTime now = clock_.Now();
  if (const uint64_t changes = view_.changes(); changes != seen_) {
    seen_ = changes;
    balanced_ = false;
    settled_ = std::max(settled_, now + kSettle);
  }
  if (balanced_ || now < settled_) return;
  const std::vector<LeaderMove> moves = FindMoves();
  balanced_ = moves.empty();
  settled_ = now + kBetweenRounds;
  for (const LeaderMove& move : moves) transfer_(move.group, move.to);
}

}  // namespace varve::server
