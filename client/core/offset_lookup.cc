#include "client/core/offset_lookup.h"

#include <map>
#include <set>
#include <string>
#include <utility>

#include "client/core/blocking.h"
#include "client/core/metadata.h"
#include "client/core/subscribe_link.h"
#include "client_wire/log.pb.h"

namespace varve::client {
namespace {

using Leaders = std::map<std::string, std::shared_ptr<const TopicInfo>>;

// Asks for every topic of the queries that are still open; what failed is in the answers then.
Leaders FindLeaders(const std::shared_ptr<ClientCore>& core,
                    const std::vector<OffsetQuery>& queries, const std::vector<size_t>& open,
                    std::vector<OffsetAnswer>* answers, MonoTime deadline) {
  using Found = std::pair<Status, std::shared_ptr<const TopicInfo>>;
  std::map<std::string, std::shared_ptr<Answer<Found>>> asked;
  for (const size_t i : open) asked[queries[i].partition.topic] = nullptr;
  for (auto& [topic, answer] : asked) {
    answer = std::make_shared<Answer<Found>>();
    core->executor().Post([core, topic = topic, answer = answer] {
      core->metadata().Refresh(topic, [answer](const Status& status, auto info) {
        answer->Set({status, std::move(info)});
      });
    });
  }
  Leaders leaders;
  std::map<std::string, Status> failed;
  for (auto& [topic, answer] : asked) {
    auto found = answer->Wait(deadline - core->Now());
    if (!found) {
      failed[topic] = Error(Reason::DEADLINE_EXCEEDED, "no answer about topic \"",
                            std::string_view(topic), "\" in time");
    } else if (!found->first.ok()) {
      failed[topic] = found->first;
    } else {
      leaders[topic] = found->second;
    }
  }
  for (const size_t i : open) {
    const auto at = failed.find(queries[i].partition.topic);
    if (at != failed.end()) (*answers)[i].status = at->second;
  }
  return leaders;
}

struct Group {  // of one leader
  wire::ListOffsetsRequest request;
  std::vector<size_t> queries;
  std::shared_ptr<wire::ListOffsetsReply> reply = std::make_shared<wire::ListOffsetsReply>();
  std::shared_ptr<Answer<Status>> done = std::make_shared<Answer<Status>>();
};

std::map<std::string, Group> GroupByLeader(const std::vector<OffsetQuery>& queries,
                                           const std::vector<size_t>& open, const Leaders& leaders,
                                           ReadIsolation isolation,
                                           std::vector<OffsetAnswer>* answers) {
  std::map<std::string, Group> groups;
  for (const size_t i : open) {
    const TopicPartition& partition = queries[i].partition;
    const auto info = leaders.find(partition.topic);
    if (info == leaders.end()) continue;
    const std::vector<std::string>& addresses = info->second->leaders;
    if (partition.partition >= addresses.size()) {
      (*answers)[i].status =
          Error(Reason::UNKNOWN_PARTITION, "topic \"", std::string_view(partition.topic), "\" has ",
                addresses.size(), " partitions, and no partition ", partition.partition);
    } else if (addresses[partition.partition].empty()) {
      (*answers)[i].status = Error(Reason::LEADER_UNKNOWN, "partition ", partition.partition,
                                   " has no leader at present");
    } else {
      Group& group = groups[addresses[partition.partition]];
      group.queries.push_back(i);
      wire::ListOffsetsItem* item = group.request.add_items();
      item->set_topic(partition.topic);
      item->set_partition(partition.partition);
      ToWire(queries[i].position, item->mutable_position());
      group.request.set_isolation(isolation == ReadIsolation::kCommitted
                                      ? wire::ISOLATION_READ_COMMITTED
                                      : wire::ISOLATION_READ_UNCOMMITTED);
    }
  }
  return groups;
}

void TakeAnswers(const Group& group, const Status& status, std::vector<OffsetAnswer>* answers) {
  for (size_t k = 0; k < group.queries.size(); ++k) {
    OffsetAnswer& answer = (*answers)[group.queries[k]];
    answer.status = status;
    if (!status.ok()) continue;
    if (static_cast<int>(k) >= group.reply->results_size()) {
      answer.status = Error(Reason::INTERNAL, "the broker left out an answer");
      continue;
    }
    const wire::ListOffsetsResult& result = group.reply->results(static_cast<int>(k));
    answer.status = FromWire(result.error());
    answer.offset = result.offset();
    answer.append_time_ms = result.append_time_ms();
  }
}

}  // namespace

Result<std::vector<OffsetAnswer>> LookUpOffsets(const std::shared_ptr<ClientCore>& core,
                                                const std::vector<OffsetQuery>& queries,
                                                ReadIsolation isolation,
                                                std::chrono::milliseconds timeout) {
  if (core->executor().InExecutor()) {
    return Error(Reason::INVALID_REQUEST, "this call waits; it cannot be made from a callback");
  }
  const MonoTime deadline = core->Now() + timeout.count() * kMillisecond;
  std::vector<OffsetAnswer> answers(queries.size());
  std::vector<size_t> open;
  for (size_t i = 0; i < queries.size(); ++i) {
    answers[i].partition = queries[i].partition;
    open.push_back(i);
  }
  for (uint32_t round = 1; !open.empty(); ++round) {
    const Leaders leaders = FindLeaders(core, queries, open, &answers, deadline);
    auto groups = GroupByLeader(queries, open, leaders, isolation, &answers);
    for (auto& [address, group] : groups) {
      core->CallAt(
          address, "/varve.v1.LogService/ListOffsets", group.request, group.reply,
          std::max<Nanos>(deadline - core->Now(), kMillisecond),
          [done = group.done](const Status& status, const std::string&) { done->Set(status); });
    }
    for (auto& [address, group] : groups) {
      const auto status = group.done->Wait(deadline - core->Now() + kSecond);
      TakeAnswers(group, status ? *status : Error(Reason::DEADLINE_EXCEEDED, "no answer in time"),
                  &answers);
    }
    std::erase_if(
        open, [&](size_t i) { return answers[i].status.ok() || !answers[i].status.retryable(); });
    // The executor's timers pace the rounds; a slot that is never filled is a pause.
    const Nanos pause = std::min<Nanos>(round * 50 * kMillisecond, kSecond);
    if (core->Now() + pause >= deadline) break;
    if (!open.empty()) Answer<int>().Wait(pause);
  }
  return answers;
}

}  // namespace varve::client
