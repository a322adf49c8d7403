#include <utility>

#include "common/error.h"
#include "tests/sim/unary_clients.h"

namespace varve::sim {
namespace {

constexpr Nanos kReaderPatience = 5 * kSecond;
constexpr std::initializer_list<Reason> kHarmless = {
    Reason::OK,         Reason::OFFSET_NOT_AVAILABLE, Reason::DEADLINE_EXCEEDED,
    Reason::OVERLOADED, Reason::SHUTTING_DOWN,        Reason::STARTING,
    Reason::DISK_FAILED};

}  // namespace

void Reader::Act() {
  switch (world_.random->Below(8)) {
    case 0:
      return ListOffsets();
    case 1:
      return LookAtTopics();
    default:
      if (world_.random->OneIn(world_.options.bad_one_in)) return FetchBad();
      return Fetch();
  }
}

void Reader::Fetch() {
  server::FetchRequest request;
  std::vector<Offset> floors;
  for (uint64_t i = 0, count = 1 + world_.random->Below(3); i < count; ++i) {
    const auto target = world_.AnyTarget();
    if (!target) return;
    const Offset floor = world_.oracle.HighWatermark(target->topic, target->partition);
    // Mostly near the end, where caches and waiting are; anywhere otherwise.
    const int64_t back = world_.random->OneIn(3)
                             ? static_cast<int64_t>(world_.random->Below(floor.value() + 1))
                             : static_cast<int64_t>(world_.random->Below(4));
    const Offset from(std::max<int64_t>(0, floor.value() - back));
    request.partitions.push_back({target->topic, target->partition, from, 0});
    floors.push_back(floor);
  }
  request.max_bytes = world_.random->OneIn(3) ? 1 : 64 << 10;
  request.plain_records = world_.random->OneIn(4);
  if (world_.random->OneIn(2)) {
    request.min_bytes = 1 + static_cast<uint32_t>(world_.random->Below(2000));
    request.max_wait_ms = static_cast<uint32_t>(world_.random->Below(300));
  }
  const auto context = world_.Context(kReaderPatience);
  auto reply = world_.Expect<server::FetchReply>(
      "fetch", floors.size(), context,
      [this, request, floors](const absl::StatusOr<server::FetchReply>& answer) {
        return Judge(request, floors, answer);
      });
  world_.service->Fetch(context, std::move(request), std::move(reply));
}

uint64_t Reader::Judge(const server::FetchRequest& request, const std::vector<Offset>& floors,
                       const absl::StatusOr<server::FetchReply>& reply) {
  world_.oracle.ExpectReason("fetch", reply.status(), kHarmless);
  if (!reply.ok()) return 0;
  uint64_t sum = 0;
  for (size_t i = 0; i < reply->results.size(); ++i) {
    const server::FetchResult& result = reply->results[i];
    if (result.topic != request.partitions[i].topic ||
        result.partition != request.partitions[i].partition)
      world_.oracle.Violate("fetch answers another partition than asked for");
    if (!result.status.ok()) {
      if (ReasonOf(result.status) != Reason::UNKNOWN_TOPIC ||
          world_.StateOf(result.topic) == KnownTopic::State::kExists)
        world_.oracle.ExpectReason(StrCat("fetch of ", result.topic), result.status, kHarmless);
      continue;
    }
    const Observation seen{result.topic,
                           result.partition,
                           request.partitions[i].offset,
                           result.next_offset,
                           result.bounds.high_watermark,
                           floors[i]};
    if (request.plain_records)
      world_.oracle.ReadPlain(seen, result.records);
    else
      world_.oracle.Read(seen, result.entries);
    sum = sum * 31 + static_cast<uint64_t>(result.next_offset.value());
  }
  return sum;
}

void Reader::FetchBad() {
  const auto target = world_.AnyTarget();
  if (!target) return;
  const bool unknown = world_.random->OneIn(2);
  server::FetchRequest request;
  request.partitions.push_back(
      {unknown ? "no-such-topic" : target->topic, target->partition, Offset(int64_t{1} << 40), 0});
  const auto context = world_.Context(kReaderPatience);
  auto reply = world_.Expect<server::FetchReply>(
      "fetch bad", unknown, context, [this](const absl::StatusOr<server::FetchReply>& answer) {
        const absl::Status status = answer.ok() ? answer->results.at(0).status : answer.status();
        world_.oracle.ExpectReason(
            "a fetch beyond everything", status,
            {Reason::UNKNOWN_TOPIC, Reason::OFFSET_OUT_OF_RANGE, Reason::OFFSET_NOT_AVAILABLE,
             Reason::SHUTTING_DOWN, Reason::STARTING});
        return static_cast<uint64_t>(ReasonOf(status));
      });
  world_.service->Fetch(context, std::move(request), std::move(reply));
}

void Reader::ListOffsets() {
  const auto target = world_.AnyTarget();
  if (!target) return;
  const Offset floor = world_.oracle.HighWatermark(target->topic, target->partition);
  const WallTime time =
      world_.scheduler.clock().Wall() - static_cast<int64_t>(world_.random->Below(5000));
  server::ListOffsetsRequest request;
  for (const server::Position& position :
       {server::Position(server::StartPosition{}), server::Position(server::EndPosition{}),
        server::Position(server::TimePosition{time})})
    request.items.push_back({target->topic, target->partition, position});
  const auto context = world_.Context(kReaderPatience);
  auto reply = world_.Expect<server::ListOffsetsReply>(
      "list offsets", 0, context,
      [this, floor, time](const absl::StatusOr<server::ListOffsetsReply>& answer) -> uint64_t {
        world_.oracle.ExpectReason("list offsets", answer.status(), kHarmless);
        if (!answer.ok()) return 0;
        const auto& results = answer->results;
        for (const auto& result : results)
          if (!result.status.ok()) return 1;
        if (results.at(0).offset != Offset{} || results.at(1).offset < floor)
          world_.oracle.Violate("list offsets: from ", results[0].offset, " to ", results[1].offset,
                                ", where ", floor, " was known");
        const auto& found = results.at(2);
        if (found.append_time && *found.append_time < time)
          world_.oracle.Violate("list offsets: a time before the one asked for");
        return static_cast<uint64_t>(results[1].offset.value() * 31 + found.offset.value());
      });
  world_.service->ListOffsets(context, std::move(request), std::move(reply));
}

// One of all topics ever asked for; judged only if nothing about it changed
// meanwhile.
void Reader::LookAtTopics() {
  const auto& topics = world_.oracle.topics();
  if (topics.empty()) return;
  const auto at =
      std::next(topics.begin(), static_cast<int64_t>(world_.random->Below(topics.size())));
  const std::string name = at->first;
  const auto context = world_.Context(kReaderPatience);
  auto reply = world_.Expect<server::TopicInfo>(
      "get topic", name.size(), context,
      [this, name, before = at->second.state](const absl::StatusOr<server::TopicInfo>& answer) {
        if (world_.StateOf(name) == before) world_.oracle.TopicLooked(name, answer, false);
        return static_cast<uint64_t>(answer.ok());
      });
  world_.service->GetTopic(context, {.name = name}, std::move(reply));
}

}  // namespace varve::sim
