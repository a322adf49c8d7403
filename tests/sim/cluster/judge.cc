#include "tests/sim/cluster/judge.h"

#include <algorithm>
#include <set>

#include "common/crc32c.h"
#include "common/record_batch.h"
#include "server/metadata/leader_balance.h"

namespace varve::clustersim {

Judge::Replicas Judge::Gather() {
  Replicas out;
  for (size_t i = 0; i < world_.cluster.size(); ++i) {
    if (!world_.Serves(i)) continue;
    world_.cluster.node(i).broker().partitions().ForEach([&out, i](server::Partition& partition) {
      const storage::PartitionLog& log = partition.log();
      out[partition.group()].push_back({i, partition.commit_index(), log.end().last_index,
                                        partition.foldable_index(), log.start().index,
                                        partition.core().term(), partition.leader(),
                                        partition.serving(), !partition.suspicion().ok()});
    });
  }
  world_.cluster.scheduler.RunFor(kMillisecond);
  for (auto& [group, replicas] : out)
    std::sort(replicas.begin(), replicas.end(),
              [](const Replica& a, const Replica& b) { return a.node < b.node; });
  return out;
}

std::map<GroupId, std::vector<size_t>> Judge::Expected() {
  std::map<GroupId, std::vector<size_t>> out;
  for (size_t i = 0; i < world_.cluster.size(); ++i) out[kMetadataGroup].push_back(i);
  for (const server::TopicRef& topic : world_.cluster.node(0).broker().catalogue().List("", 1000))
    for (const server::PartitionPlacement& placement : topic->partitions)
      for (const server::PlacedReplica& placed : placement.replicas)
        out[placement.group].push_back(placed.replica.node.value() - 1);
  for (auto& [group, nodes] : out) std::sort(nodes.begin(), nodes.end());
  return out;
}

std::string Judge::UnsettledGroup(GroupId group, const std::vector<size_t>& expected,
                                  const std::vector<Replica>& found) {
  const auto told = StrCat("group ", group, ": ");
  std::vector<size_t> nodes;
  size_t serving = 0;
  NodeId leader;
  for (const Replica& replica : found) {
    nodes.push_back(replica.node);
    if (replica.suspect) return StrCat(told, "broker ", replica.node + 1, " is suspect");
    if (!replica.serves) continue;
    ++serving;
    leader = world_.cluster.node(replica.node).id();
  }
  if (nodes != expected)
    return StrCat(told, nodes.size(), " replicas are here, not ", expected.size());
  if (serving != 1) return StrCat(told, serving, " replicas serve");
  for (const Replica& replica : found) {
    if (replica.leader != leader)
      return StrCat(told, "broker ", replica.node + 1, " follows ", replica.leader, ", not ",
                    leader);
    if (replica.commit != found[0].commit || replica.end != found[0].commit ||
        replica.foldable != found[0].commit)
      return StrCat(told, "broker ", replica.node + 1, " ends at ", replica.end, ", has committed ",
                    replica.commit, " and may fold ", replica.foldable, "; broker ",
                    found[0].node + 1, " has committed ", found[0].commit);
  }
  for (size_t i = 0; i < world_.cluster.size(); ++i) {
    const auto known = world_.cluster.node(i).broker().cluster_view().LeaderOf(group);
    if (!known || known->node != leader)
      return StrCat(told, "broker ", i + 1, " does not know that ", leader, " leads");
  }
  return "";
}

// Empty when the leaders of each topic are spread evenly and no replica is about to move.
std::string Judge::Unbalanced() {
  const server::Broker& broker = world_.cluster.node(0).broker();
  std::set<NodeId> live;
  for (size_t i = 0; i < world_.cluster.size(); ++i) live.insert(world_.cluster.node(i).id());
  for (const server::TopicRef& topic : broker.catalogue().List("", 1000)) {
    std::vector<server::LedPartition> led;
    for (const server::PartitionPlacement& placement : topic->partitions) {
      if (!placement.leaving.empty()) return StrCat("group ", placement.group, " moves");
      const auto leader = broker.cluster_view().LeaderOf(placement.group);
      if (!leader) return StrCat("group ", placement.group, " has no leader");
      led.push_back({placement.group, leader->node, {}});
      for (const server::PlacedReplica& placed : placement.replicas)
        led.back().nodes.push_back(placed.replica.node);
    }
    if (!server::BalanceTopic(std::move(led), live).empty())
      return StrCat("the leaders of topic ", topic->name, " are spread unevenly");
  }
  return "";
}

std::string Judge::Unsettled() {
  if (world_.under_way() > 0) return StrCat(world_.under_way(), " requests are under way");
  for (size_t i = 0; i < world_.cluster.size(); ++i)
    if (!world_.Serves(i))
      return StrCat("broker ", i + 1,
                    " does not serve: ", MessageOf(world_.cluster.node(i).failure()),
                    "; it waits for ", world_.cluster.node(i).waits_for());
  // Until then leaders may be handed over.
  for (size_t i = 0; i < world_.cluster.size(); ++i)
    if (!world_.cluster.node(i).broker().partitions().clock_watch().AdmitData().ok())
      return StrCat("broker ", i + 1, " doubts its clock");
  std::set<std::string> wanted;
  for (const auto& [name, topic] : world_.topics) {
    if (topic.state == KnownTopic::State::kExists) wanted.insert(name);
    if (topic.state == KnownTopic::State::kWanted || topic.state == KnownTopic::State::kUnwanted)
      return StrCat("topic ", name, " is neither made nor gone");
  }
  for (size_t i = 0; i < world_.cluster.size(); ++i) {
    std::set<std::string> known;
    for (const auto& topic : world_.cluster.node(i).broker().catalogue().List("", 1000))
      known.insert(topic->name);
    if (known != wanted)
      return StrCat("broker ", i + 1, " knows ", known.size(), " topics, not the ", wanted.size(),
                    " that there are");
  }
  const auto expected = Expected();
  Replicas found = Gather();
  for (const auto& [group, nodes] : expected)
    if (std::string why = UnsettledGroup(group, nodes, found[group]); !why.empty()) return why;
  for (const auto& [group, replicas] : found)
    if (!expected.contains(group) && !replicas.empty())
      return StrCat("group ", group, " is not of any topic, and on broker ", replicas[0].node + 1);
  return Unbalanced();
}

bool Judge::AwaitSettled(Nanos limit) {
  const MonoTime end = world_.Now() + limit;
  std::string why = "nobody looked";
  while (world_.Now() < end && !world_.oracle.broken()) {
    world_.cluster.scheduler.RunFor(100 * kMillisecond);
    storm_.Revive();
    why = Unsettled();
    if (why.empty()) return true;
  }
  if (!world_.oracle.broken())
    world_.oracle.Violate("no faults for ", limit / kSecond,
                          " s, and the cluster has not settled: ", why);
  return false;
}

void Judge::CheckCalm() {
  const Replicas before = Gather();
  world_.cluster.scheduler.RunFor(8 * kSecond);
  const Replicas after = Gather();
  // Longer than any sync interval: whatever was reserved lies in segments, or was given back.
  for (size_t i = 0; i < world_.cluster.size(); ++i)
    if (const size_t dirty = world_.cluster.node(i).broker().directory().dirty_bytes(); dirty > 0)
      world_.oracle.Violate("broker ", i + 1, " counts ", dirty, " dirty bytes while it rests");
  for (const auto& [group, replicas] : before) {
    const auto at = after.find(group);
    if (at == after.end() || at->second.size() != replicas.size()) {
      world_.oracle.Violate("replicas of group ", group, " came or went while nothing happened");
      continue;
    }
    for (size_t i = 0; i < replicas.size(); ++i)
      if (replicas[i].term != at->second[i].term)
        world_.oracle.Violate("group ", group, ": broker ", replicas[i].node + 1,
                              " went from term ", replicas[i].term, " to ", at->second[i].term,
                              " while nothing happened: first ", replicas[i].leader, " led, then ",
                              at->second[i].leader);
  }
}

void Judge::CheckSurvives(size_t without) {
  storm_.Strike(without);
  world_.acknowledged_at.clear();
  world_.Work();
  const std::vector<Place> places = world_.Places();
  // Topics that are deleted meanwhile take none.
  const auto done = [&] {
    return std::all_of(places.begin(), places.end(), [&](const Place& place) {
      return world_.acknowledged_at.contains(place) ||
             world_.topics.at(place.topic).state != KnownTopic::State::kExists;
    });
  };
  // Writers choose at random: so long that hardly ever one is not chosen at all.
  const Nanos limit = 20 * kSecond + 30 * world_.options.think * static_cast<Nanos>(places.size());
  const MonoTime end = world_.Now() + limit;
  while (world_.Now() < end && !world_.oracle.broken() && !done())
    world_.cluster.scheduler.RunFor(100 * kMillisecond);
  if (!done())
    world_.oracle.Violate("without broker ", without + 1, " some of ", places.size(),
                          " partitions took no write for ", limit / kSecond, " s");
  world_.Rest();
  server::SimNode& node = world_.cluster.node(without);
  if (node.frozen()) node.Thaw();
  if (!node.running()) node.Start();
  storm_.End();
}

void Judge::ShowBatch(const Place& place, const Entry& entry) {
  const auto view = RecordBatchView::Parse(entry.payload());
  if (!view.ok())
    return world_.oracle.Violate("a batch does not parse: ", MessageOf(view.status()));
  RecordBatchReader reader(*view);
  Offset offset = entry.header.base_offset;
  while (const RecordView* record = reader.Next())
    world_.oracle.Found(place, std::exchange(offset, offset + 1), record->value.value_or(""));
  if (offset != entry.header.next_offset())
    world_.oracle.Violate("a batch ends at offset ", offset, " and its entry at ",
                          entry.header.next_offset());
}

void Judge::ReadLog(size_t i, GroupId group, const std::optional<Place>& place) {
  struct Reading {
    bool done = false, begins = true;
    Index next;
    Offset start, end;
  };
  auto at = std::make_shared<Reading>();
  server::PartitionHost& host = world_.cluster.node(i).broker().partitions();
  const auto show = [this, i, at, place](absl::StatusOr<storage::ReadResult> read) {
    at->done = true;
    if (!read.ok())
      return world_.oracle.Violate("broker ", i + 1,
                                   " cannot read its log: ", MessageOf(read.status()));
    for (const Entry& entry : read->entries) {
      // The log start may lie within its first entry, or above it.
      if (at->begins) at->end = entry.header.base_offset;
      at->begins = false;
      if (entry.header.first_index != at->next || entry.header.base_offset != at->end)
        world_.oracle.Violate("broker ", i + 1, ": entry ", entry.header.first_index, " at offset ",
                              entry.header.base_offset, " where ", at->next, " at offset ", at->end,
                              " ought to be");
      checker_.Compare(i, entry.header, Crc32c(entry.payload()));
      if (place && entry.header.kind == EntryKind::kData) ShowBatch(*place, entry);
      at->next = entry.header.last_index + 1;
      at->end = entry.header.next_offset();
    }
  };
  bool more = true;
  bool first = true;
  while (more && !world_.oracle.broken()) {
    at->done = false;
    host.With(group, [&](server::Partition* partition) {
      more = partition != nullptr;
      at->done = !more;
      if (!more) return;
      if (std::exchange(first, false)) {
        at->next = partition->log().start().index;
        at->start = partition->log().start().offset;
        at->end = at->start;
      }
      more = at->next <= partition->foldable_index();
      at->done = !more;
      if (more) partition->ReadCommitted(at->next, 1 << 20, show);
    });
    if (!world_.cluster.scheduler.RunUntil([&] { return at->done; }, 30 * kSecond))
      return world_.oracle.Violate("a read of broker ", i + 1, "'s log is never answered");
  }
  if (place && !world_.oracle.broken()) world_.oracle.CheckComplete(*place, at->start, at->end);
}

void Judge::CompareLogs() {
  std::map<GroupId, Place> places;
  for (const server::TopicRef& topic : world_.cluster.node(0).broker().catalogue().List("", 1000))
    for (size_t p = 0; p < topic->partitions.size(); ++p)
      places[topic->partitions[p].group] = {topic->name, PartitionId(static_cast<uint32_t>(p))};
  for (const auto& [group, nodes] : Expected()) {
    const auto at = places.find(group);
    for (const size_t node : nodes)
      ReadLog(node, group, at == places.end() ? std::nullopt : std::optional<Place>(at->second));
  }
}

}  // namespace varve::clustersim
