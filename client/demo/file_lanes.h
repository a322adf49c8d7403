// FileLanes: how the demo cuts a file into records, and how it finds out what arrived.
#ifndef VARVE_CLIENT_DEMO_FILE_LANES_H_
#define VARVE_CLIENT_DEMO_FILE_LANES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "varve/record.h"

namespace varve::demo {

inline constexpr uint32_t kPartitions = 8;
inline constexpr Compression kCodecs[] = {Compression::kNone, Compression::kGzip,
                                          Compression::kSnappy, Compression::kLz4,
                                          Compression::kZstd};
inline constexpr uint32_t kLanes = kPartitions * std::size(kCodecs);

// Chunk `n` of the file goes to lane n mod kLanes. A lane is one codec on one partition, and one
// producer sends it in order: so what arrived of a lane is a prefix of it, whatever happened to the
// broker.
struct LaneOf {
  uint32_t lane;
  uint32_t partition;
  uint32_t codec;  // place in kCodecs
};
LaneOf PlaceChunk(uint64_t chunk);

// The key of a chunk's record: its number, 8 bytes, big-endian.
std::string ChunkKey(uint64_t chunk);
std::optional<uint64_t> ParseChunkKey(std::string_view key);

// What was acknowledged and what was read back. Not thread-safe.
class LaneLedger {
 public:
  explicit LaneLedger(uint64_t chunks) : acknowledged_(chunks), seen_(chunks), next_(kLanes) {}

  void Acknowledge(uint64_t chunk) { acknowledged_[chunk] = true; }
  // A record read back, in the order of its partition. Empty, or what is wrong with it: out of
  // order within its lane, twice, in the wrong partition.
  std::string Read(uint64_t chunk, uint32_t partition);
  // After everything was read: empty, or which acknowledged chunk is missing.
  [[nodiscard]] std::string FindLoss() const;
  // First chunk of the lane that is not in the log; nullopt when the lane is complete.
  [[nodiscard]] std::optional<uint64_t> NextOf(uint32_t lane) const;
  // Forgets what was read, for another pass.
  void BeginReading();
  [[nodiscard]] uint64_t acknowledged_count() const;
  // Chunks in the log that nobody acknowledged.
  [[nodiscard]] uint64_t unacknowledged_seen() const;
  [[nodiscard]] uint64_t chunks() const { return acknowledged_.size(); }

 private:
  std::vector<bool> acknowledged_;
  std::vector<bool> seen_;
  std::vector<uint64_t> next_;  // per lane: how many of its chunks were read, all in order
};

}  // namespace varve::demo

#endif  // VARVE_CLIENT_DEMO_FILE_LANES_H_
