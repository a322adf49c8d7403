#include "tests/sim/broker_workload.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/error.h"
#include "common/record_batch.h"
#include "common/record_batch_builder.h"

namespace varve::sim {
namespace {

constexpr char kTopic[] = "sim";

// The number, and bytes that depend on it, so that a torn or swapped record is seen.
std::string ValueOf(uint64_t number, size_t size) {
  std::string value = std::to_string(number) + ":";
  while (value.size() < size)
    value.push_back(static_cast<char>('a' + (number * 31 + value.size()) % 26));
  return value;
}

std::optional<uint64_t> NumberOf(const std::string& value) {
  const size_t colon = value.find(':');
  if (colon == std::string::npos || colon == 0 || colon > 19) return std::nullopt;
  const uint64_t number = std::stoull(value.substr(0, colon));
  if (ValueOf(number, value.size()) != value) return std::nullopt;
  return number;
}

}  // namespace

BrokerWorkload::BrokerWorkload(SimNode& node, uint64_t seed, uint32_t partitions)
    : node_(node),
      random_(SeededRandom(seed ^ 0x9e3779b97f4a7c15)),
      partitions_(partitions),
      known_(partitions),
      high_watermarks_(partitions) {}

server::RequestContext BrokerWorkload::Context() {
  server::RequestContext context;
  context.listener = "sim";
  context.client_id = "workload";
  context.deadline = node_.scheduler().Now() + 30 * kSecond;
  context.cancellation = std::make_shared<server::Cancellation>();
  return context;
}

void BrokerWorkload::Problem(std::string text) {
  if (problems_.size() < 20) problems_.push_back(std::move(text));
}

void BrokerWorkload::CreateTopic() {
  std::optional<absl::StatusOr<server::TopicInfo>> answer;
  server::CreateTopicRequest request;
  request.name = kTopic;
  request.partitions = partitions_;
  request.config.segment_bytes = 64 << 10;
  node_.service().CreateTopic(Context(), request, [&](absl::StatusOr<server::TopicInfo> info) {
    answer = std::move(info);
  });
  node_.scheduler().RunUntil([&] { return answer.has_value(); }, 60 * kSecond);
  if (!answer || !answer->ok())
    Problem(StrCat("the topic was not created: ",
                   answer ? std::string(MessageOf(answer->status())) : std::string("no answer")));
}

void BrokerWorkload::StartOperation() {
  ++operations_;
  switch (random_->Below(10)) {
    case 0:
      return ProduceBad();
    case 1:
    case 2:
    case 3:
      return Fetch();
    case 4:
      return random_->OneIn(2) ? ListOffsets() : DescribeTopic();
    default:
      return Produce();
  }
}

void BrokerWorkload::Produce() {
  const auto partition = static_cast<uint32_t>(random_->Below(partitions_));
  const uint64_t count = 1 + random_->Below(5);
  const uint64_t first = sent_.size();
  server::ProduceRequest request;
  request.topic = kTopic;
  server::ProduceItem& item = request.items.emplace_back();
  item.partition = PartitionId(partition);
  RecordBatchBuilder builder(BatchOptions{.codec = static_cast<Codec>(random_->Below(5))});
  for (uint64_t i = 0; i < count; ++i) {
    sent_.push_back({partition, Fate::kUnknown, Offset{}});
    const std::string value = ValueOf(first + i, 20 + random_->Below(2000));
    builder.Add(node_.scheduler().clock().Wall(), std::nullopt, std::string_view(value))
        .IgnoreError();
  }
  item.data = FrameBuffer::Copy(*builder.Build());
  ++under_way_;
  node_.service().Produce(
      Context(), std::move(request),
      [this, first, count, partition, epoch = epoch_](absl::StatusOr<server::ProduceReply> reply) {
        if (epoch != epoch_) return Problem("an answer after the crash of its broker");
        --under_way_;
        if (!reply.ok() || !reply->results[0].status.ok()) {
          const absl::Status status = reply.ok() ? reply->results[0].status : reply.status();
          const bool not_applied = InfoOf(ReasonOf(status)).outcome == Outcome::NOT_APPLIED;
          for (uint64_t i = 0; i < count; ++i)
            sent_[first + i].fate = not_applied ? Fate::kRefused : Fate::kUnknown;
          return;
        }
        const Offset base = reply->results[0].base_offset;
        for (uint64_t i = 0; i < count; ++i) {
          const Offset offset = base + static_cast<int64_t>(i);
          sent_[first + i].fate = Fate::kAcknowledged;
          sent_[first + i].offset = offset;
          const auto [at, fresh] = known_[partition].emplace(offset, first + i);
          if (!fresh && at->second != first + i)
            Problem(StrCat("offset ", offset, " of partition ", partition, " was promised to ",
                           first + i, " and holds ", at->second));
        }
        acknowledged_ += count;
        high_watermarks_[partition] =
            std::max(high_watermarks_[partition], base + static_cast<int64_t>(count));
      });
}

void BrokerWorkload::ProduceBad() {
  server::ProduceRequest request;
  request.topic = random_->OneIn(4) ? "missing" : kTopic;
  server::ProduceItem& item = request.items.emplace_back();
  item.partition = PartitionId(random_->OneIn(4) ? partitions_ : 0);
  RecordBatchBuilder builder;
  builder.Add(WallTime(1), std::nullopt, std::string_view("never:stored")).IgnoreError();
  std::string batch = *builder.Build();
  batch[21 + random_->Below(batch.size() - 21)] ^= static_cast<char>(1 << random_->Below(8));
  item.data = FrameBuffer::Copy(batch);
  ++under_way_;
  node_.service().Produce(Context(), std::move(request),
                          [this, epoch = epoch_](absl::StatusOr<server::ProduceReply> reply) {
                            if (epoch != epoch_) return;
                            --under_way_;
                            if (reply.ok() && reply->results[0].status.ok())
                              return Problem("a damaged batch was accepted");
                            ++bad_refused_;
                          });
}

void BrokerWorkload::Fetch() {
  const auto partition = static_cast<uint32_t>(random_->Below(partitions_));
  server::FetchRequest request;
  request.plain_records = true;
  request.max_bytes = static_cast<uint32_t>(1 + random_->Below(64 << 10));
  request.max_wait_ms = static_cast<uint32_t>(random_->Below(500));
  request.min_bytes = static_cast<uint32_t>(random_->Below(10'000));
  const auto reach = static_cast<uint64_t>(high_watermarks_[partition].value()) + 1;
  request.partitions.push_back(
      {kTopic, PartitionId(partition), Offset(static_cast<int64_t>(random_->Below(reach))), 0});
  ++under_way_;
  node_.service().Fetch(
      Context(), std::move(request),
      [this, partition, epoch = epoch_](absl::StatusOr<server::FetchReply> reply) {
        if (epoch != epoch_) return;
        --under_way_;
        if (reply.ok()) OnRead(partition, reply->results[0]);
      });
}

void BrokerWorkload::OnRead(uint32_t partition, const server::FetchResult& result) {
  if (!result.status.ok()) {
    if (ReasonOf(result.status) != Reason::OFFSET_NOT_AVAILABLE)
      Problem(StrCat("a fetch below the high watermark failed: ", MessageOf(result.status)));
    return;
  }
  if (result.bounds.high_watermark < high_watermarks_[partition])
    Problem(StrCat("the high watermark of partition ", partition, " went back to ",
                   result.bounds.high_watermark, " from ", high_watermarks_[partition]));
  Offset previous(-1);
  for (const server::PlainRecord& record : result.records) {
    if (previous >= Offset(0) && record.offset != previous + 1)
      Problem(StrCat("offset ", record.offset, " follows ", previous));
    previous = record.offset;
    if (record.offset >= result.bounds.high_watermark)
      Problem("a record beyond the high watermark");
    CheckRecord(partition, record);
  }
}

void BrokerWorkload::CheckRecord(uint32_t partition, const server::PlainRecord& record) {
  ++read_records_;
  const auto number = NumberOf(record.value.value_or(""));
  if (!number || *number >= sent_.size()) return Problem("a record that was never sent, or torn");
  const Sent& sent = sent_[*number];
  if (sent.partition != partition)
    Problem(StrCat("record ", *number, " is in partition ", partition));
  if (sent.fate == Fate::kRefused)
    Problem(StrCat("record ", *number, " was refused and is in the log"));
  if (sent.fate == Fate::kAcknowledged && sent.offset != record.offset)
    Problem(StrCat("record ", *number, " was promised offset ", sent.offset, " and is at ",
                   record.offset));
  const auto [at, fresh] = known_[partition].emplace(record.offset, *number);
  if (!fresh && at->second != *number)
    Problem(StrCat("offset ", record.offset, " of partition ", partition, " held ", at->second,
                   " and now holds ", *number));
}

void BrokerWorkload::ListOffsets() {
  server::ListOffsetsRequest request;
  const auto partition = static_cast<uint32_t>(random_->Below(partitions_));
  request.items.push_back({kTopic, PartitionId(partition), server::EndPosition{}});
  request.items.push_back({kTopic, PartitionId(partition), server::TimePosition{WallTime(0)}});
  const Offset promised = high_watermarks_[partition];
  ++under_way_;
  node_.service().ListOffsets(
      Context(), std::move(request),
      [this, promised, epoch = epoch_](absl::StatusOr<server::ListOffsetsReply> reply) {
        if (epoch != epoch_) return;
        --under_way_;
        if (!reply.ok() || !reply->results[0].status.ok()) return;
        if (reply->results[0].offset < promised) Problem("the end of a log lies below a promise");
        if (reply->results[1].status.ok() && reply->results[1].offset > Offset(0))
          Problem("the first record is not at offset 0");
      });
}

void BrokerWorkload::DescribeTopic() {
  ++under_way_;
  node_.service().GetTopic(Context(), {kTopic, {}},
                           [this, epoch = epoch_](absl::StatusOr<server::TopicInfo> info) {
                             if (epoch != epoch_) return;
                             --under_way_;
                             if (!info.ok()) Problem("the topic is gone");
                           });
}

void BrokerWorkload::ForgetUnderWay() {
  ++epoch_;
  under_way_ = 0;
}

void BrokerWorkload::Settle() {
  if (!node_.scheduler().RunUntil([&] { return under_way_ == 0; }, 120 * kSecond))
    Problem(StrCat(under_way_, " requests were never answered"));
}

void BrokerWorkload::Verify() {
  for (uint32_t partition = 0; partition < partitions_; ++partition) {
    Offset next(0);
    std::map<Offset, uint64_t> found;
    std::set<uint64_t> numbers;
    for (bool more = true; more;) {
      server::FetchRequest request;
      request.plain_records = true;
      request.partitions.push_back({kTopic, PartitionId(partition), next, 0});
      std::optional<absl::StatusOr<server::FetchReply>> reply;
      node_.service().Fetch(Context(), std::move(request),
                            [&](absl::StatusOr<server::FetchReply> r) { reply = std::move(r); });
      node_.scheduler().RunUntil([&] { return reply.has_value(); }, 60 * kSecond);
      if (!reply || !reply->ok() || !(*reply)->results[0].status.ok())
        return Problem(StrCat("partition ", partition, " cannot be read at ", next));
      const server::FetchResult& result = (*reply)->results[0];
      OnRead(partition, result);
      for (const server::PlainRecord& record : result.records) {
        const auto number = NumberOf(record.value.value_or(""));
        if (!number) return Problem("a torn record");
        if (!numbers.insert(*number).second)
          Problem(StrCat("record ", *number, " is in the log twice"));
        found[record.offset] = *number;
      }
      more = !result.records.empty();
      next = result.next_offset;
    }
    for (const auto& [offset, number] : known_[partition]) {
      const auto at = found.find(offset);
      if (at == found.end())
        Problem(StrCat("record ", number, " at offset ", offset, " of partition ", partition,
                       " is LOST"));
    }
  }
}

}  // namespace varve::sim
