#include "tests/sim/oracle.h"

#include <algorithm>
#include <utility>

#include "common/bytes.h"
#include "common/error.h"
#include "common/record_batch.h"

namespace varve::sim {

std::string Oracle::Value(BatchNumber number, uint32_t index, uint32_t bytes) {
  std::string out(std::max(bytes, kMinValueBytes), '\0');
  for (int i = 0; i < 8; ++i) out[i] = static_cast<char>(number >> (8 * i));
  for (int i = 0; i < 4; ++i) out[8 + i] = static_cast<char>(index >> (8 * i));
  uint64_t state = number * 0x9e3779b97f4a7c15 + index;
  for (size_t i = kMinValueBytes; i < out.size(); ++i) {
    state = state * 6364136223846793005 + 1442695040888963407;
    // Half of it repeats, so that codecs have something to do.
    out[i] = i % 2 == 0 ? static_cast<char>(state >> 56) : 'v';
  }
  return out;
}

// --- Batches

BatchNumber Oracle::Send(SentBatch batch) {
  Batch& added = batches_.emplace_back();
  added.sent = std::move(batch);
  added.moment = acknowledged_;
  return batches_.size();
}

void Oracle::Answered(BatchNumber number, const server::ProduceResult& result) {
  Batch& batch = at(number);
  if (batch.outcome != Outcome::kUnderWay)
    return Violate("batch ", number, " was answered twice: ", MessageOf(result.status));
  if (!result.status.ok()) {
    const ErrorInfo& info = InfoOf(ReasonOf(result.status));
    batch.outcome =
        info.outcome == varve::Outcome::NOT_APPLIED ? Outcome::kRefused : Outcome::kUnknown;
    refused_ += batch.outcome == Outcome::kRefused;
    if (batch.outcome == Outcome::kRefused && batch.place)
      Violate("batch ", number, " was refused (", info.name, ") but had been read at ",
              batch.base_offset);
    return;
  }
  if (batch.spoiled) Violate("batch ", number, " was damaged and is acknowledged");
  batch.outcome = Outcome::kAcknowledged;
  batch.acknowledged = ++acknowledged_;
  const Place place(batch.sent.topic, result.partition);
  if (batch.sent.partition && *batch.sent.partition != result.partition)
    Violate("batch ", number, " for partition ", *batch.sent.partition, " went to ",
            result.partition);
  batch.append_time = result.append_time;
  Put(place, number, result.base_offset);
  Log& log = logs_[place];
  log.high_watermark =
      std::max(log.high_watermark, result.base_offset + static_cast<int64_t>(batch.sent.records));
}

void Oracle::Crashed() {
  for (Batch& batch : batches_)
    if (batch.outcome == Outcome::kUnderWay) batch.outcome = Outcome::kUnknown;
}

// A place once known never changes.
void Oracle::Put(const Place& place, BatchNumber number, Offset base) {
  Batch& batch = at(number);
  if (batch.place && (*batch.place != place || batch.base_offset != base))
    return Violate("batch ", number, " is at ", place.first, "/", place.second, " offset ", base,
                   " and was at ", batch.place->first, "/", batch.place->second, " offset ",
                   batch.base_offset);
  Log& log = logs_[place];
  const auto [slot, added] = log.batches.emplace(base, number);
  if (!added && slot->second != number)
    return Violate("offset ", base, " of ", place.first, "/", place.second, " is batch ", number,
                   " and was batch ", slot->second);
  if (batch.place) return;
  batch.place = place;
  batch.base_offset = base;
  const auto overlap = [&](auto left, auto right) {
    if (left->first + static_cast<int64_t>(at(left->second).sent.records) > right->first)
      Violate("batches ", left->second, " and ", right->second, " of ", place.first, "/",
              place.second, " overlap at offset ", right->first);
  };
  if (slot != log.batches.begin()) overlap(std::prev(slot), slot);
  if (std::next(slot) != log.batches.end()) overlap(slot, std::next(slot));
}

// --- Topics

void Oracle::TopicAsked(const std::string& name, uint32_t partitions) {
  topics_[name] = {KnownTopic::State::kAsked, {}, partitions};
}

void Oracle::TopicAnswered(const std::string& name,
                           const absl::StatusOr<server::TopicInfo>& answer) {
  KnownTopic& topic = topics_[name];
  if (!answer.ok()) {
    const ErrorInfo& info = InfoOf(ReasonOf(answer.status()));
    if (info.outcome == varve::Outcome::NOT_APPLIED) topic.state = KnownTopic::State::kDeleted;
    return;
  }
  if (answer->partition_count != topic.partitions)
    Violate("topic ", name, " has ", answer->partition_count, " partitions, not ",
            topic.partitions);
  topic.id = answer->id;
  topic.state = KnownTopic::State::kExists;
}

void Oracle::DeleteAsked(const std::string& name) {
  topics_[name].state = KnownTopic::State::kDeleting;
}

void Oracle::DeleteAnswered(const std::string& name, const absl::Status& answer) {
  if (answer.ok()) topics_[name].state = KnownTopic::State::kDeleted;
  if (ReasonOf(answer) == Reason::UNKNOWN_TOPIC)
    Violate("topic ", name, " is unknown to its first deletion");
}

void Oracle::TopicLooked(const std::string& name, const absl::StatusOr<server::TopicInfo>& answer,
                         bool settled) {
  KnownTopic& topic = topics_[name];
  const bool exists = answer.ok();
  if (!exists && ReasonOf(answer.status()) != Reason::UNKNOWN_TOPIC) {
    if (settled) Violate("topic ", name, " cannot be looked up: ", MessageOf(answer.status()));
    return;
  }
  if (exists && topic.state == KnownTopic::State::kDeleted)
    Violate("topic ", name, " is there although it was deleted or refused");
  if (!exists && topic.state == KnownTopic::State::kExists)
    Violate("topic ", name, " is gone although its creation was acknowledged");
  if (exists && !topic.id.empty() && answer->id != topic.id)
    Violate("topic ", name, " changed its id");
  if (exists && answer->partition_count != topic.partitions)
    Violate("topic ", name, " has ", answer->partition_count, " partitions, not ",
            topic.partitions);
  if (!settled) return;
  if (exists) topic.id = answer->id;
  topic.state = exists ? KnownTopic::State::kExists : KnownTopic::State::kDeleted;
}

bool Oracle::Gone(const std::string& topic) const {
  const auto found = topics_.find(topic);
  return found == topics_.end() || found->second.state == KnownTopic::State::kDeleted ||
         found->second.state == KnownTopic::State::kDeleting;
}

// --- Reads

Offset Oracle::HighWatermark(const std::string& topic, PartitionId partition) const {
  const auto log = logs_.find({topic, partition});
  return log == logs_.end() ? Offset{} : log->second.high_watermark;
}

void Oracle::CheckBounds(const Observation& seen) {
  Log& log = logs_[{seen.topic, seen.partition}];
  if (seen.high_watermark < seen.floor)
    Violate("high watermark of ", seen.topic, "/", seen.partition, " is ", seen.high_watermark,
            " and was ", seen.floor, " before the request");
  if (seen.next_offset > seen.high_watermark)
    Violate("read of ", seen.topic, "/", seen.partition, " to offset ", seen.next_offset,
            " beyond the high watermark ", seen.high_watermark);
  log.high_watermark = std::max(log.high_watermark, seen.high_watermark);
}

void Oracle::Read(const Observation& seen, const std::vector<Entry>& entries) {
  CheckBounds(seen);
  const Place place(seen.topic, seen.partition);
  Offset next = seen.from;
  bool first = true;
  for (const Entry& entry : entries) {
    const EntryHeader& header = entry.header;
    const bool continues = first ? header.base_offset <= next && header.next_offset() > next
                                 : header.base_offset == next;
    if (header.kind != EntryKind::kData || !continues)
      Violate("read of ", place.first, "/", place.second, " from ", seen.from, ": entry ",
              header.base_offset, " to ", header.last_offset, " where ", next, " was due");
    next = header.next_offset();
    first = false;
    Found(place, entry);
  }
  if (next != seen.next_offset)
    Violate("read of ", place.first, "/", place.second, " from ", seen.from, " ends at ", next,
            " and says ", seen.next_offset);
}

void Oracle::Found(const Place& place, const Entry& entry) {
  ++read_;
  const auto torn = [&](std::string_view why) {
    Violate("entry at offset ", entry.header.base_offset, " of ", place.first, "/", place.second,
            ": ", why);
  };
  const auto view = RecordBatchView::Parse(entry.payload());
  if (!view.ok() || !view->crc_ok()) return torn("not a sound batch");
  if (view->base_offset() != entry.header.base_offset) return torn("another base offset inside");
  RecordBatchReader reader(*view);
  BatchNumber number = 0;
  uint32_t index = 0;
  while (const RecordView* record = reader.Next()) {
    if (!record->value || record->value->size() < kMinValueBytes) return torn("a foreign record");
    const auto said = LoadLittle<uint64_t>(record->value->data());
    if (index == 0) number = said;
    if (said != number || number == 0 || number > batches_.size() ||
        *record->value != Value(number, index, at(number).sent.value_bytes))
      return torn("a record that was not sent so");
    ++index;
  }
  if (!reader.status().ok() || number == 0) return torn("records that do not decode");
  Batch& batch = at(number);
  if (index != batch.sent.records) return torn("not all records of its batch");
  if (batch.sent.crc != 0 && batch.sent.crc != view->crc()) return torn("other bytes than sent");
  if (batch.sent.topic != place.first ||
      (batch.sent.partition && *batch.sent.partition != place.second))
    return torn("a batch of another partition");
  if (batch.outcome == Outcome::kRefused) return torn("a batch that was refused");
  if (batch.outcome == Outcome::kAbsent)
    return torn("a batch that a recovery had not brought back");
  if (batch.outcome == Outcome::kAcknowledged && batch.append_time != entry.header.append_time)
    return torn("another append time than acknowledged");
  batch.append_time = entry.header.append_time;
  Put(place, number, entry.header.base_offset);
  if (!reading_back_) return;
  if (batch.seen_in == read_back_) return torn("a batch that was read already");
  batch.seen_in = read_back_;
}

void Oracle::ReadPlain(const Observation& seen, const std::vector<server::PlainRecord>& records) {
  CheckBounds(seen);
  const Place place(seen.topic, seen.partition);
  Offset next = seen.from;
  for (const server::PlainRecord& record : records) {
    if (record.offset != next)
      Violate("plain read of ", place.first, "/", place.second, ": offset ", record.offset,
              " where ", next, " was due");
    next = record.offset + 1;
    if (record.value)
      CheckRecord(place, record.offset, std::string_view(*record.value));
    else
      CheckRecord(place, record.offset, std::nullopt);
  }
  if (next != seen.next_offset)
    Violate("plain read of ", place.first, "/", place.second, " ends at ", next, " and says ",
            seen.next_offset);
}

void Oracle::CheckRecord(const Place& place, Offset offset,
                         const std::optional<std::string_view>& value) {
  ++read_;
  const auto wrong = [&](std::string_view why) {
    Violate("record at offset ", offset, " of ", place.first, "/", place.second, ": ", why);
  };
  if (!value || value->size() < kMinValueBytes) return wrong("a foreign record");
  const auto number = LoadLittle<uint64_t>(value->data());
  const auto index = LoadLittle<uint32_t>(value->data() + 8);
  if (number == 0 || number > batches_.size() || index >= at(number).sent.records ||
      *value != Value(number, index, at(number).sent.value_bytes))
    return wrong("not as sent");
  if (at(number).outcome == Outcome::kRefused) return wrong("of a batch that was refused");
  if (at(number).sent.topic != place.first) return wrong("of another topic");
  Put(place, number, offset - static_cast<int64_t>(index));
}

void Oracle::ExpectReason(std::string_view what, const absl::Status& status,
                          std::initializer_list<Reason> allowed) {
  const Reason reason = ReasonOf(status);
  if (std::find(allowed.begin(), allowed.end(), reason) == allowed.end())
    Violate(what, " was answered ", status.ok() ? "OK" : InfoOf(reason).name, ": ",
            MessageOf(status));
}

}  // namespace varve::sim
