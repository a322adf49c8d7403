#include "client/demo/file_lanes.h"

#include <algorithm>

namespace varve::demo {

LaneOf PlaceChunk(uint64_t chunk) {
  const auto lane = static_cast<uint32_t>(chunk % kLanes);
  return {lane, lane % kPartitions, lane / kPartitions};
}

std::string ChunkKey(uint64_t chunk) {
  std::string key(8, '\0');
  for (int i = 0; i < 8; ++i)
    key[static_cast<size_t>(i)] = static_cast<char>(chunk >> (56 - 8 * i));
  return key;
}

std::optional<uint64_t> ParseChunkKey(std::string_view key) {
  if (key.size() != 8) return std::nullopt;
  uint64_t chunk = 0;
  for (const char c : key) chunk = chunk << 8 | static_cast<unsigned char>(c);
  return chunk;
}

std::string LaneLedger::Read(uint64_t chunk, uint32_t partition) {
  if (chunk >= seen_.size()) return "chunk " + std::to_string(chunk) + " was never sent";
  const LaneOf place = PlaceChunk(chunk);
  if (place.partition != partition)
    return "chunk " + std::to_string(chunk) + " came from partition " + std::to_string(partition);
  if (seen_[chunk]) return "chunk " + std::to_string(chunk) + " is in the log twice";
  const uint64_t expected = next_[place.lane] * kLanes + place.lane;
  if (chunk != expected)
    return "chunk " + std::to_string(chunk) + " came where " + std::to_string(expected) +
           " was due";
  seen_[chunk] = true;
  ++next_[place.lane];
  return {};
}

std::string LaneLedger::FindLoss() const {
  for (size_t i = 0; i < acknowledged_.size(); ++i)
    if (acknowledged_[i] && !seen_[i])
      return "chunk " + std::to_string(i) + " was acknowledged and is not in the log";
  return {};
}

std::optional<uint64_t> LaneLedger::NextOf(uint32_t lane) const {
  const uint64_t chunk = next_[lane] * kLanes + lane;
  return chunk < seen_.size() ? std::optional(chunk) : std::nullopt;
}

void LaneLedger::BeginReading() {
  std::fill(seen_.begin(), seen_.end(), false);
  std::fill(next_.begin(), next_.end(), 0);
}

uint64_t LaneLedger::acknowledged_count() const {
  return static_cast<uint64_t>(std::count(acknowledged_.begin(), acknowledged_.end(), true));
}

uint64_t LaneLedger::unacknowledged_seen() const {
  uint64_t count = 0;
  for (size_t i = 0; i < seen_.size(); ++i) count += seen_[i] && !acknowledged_[i] ? 1 : 0;
  return count;
}

}  // namespace varve::demo
