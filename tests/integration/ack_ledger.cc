#include "tests/integration/ack_ledger.h"

#include <sstream>

namespace varve::testing {
namespace {

template <class... Pieces>
std::string Say(const Pieces&... pieces) {
  std::ostringstream out;
  (out << ... << pieces);
  return out.str();
}

}  // namespace

AckLedger::AckLedger(uint32_t producers, uint32_t partitions)
    : producers_(producers),
      partitions_(partitions),
      acknowledged_(static_cast<size_t>(producers) * partitions) {
  BeginReading();
}

void AckLedger::Acknowledge(const RecordNumber& number, int64_t offset) {
  std::lock_guard lock(mutex_);
  auto& lane = acknowledged_[LaneOf(number)];
  if (lane.size() <= number.sequence) lane.resize(number.sequence + 1, -1);
  lane[number.sequence] = offset;
  ++count_;
}

uint64_t AckLedger::acknowledged() const {
  std::lock_guard lock(mutex_);
  return count_;
}

std::vector<std::vector<int64_t>> AckLedger::Known() const {
  std::lock_guard lock(mutex_);
  return acknowledged_;
}

void AckLedger::BeginReading() {
  lanes_.assign(static_cast<size_t>(producers_) * partitions_, {});
  next_offset_.assign(partitions_, 0);
  copies_ = 0;
}

std::string AckLedger::Read(uint32_t partition, int64_t offset, std::string_view value,
                            uint32_t kills) {
  const auto number = DecodeNumbered(value);
  if (!number || number->partition != partition || number->producer >= producers_)
    return Say("torn: partition ", partition, " offset ", offset, " holds ", value.size(),
               " bytes that nobody sent there");
  if (offset != next_offset_[partition]++)
    return Say("gap: partition ", partition, " has offset ", offset, ", expected ",
               next_offset_[partition] - 1);
  Lane& lane = lanes_[LaneOf(*number)];
  if (number->sequence > lane.next)
    return Say("lost or out of order: producer ", number->producer, " partition ", partition,
               " offset ", offset, " is number ", number->sequence, ", expected ", lane.next);
  if (number->sequence < lane.next) {
    if (lane.next != lane.last_copy.size())
      return Say("order: producer ", number->producer, " partition ", partition, " offset ", offset,
                 " jumps back to ", number->sequence, " within a repetition");
    if (++lane.jumps > kills)
      return Say("copies: producer ", number->producer, " partition ", partition, " offset ",
                 offset, " repeats ", number->sequence, " for the ", lane.jumps,
                 "th time after only ", kills, " kills");
  }
  lane.next = number->sequence + 1;
  if (number->sequence < lane.last_copy.size()) {
    lane.last_copy[number->sequence] = offset;
    ++copies_;
  } else {
    lane.last_copy.push_back(offset);
  }
  return {};
}

std::string AckLedger::Judge(const std::vector<std::vector<int64_t>>& known) const {
  for (size_t l = 0; l < known.size(); ++l) {
    const Lane& lane = lanes_[l];
    for (size_t sequence = 0; sequence < known[l].size(); ++sequence) {
      const int64_t acknowledged = known[l][sequence];
      if (acknowledged < 0) continue;
      if (sequence >= lane.last_copy.size())
        return Say("lost: producer ", l / partitions_, " partition ", l % partitions_, " number ",
                   sequence, ", acknowledged at offset ", acknowledged);
      if (lane.last_copy[sequence] != acknowledged)
        return Say("moved: producer ", l / partitions_, " partition ", l % partitions_, " number ",
                   sequence, " was acknowledged at offset ", acknowledged, " and lies at ",
                   lane.last_copy[sequence]);
    }
  }
  return {};
}

}  // namespace varve::testing
