#include <utility>

#include "common/error.h"
#include "tests/sim/unary_clients.h"

namespace varve::sim {
namespace {

constexpr Nanos kPatience = 5 * kSecond;

}  // namespace

void Writer::Act() {
  uint32_t alive = 0;
  for (const auto& [name, topic] : world_.oracle.topics())
    alive += topic.state != KnownTopic::State::kDeleted;
  if (alive == 0 || (alive < world_.options.max_topics && world_.random->OneIn(10)))
    return CreateTopic();
  const auto target = world_.AnyTarget();
  if (!target) return;
  if (alive > 1 && world_.random->OneIn(world_.options.delete_one_in))
    return DeleteTopic(target->topic);
  if (world_.random->OneIn(world_.options.bad_one_in)) return ProduceBad(*target);
  if (world_.random->OneIn(3)) return ProducePlain(target->topic);
  Produce();
}

void Writer::CreateTopic() {
  server::CreateTopicRequest request;
  request.name = StrCat("topic-", number_, "-", ++topics_made_);
  request.partitions =
      1 + static_cast<uint32_t>(world_.random->Below(world_.options.max_partitions));
  request.config.segment_bytes = limits::kMinSegmentBytes;
  world_.oracle.TopicAsked(request.name, request.partitions);
  const auto context = world_.Context(kPatience);
  auto reply = world_.Expect<server::TopicInfo>(
      "create topic", topics_made_, context,
      [this, name = request.name](const absl::StatusOr<server::TopicInfo>& answer) {
        world_.oracle.TopicAnswered(name, answer);
        return static_cast<uint64_t>(answer.ok());
      });
  world_.service->CreateTopic(context, std::move(request), std::move(reply));
}

void Writer::DeleteTopic(const std::string& topic) {
  world_.oracle.DeleteAsked(topic);
  const auto context = world_.Context(kPatience);
  auto reply = world_.Expect<server::DeleteTopicReply>(
      "delete topic", topic.size(), context,
      [this, topic](const absl::StatusOr<server::DeleteTopicReply>& answer) {
        world_.oracle.DeleteAnswered(topic, answer.status());
        return static_cast<uint64_t>(answer.ok());
      });
  world_.service->DeleteTopic(context, {.name = topic}, std::move(reply));
}

void Writer::Answer(const std::vector<BatchNumber>& numbers,
                    const absl::StatusOr<server::ProduceReply>& reply) {
  if (reply.ok() && reply->results.size() != numbers.size())
    return world_.oracle.Violate("produce of ", numbers.size(), " items has ",
                                 reply->results.size(), " results");
  for (size_t i = 0; i < numbers.size(); ++i) {
    server::ProduceResult failed;
    failed.status = reply.status();
    world_.oracle.Answered(numbers[i], reply.ok() ? reply->results[i] : failed);
    if (reply.ok())
      world_.Note("produced", static_cast<uint64_t>(reply->results[i].base_offset.value()));
  }
}

void Writer::Produce() {
  server::ProduceRequest request;
  std::vector<BatchNumber> numbers;
  const auto target = world_.AnyTarget();
  request.topic = target->topic;
  const uint32_t partitions = world_.oracle.topics().at(target->topic).partitions;
  for (uint64_t i = 0, items = 1 + world_.random->Below(3); i < items; ++i) {
    const Target to{target->topic,
                    PartitionId(static_cast<uint32_t>(world_.random->Below(partitions)))};
    const World::NewBatch batch = world_.MakeBatch(number_, 0, to);
    numbers.push_back(batch.number);
    request.items.push_back({to.partition, FrameBuffer::Copy(batch.bytes)});
  }
  // Now and then a client that does not wait long.
  const auto context = world_.Context(world_.random->OneIn(20) ? kMillisecond : kPatience);
  auto reply = world_.Expect<server::ProduceReply>(
      "produce", numbers.back(), context,
      [this, numbers](const absl::StatusOr<server::ProduceReply>& answer) {
        Answer(numbers, answer);
        return numbers.back();
      });
  world_.service->Produce(context, std::move(request), std::move(reply));
}

void Writer::ProducePlain(const std::string& topic) {
  SentBatch sent;
  sent.client = number_;
  sent.topic = topic;
  sent.records = world_.DrawRecords();
  sent.value_bytes = world_.DrawValueBytes() % 2000 + Oracle::kMinValueBytes;
  const BatchNumber number = world_.oracle.Send(sent);
  std::vector<server::PlainRecord> records(sent.records);
  for (uint32_t i = 0; i < sent.records; ++i) {
    records[i].value = Oracle::Value(number, i, sent.value_bytes);
    if (world_.random->OneIn(2)) records[i].key = StrCat("key-", world_.random->Below(10));
  }
  server::ProduceRequest request;
  request.topic = topic;
  request.items.push_back({std::nullopt, std::move(records)});
  const auto context = world_.Context(kPatience);
  auto reply = world_.Expect<server::ProduceReply>(
      "produce plain", number, context,
      [this, number](const absl::StatusOr<server::ProduceReply>& answer) {
        Answer({number}, answer);
        return number;
      });
  world_.service->Produce(context, std::move(request), std::move(reply));
}

// A damaged batch, an unknown topic or an unknown partition; a sound item
// beside it is taken.
void Writer::ProduceBad(const Target& target) {
  const uint64_t what = world_.random->Below(3);
  World::NewBatch batch = world_.MakeBatch(number_, 0, target);
  if (what == 0) world_.Damage(&batch);
  server::ProduceRequest request;
  request.topic = what == 1 ? "no-such-topic" : target.topic;
  const PartitionId partition = what == 2 ? PartitionId(1000) : target.partition;
  request.items.push_back({partition, FrameBuffer::Copy(batch.bytes)});
  const auto context = world_.Context(kPatience);
  auto reply = world_.Expect<server::ProduceReply>(
      "produce bad", what, context,
      [this, what, number = batch.number](absl::StatusOr<server::ProduceReply> answer) {
        if (answer.ok() && answer->results.size() == 1 && answer->results[0].status.ok())
          world_.oracle.Violate("a bad batch was taken, kind ", what);
        Answer({number}, answer);
        return what;
      });
  world_.service->Produce(context, std::move(request), std::move(reply));
}

}  // namespace varve::sim
