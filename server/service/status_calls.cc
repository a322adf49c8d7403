// LocalService: what this broker says of itself, of its replicas, and of what is stuck.
#include <algorithm>
#include <charconv>
#include <map>
#include <mutex>
#include <utility>

#include "common/error.h"
#include "server/service/local_service.h"
#include "server/version.h"

namespace varve::server {
namespace {

constexpr uint32_t kMaxConditions = 1000;
constexpr uint32_t kMaxReplicasPerPage = 1000;
constexpr size_t kTopicsAtOnce = 1000;

// Calls `use` for each topic, in order of name, while it returns true.
void ForEachTopic(const Catalogue& catalogue, std::string after,
                  absl::FunctionRef<bool(const TopicRef&)> use) {
  for (;;) {
    const std::vector<TopicRef> page = catalogue.List(after, kTopicsAtOnce);
    if (page.empty()) return;
    for (const TopicRef& topic : page)
      if (!use(topic)) return;
    after = page.back()->name;
  }
}

DirectoryState StateOf(const BrokerSight& sight) {
  if (!sight.health.ok()) return DirectoryState::kFailed;
  if (!sight.room.ok()) return DirectoryState::kFull;
  return sight.disk_slow ? DirectoryState::kSlow : DirectoryState::kOk;
}

// Partitions all of whose replicas are on brokers that are not heard: nobody else speaks of them.
void AddAbandoned(const LocalServiceParts& parts, MonoTime now, std::vector<Condition>* out) {
  ForEachTopic(parts.catalogue, "", [&](const TopicRef& topic) {
    for (size_t i = 0; i < topic->partitions.size(); ++i) {
      const PartitionPlacement& placement = topic->partitions[i];
      MonoTime last_lost = parts.watch.started();
      bool heard = placement.OnNode(parts.self) != nullptr;
      for (const ReplicaId replica : placement.goal()) {
        heard = heard || parts.view.IsLive(replica.node);
        last_lost = std::max(last_lost, parts.view.LostSince(replica.node).value_or(last_lost));
      }
      if (heard || now - last_lost <= BrokerWatch::kSilencePatience) continue;
      std::string cause = "no broker that holds a replica is heard:";
      for (const ReplicaId replica : placement.goal()) cause += StrCat(" node ", replica.node);
      out->push_back({ConditionCode::kLeaderless, now - last_lost, std::move(cause), NodeId{},
                      placement.group, topic->name, PartitionId(static_cast<uint32_t>(i))});
    }
    return true;
  });
}

void NamePartitions(const Catalogue& catalogue, std::vector<Condition>* conditions) {
  std::multimap<GroupId, Condition*> unnamed;
  for (Condition& condition : *conditions)
    if (condition.group >= kFirstTopicGroup && condition.topic.empty())
      unnamed.emplace(condition.group, &condition);
  if (unnamed.empty()) return;
  ForEachTopic(catalogue, "", [&](const TopicRef& topic) {
    for (size_t i = 0; i < topic->partitions.size(); ++i) {
      const auto [begin, end] = unnamed.equal_range(topic->partitions[i].group);
      for (auto at = begin; at != end; ++at) {
        at->second->topic = topic->name;
        at->second->partition = PartitionId(static_cast<uint32_t>(i));
      }
    }
    return true;
  });
}

// The most severe first, of those the oldest.
void Bound(uint32_t wanted, DescribeBrokerReply* reply) {
  auto& all = reply->conditions;
  reply->conditions_total = all.size();
  std::stable_sort(all.begin(), all.end(), [](const Condition& a, const Condition& b) {
    const auto rank = [](const Condition& c) {
      return std::tuple(InfoOf(c.code).severity, -c.age, c.code, c.group, c.node);
    };
    return rank(a) < rank(b);
  });
  const uint32_t most = wanted == 0 ? kMaxConditions : std::min(wanted, kMaxConditions);
  if (all.size() > most) all.erase(all.begin() + most, all.end());
}

// "NAME/N": the next replica is partition N of that topic, or what comes after it.
absl::Status ReadToken(const std::string& token, std::string* topic, uint32_t* partition) {
  const size_t slash = token.find('/');
  const char* begin = token.data() + std::min(slash, token.size() - 1) + 1;
  const char* end = token.data() + token.size();
  if (slash != std::string::npos) {
    const auto [stop, error] = std::from_chars(begin, end, *partition);
    *topic = token.substr(0, slash);
    if (error == std::errc() && stop == end) return absl::OkStatus();
  }
  return MakeError(Reason::INVALID_REQUEST, "page_token is not of a previous reply");
}

struct Wanted {
  TopicRef topic;
  uint32_t partition = 0;
};

// The replicas on `self` that the request asks for, as many as fit, and where to go on.
absl::StatusOr<std::vector<Wanted>> TakePage(const Catalogue& catalogue, NodeId self,
                                             const DescribePartitionsRequest& request,
                                             std::string* next_token) {
  std::string first_topic = request.topic;
  uint32_t first_partition = 0;
  if (!request.page_token.empty())
    VARVE_RETURN_IF_ERROR(ReadToken(request.page_token, &first_topic, &first_partition));
  if (!request.topic.empty() && !catalogue.Find(request.topic)) return UnknownTopic(request.topic);
  const uint32_t size = request.page_size == 0 ? kMaxReplicasPerPage
                                               : std::min(request.page_size, kMaxReplicasPerPage);
  std::vector<Wanted> out;
  const auto take = [&](const TopicRef& topic) {
    if (!request.topic.empty() && topic->name != request.topic) return false;
    uint32_t i = topic->name == first_topic ? first_partition : 0;
    for (; i < topic->partitions.size(); ++i) {
      if (!topic->partitions[i].MayBeOn(self)) continue;
      if (out.size() == size) {
        *next_token = StrCat(topic->name, "/", i);
        return false;
      }
      out.push_back({topic, i});
    }
    return true;
  };
  const TopicRef first = first_topic.empty() ? nullptr : catalogue.Find(first_topic);
  if (first == nullptr || take(first)) ForEachTopic(catalogue, first_topic, take);
  return out;
}

// The replicas of one page, filled in from several shards.
struct Page {
  std::mutex mutex;
  std::vector<std::optional<PartitionStatus>> found;
  size_t left = 0;
  DescribePartitionsReply reply;
  std::shared_ptr<PendingReply<DescribePartitionsReply>> pending;

