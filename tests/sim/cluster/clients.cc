// World's clients: they write, read, trim, and make and delete topics.
#include <algorithm>

#include "tests/sim/cluster/world.h"

namespace varve::clustersim {

using server::BrokerService;

void World::Write(uint32_t /*writer*/) {
  const auto place = AnyPlace();
  if (!place) return;
  if (options.topic_change_one_in > 0 && random->OneIn(options.topic_change_one_in)) {
    if (topics.size() < 12 && random->OneIn(2)) return WantTopic();
    if (Places().size() > options.partitions)
      topics[place->topic].state = KnownTopic::State::kUnwanted;
    return;
  }
  if (options.trim_one_in > 0 && random->OneIn(options.trim_one_in)) return Trim(*place);
  if (options.move_one_in > 0 && random->OneIn(options.move_one_in)) return Operate(*place);
  // More than one under way, now and then: their order is not promised.
  if (producing_[*place] < 3) Produce(*place);
}

void World::Produce(const Place& place) {
  const std::string route = RouteOf(place);
  const size_t node = Route(route);
  if (!Serves(node)) return;
  const auto records = 1 + static_cast<uint32_t>(random->Below(options.max_batch_records));
  const BatchNumber number = oracle.Send(place, records);
  server::ProduceRequest request;
  request.topic = place.topic;
  std::vector<server::PlainRecord> plain(records);
  for (uint32_t i = 0; i < records; ++i)
    plain[i].value =
        Oracle::Value(number, i, static_cast<uint32_t>(random->Below(options.max_value_bytes)));
  request.items.push_back({place.partition, std::move(plain)});
  ++producing_[place];
  Note("produce", number);
  Call<server::ProduceReply>(
      node, &BrokerService::Produce, std::move(request),
      [this, number, place, route, node](absl::StatusOr<server::ProduceReply> reply) {
        --producing_[place];
        const absl::Status status = reply.ok() ? reply->results.at(0).status : reply.status();
        Note("produced", number * 64 + static_cast<uint64_t>(ReasonOf(status)));
        Learn(route, node, status);
        if (!status.ok()) return oracle.Failed(number, status);
        acknowledged_at[place] = Now();
        oracle.Acknowledged(number, reply->results[0].base_offset);
      });
}

void World::Trim(const Place& place) {
  const size_t node = Route(RouteOf(place));
  const Offset end = oracle.KnownEnd(place);
  if (!Serves(node) || end == Offset{}) return;
  const Offset before(static_cast<int64_t>(random->Below(static_cast<uint64_t>(end.value()))));
  server::DeleteRecordsRequest request;
  request.items.push_back({place.topic, place.partition, before});
  oracle.TrimAsked(place, before);
  Note("trim", static_cast<uint64_t>(before.value()));
  Call<server::DeleteRecordsReply>(
      node, &BrokerService::DeleteRecords, std::move(request),
      [this, place, node](absl::StatusOr<server::DeleteRecordsReply> reply) {
        const absl::Status status = reply.ok() ? reply->results.at(0).status : reply.status();
        Note("trimmed", static_cast<uint64_t>(ReasonOf(status)));
        Learn(RouteOf(place), node, status);
      });
}

void World::Read(Reader& reader) {
  const auto place = AnyPlace();
  if (!place || reader.waits) return;
  const size_t node = Route(RouteOf(*place));
  if (!Serves(node)) return;
  Offset& next = reader.next[*place];
  if (random->OneIn(20)) next = oracle.TrimmedTo(*place);  // once more from the beginning
  server::FetchRequest request;
  request.plain_records = true;
  request.partitions.push_back({place->topic, place->partition, next, 0});
  reader.waits = true;
  Note("fetch", static_cast<uint64_t>(next.value()));
  Call<server::FetchReply>(
      node, &BrokerService::Fetch, std::move(request),
      [this, &reader, place = *place, node](absl::StatusOr<server::FetchReply> reply) {
        reader.waits = false;
        const absl::Status status = reply.ok() ? reply->results.at(0).status : reply.status();
        Note("fetched", static_cast<uint64_t>(ReasonOf(status)));
        Learn(RouteOf(place), node, status);
        if (reply.ok()) TakeRead(reader, place, node, reply->results[0]);
      });
}

void World::TakeRead(Reader& reader, const Place& place, size_t node,
                     const server::FetchResult& result) {
  Offset& next = reader.next[place];
  if (!result.status.ok()) {
    if (ReasonOf(result.status) != Reason::OFFSET_OUT_OF_RANGE) return;
    if (oracle.TrimmedTo(place) <= next)
      oracle.Violate("offset ", next, " of ", place.topic, "/", place.partition,
                     " was read up to, and is out of range: ", MessageOf(result.status));
    next = oracle.TrimmedTo(place);
    return;
  }
  CheckCommitted(node, place, result.next_offset);
  for (const server::PlainRecord& record : result.records) {
    if (record.offset != next)
      oracle.Violate("a reader of ", place.topic, "/", place.partition, " asked for offset ", next,
                     " and got ", record.offset);
    oracle.Found(place, record.offset, record.value.value_or(""));
    next = record.offset + 1;
  }
  if (result.next_offset != next || result.next_offset > result.bounds.high_watermark)
    oracle.Violate("a reader of ", place.topic, "/", place.partition, " is sent on to offset ",
                   result.next_offset, " after ", next, ", with the high watermark ",
                   result.bounds.high_watermark);
}

// One topic after another is brought to what is wanted of it.
void World::TendTopics() {
  const auto todo = std::find_if(topics.begin(), topics.end(), [](const auto& topic) {
    return topic.second.state == KnownTopic::State::kWanted ||
           topic.second.state == KnownTopic::State::kUnwanted;
  });
  const size_t node = Route("");
  if (tending_ || todo == topics.end() || !Serves(node)) return;
  tending_ = true;
  const std::string name = todo->first;
  if (todo->second.state == KnownTopic::State::kWanted) {
    server::CreateTopicRequest request;
    request.name = name;
    request.partitions = todo->second.partitions;
    request.replication_factor = options.replicas;
    request.config.segment_bytes = options.segment_bytes;
    Note("create", node);
    return Call<server::TopicInfo>(
        node, &BrokerService::CreateTopic, std::move(request),
        [this, name, node](absl::StatusOr<server::TopicInfo> reply) {
          tending_ = false;
          Note("created", static_cast<uint64_t>(ReasonOf(reply.status())));
          Learn("", node, reply.status());
          if (reply.ok() || ReasonOf(reply.status()) == Reason::TOPIC_EXISTS)
            topics[name].state = KnownTopic::State::kExists;
        });
  }
  server::DeleteTopicRequest request;
  request.name = name;
  Note("delete", node);
  Call<server::DeleteTopicReply>(
      node, &BrokerService::DeleteTopic, std::move(request),
      [this, name, node](absl::StatusOr<server::DeleteTopicReply> reply) {
        tending_ = false;
        Note("deleted", static_cast<uint64_t>(ReasonOf(reply.status())));
        Learn("", node, reply.status());
        if (reply.ok() || ReasonOf(reply.status()) == Reason::UNKNOWN_TOPIC)
          topics[name].state = KnownTopic::State::kGone;
      });
}

}  // namespace varve::clustersim
