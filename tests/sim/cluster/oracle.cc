#include "tests/sim/cluster/oracle.h"

#include <algorithm>
#include <charconv>

#include "common/error.h"

namespace varve::clustersim {
namespace {

// An offset that no run reaches, so that a wrong one takes no memory.
constexpr int64_t kMostOffsets = 10'000'000;

bool ParseValue(std::string_view value, BatchNumber* number, uint32_t* index) {
  const char* const end = value.data() + value.size();
  const auto [colon, bad_number] = std::from_chars(value.data(), end, *number);
  if (bad_number != std::errc() || colon == end || *colon != ':') return false;
  const auto [rest, bad_index] = std::from_chars(colon + 1, end, *index);
  return bad_index == std::errc() && rest != end && *rest == ':' &&
         value == Oracle::Value(*number, *index, static_cast<uint32_t>(value.size()));
}

}  // namespace

std::string Oracle::Value(BatchNumber number, uint32_t index, uint32_t bytes) {
  std::string out = StrCat(number, ":", index, ":");
  uint64_t state = number * 0x9e3779b97f4a7c15 + index;
  while (out.size() < bytes) {
    state = state * 6364136223846793005 + 1442695040888963407;
    out.push_back(static_cast<char>(state >> 56));
  }
  return out;
}

BatchNumber Oracle::Send(const Place& place, uint32_t records) {
  Batch& batch = batches_.emplace_back();
  batch.place = place;
  batch.records = records;
  batch.floor = logs_[place].acknowledged_end;
  return batches_.size();
}

void Oracle::Acknowledged(BatchNumber number, Offset base) {
  Batch& batch = batches_[number - 1];
  if (batch.state != State::kUnderWay) return Violate("batch ", number, " was answered twice");
  batch.state = State::kAcknowledged;
  ++acknowledged_;
  if (base < batch.floor)
    Violate("batch ", number, " of ", batch.place.topic, "/", batch.place.partition,
            " is acknowledged at offset ", base, ", and was sent when ", batch.floor,
            " was the end of what had been acknowledged");
  const Place place = batch.place;
  const uint32_t records = batch.records;
  for (uint32_t i = 0; i < records; ++i) Put(place, base + i, number, i);
  Log& log = logs_[place];
  log.acknowledged_end = std::max(log.acknowledged_end, base + records);
}

void Oracle::Failed(BatchNumber number, const absl::Status& status) {
  if (InfoOf(ReasonOf(status)).outcome != Outcome::NOT_APPLIED) return GaveUp(number);
  Batch& batch = batches_[number - 1];
  if (batch.state != State::kUnderWay) return Violate("batch ", number, " was answered twice");
  batch.state = State::kRefused;
  ++refused_;
  if (batch.placed)
    Violate("batch ", number, " was refused (", MessageOf(status), ") but had been read at ",
            batch.base);
}

void Oracle::GaveUp(BatchNumber number) {
  Batch& batch = batches_[number - 1];
  if (batch.state != State::kUnderWay) return;
  batch.state = State::kUnknown;
  ++unknown_;
}

void Oracle::Put(const Place& place, Offset offset, BatchNumber number, uint32_t index) {
  if (offset.value() < 0 || offset.value() >= kMostOffsets)
    return Violate("batch ", number, " of ", place.topic, "/", place.partition, " is at offset ",
                   offset);
  std::vector<Seen>& seen = logs_[place].seen;
  const auto at = static_cast<size_t>(offset.value());
  if (seen.size() <= at) seen.resize(at + 1);
  if (seen[at].number != 0 && (seen[at].number != number || seen[at].index != index))
    return Violate("offset ", offset, " of ", place.topic, "/", place.partition, " is record ",
                   number, ":", index, " and was record ", seen[at].number, ":", seen[at].index);
  seen[at] = {number, index};
  Batch& batch = batches_[number - 1];
  const Offset base = offset - index;
  if (batch.placed && batch.base != base)
    return Violate("batch ", number, " of ", place.topic, "/", place.partition, " is at offset ",
                   base, " and at ", batch.base);
  batch.placed = true;
  batch.base = base;
}

void Oracle::Found(const Place& place, Offset offset, std::string_view value) {
  ++found_;
  BatchNumber number = 0;
  uint32_t index = 0;
  if (!ParseValue(value, &number, &index) || number == 0 || number > batches_.size())
    return Violate("offset ", offset, " of ", place.topic, "/", place.partition,
                   " holds what nobody sent");
  const Batch& batch = batches_[number - 1];
  if (batch.place != place || index >= batch.records)
    return Violate("record ", number, ":", index, " of ", batch.place.topic, "/",
                   batch.place.partition, " is at ", place.topic, "/", place.partition, " offset ",
                   offset);
  if (batch.state == State::kRefused)
    return Violate("batch ", number, " was refused and is at ", place.topic, "/", place.partition,
                   " offset ", offset);
  Put(place, offset, number, index);
}

void Oracle::TrimAsked(const Place& place, Offset before) {
  Offset& to = logs_[place].trimmed_to;
  to = std::max(to, before);
}

Offset Oracle::TrimmedTo(const Place& place) const {
  const auto at = logs_.find(place);
  return at == logs_.end() ? Offset{} : at->second.trimmed_to;
}

Offset Oracle::KnownEnd(const Place& place) const {
  const auto at = logs_.find(place);
  return at == logs_.end() ? Offset{} : Offset(static_cast<int64_t>(at->second.seen.size()));
}

void Oracle::CheckComplete(const Place& place, Offset start, Offset end) {
  const Log& log = logs_[place];
  if (start > log.trimmed_to)
    Violate(place.topic, "/", place.partition, " begins at offset ", start,
            ", and nobody asked for more than ", log.trimmed_to);
  if (KnownEnd(place) > end)
    Violate(place.topic, "/", place.partition, " ends at offset ", end,
            ", and what was acknowledged or read at ", KnownEnd(place));
}

}  // namespace varve::clustersim