  void Set(size_t i, std::optional<PartitionStatus> status) {
    std::unique_lock lock(mutex);
    found[i] = std::move(status);
    if (--left > 0) return;
    for (auto& each : found)
      if (each) reply.partitions.push_back(*std::move(each));
    lock.unlock();
    pending->Answer(std::move(reply));
  }
};

}  // namespace

void LocalService::DescribeBroker(RequestContext context, DescribeBrokerRequest request,
                                  Reply<DescribeBrokerReply> reply) {
  auto pending =
      Admit(context, Rpc::kDescribeBroker, 0, request.required_features, std::move(reply));
  if (!pending) return;
  parts_.look([this, pending, most = request.max_conditions](BrokerSight sight) {
    struct Gathered {
      std::mutex mutex;
      DescribeBrokerReply reply;
    };
    auto out = std::make_shared<Gathered>();
    out->reply = DescribeSelf(sight);
    out->reply.conditions = parts_.watch.Look(sight);
    const bool somebody_silent = std::any_of(sight.peers.begin(), sight.peers.end(),
                                             [](const auto& peer) { return !peer.live; });
    parts_.host.ForEach(
        [out](Partition& partition) {
          std::vector<Condition> conditions;
          partition.AddConditions(&conditions);
          if (conditions.empty()) return;
          std::lock_guard lock(out->mutex);
          auto& all = out->reply.conditions;
          std::move(conditions.begin(), conditions.end(), std::back_inserter(all));
        },
        [this, out, pending, most, somebody_silent] {
          if (somebody_silent) AddAbandoned(parts_, parts_.clock.Now(), &out->reply.conditions);
          Bound(most, &out->reply);
          NamePartitions(parts_.catalogue, &out->reply.conditions);
          pending->Answer(std::move(out->reply));
        });
  });
}

DescribeBrokerReply LocalService::DescribeSelf(const BrokerSight& sight) const {
  DescribeBrokerReply out;
  const storage::DirectoryIdentity& identity = parts_.directory.identity();
  out.node = parts_.self;
  out.cluster = parts_.cluster;
  out.directory = identity.directory;
  out.version = kVersion;
  out.address = parts_.advertised_address;
  if (const auto self = parts_.view.FindBroker(parts_.self)) {
    out.address = self->client_address;
    out.peer_address = self->peer_address;
  }
  out.state = parts_.gate.closed() ? BrokerState::kStopping
              : parts_.gate.open() ? BrokerState::kServing
                                   : BrokerState::kStarting;
  out.uptime = parts_.clock.Now() - parts_.watch.started();
  out.process_epoch = parts_.directory.process_epoch();
  if (const auto leader = parts_.view.LeaderOf(kMetadataGroup)) out.controller = leader->node;
  for (const storage::LogStats& log : parts_.directory.log_stats()) {
    out.replicas += log.group >= kFirstTopicGroup ? 1 : 0;
    out.data_bytes += log.bytes;
  }
  const auto leaders = parts_.view.LeaderCounts();
  if (const auto mine = leaders.find(parts_.self); mine != leaders.end())
    out.leaders = mine->second;
  out.directory_state = StateOf(sight);
  for (const raft::PeerState& peer : sight.peers) {
    PeerBroker& to = out.peers.emplace_back();
    to.node = peer.node;
    to.live = peer.live;
    to.process_epoch = peer.process_epoch;
    to.clock_ahead_ms = peer.clock_ahead_ms;
    if (peer.last_heard) to.silent = parts_.clock.Now() - *peer.last_heard;
    if (const auto known = parts_.view.FindBroker(peer.node)) {
      to.address = known->client_address;
      to.peer_address = known->peer_address;
    }
  }
  return out;
}

void LocalService::DescribePartitions(RequestContext context, DescribePartitionsRequest request,
                                      Reply<DescribePartitionsReply> reply) {
  auto pending =
      Admit(context, Rpc::kDescribePartitions, 0, request.required_features, std::move(reply));
  if (!pending) return;
  Executor& home = parts_.host.ShardOf(kMetadataGroup);
  auto page = std::make_shared<Page>();
  page->pending = pending;
  page->reply.node = parts_.self;
  if (request.metadata) {
    page->left = 1;
    page->found.resize(1);
    return parts_.host.With(kMetadataGroup, [page](Partition* partition) {
      page->Set(0, partition == nullptr ? std::nullopt : std::optional(partition->Describe({})));
    });
  }
  absl::StatusOr<std::vector<Wanted>> wanted =
      TakePage(parts_.catalogue, parts_.self, request, &page->reply.next_page_token);
  if (!wanted.ok() || wanted->empty()) {
    return home.Post([page, why = wanted.status()] {
      if (!why.ok()) return page->pending->Answer(why);
      page->pending->Answer(std::move(page->reply));
    });
  }
  page->left = wanted->size();
  page->found.resize(wanted->size());
  for (size_t i = 0; i < wanted->size(); ++i) {
    const Wanted& each = (*wanted)[i];
    const GroupId group = each.topic->partitions[each.partition].group;
    parts_.host.With(group, [page, i, each](Partition* partition) {
      if (partition == nullptr) return page->Set(i, std::nullopt);
      PartitionStatus status = partition->Describe(each.topic->partitions[each.partition].goal());
      status.topic = each.topic->name;
      status.partition = PartitionId(each.partition);
      page->Set(i, std::move(status));
    });
  }
}

}  // namespace varve::server
