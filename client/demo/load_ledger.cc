#include "client/demo/load_ledger.h"

#include <algorithm>
#include <charconv>

namespace varve::demo {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kShortestGap{10};

}  // namespace

uint64_t LoadLedger::Send(uint32_t partition) {
  std::lock_guard lock(mutex_);
  partitions_[partition].acknowledged.push_back(false);
  partitions_[partition].copies.push_back(0);
  return partitions_[partition].acknowledged.size() - 1;
}

void LoadLedger::Acknowledge(uint32_t partition, uint64_t number, Time now) {
  std::lock_guard lock(mutex_);
  Partition& at = partitions_[partition];
  at.acknowledged[number] = true;
  if (at.last)
    if (const auto gap = std::chrono::duration_cast<milliseconds>(now - *at.last);
        gap >= kShortestGap)
      at.gaps.push_back({now, gap});
  at.last = now;
}

void LoadLedger::Fail() {
  std::lock_guard lock(mutex_);
  ++failed_;
}

bool LoadLedger::Read(uint32_t partition, uint64_t number) {
  std::lock_guard lock(mutex_);
  if (partition >= partitions_.size() || number >= partitions_[partition].copies.size())
    return false;
  ++partitions_[partition].copies[number];
  return true;
}

LoadSummary LoadLedger::Summary() const {
  std::lock_guard lock(mutex_);
  LoadSummary out;
  out.failed = failed_;
  for (const Partition& partition : partitions_) {
    out.sent += partition.acknowledged.size();
    for (size_t i = 0; i < partition.acknowledged.size(); ++i) {
      const uint32_t copies = partition.copies[i];
      out.acknowledged += partition.acknowledged[i] ? 1 : 0;
      out.lost += partition.acknowledged[i] && copies == 0 ? 1 : 0;
      out.read += copies;
      out.duplicated += copies > 1 ? copies - 1 : 0;
    }
    for (const Gap& gap : partition.gaps) out.longest_gap = std::max(out.longest_gap, gap.length);
  }
  return out;
}

bool LoadLedger::AllAcknowledgedSince(Time time) const {
  std::lock_guard lock(mutex_);
  return std::all_of(partitions_.begin(), partitions_.end(),
                     [&](const Partition& p) { return p.last && *p.last > time; });
}

milliseconds LoadLedger::LongestGapSince(Time time) const {
  std::lock_guard lock(mutex_);
  milliseconds longest{0};
  for (const Partition& partition : partitions_)
    for (auto gap = partition.gaps.rbegin(); gap != partition.gaps.rend() && gap->end >= time;
         ++gap)
      longest = std::max(longest, gap->length);
  return longest;
}

std::string LoadLedger::ValueOf(uint64_t number) { return std::to_string(number); }

std::optional<uint64_t> LoadLedger::ParseValue(std::string_view value) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size()) return std::nullopt;
  return number;
}

}  // namespace varve::demo
