// Entry: one element of a group's Raft log, which is also one element of the partition's record
// log.
//
// On disk, between brokers and in memory an entry is one contiguous *frame*: a header of
// kEntryHeaderBytes, then the payload. docs/formats.md, "Entry frame", gives the layout. One entry
// = one record batch (or one zero-width entry) = one index, except for compacted frames.
#ifndef VARVE_COMMON_ENTRY_H_
#define VARVE_COMMON_ENTRY_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/bytes.h"
#include "common/types.h"

namespace varve {

enum class EntryKind : uint8_t {
  kData = 1,     // payload: one record batch; [base_offset, last_offset] spans its records
  kBarrier = 2,  // a new leader's first entry; empty payload; zero width
  kConfig = 3,   // payload: a configuration; zero width
  kMeta = 4,     // payload: a typed body (common/meta_entry.h); zero width
};

inline constexpr uint8_t kEntryVersion = 1;
inline constexpr size_t kEntryHeaderBytes = 72;
// Flag bits of the frame; unknown ones are refused.
inline constexpr uint16_t kEntryFlagCompacted =
    1;  // covers [first_index, last_index], several indices

// The decoded header. A zero-width entry has last_offset == base_offset - 1, where base_offset is
// the offset that the next record will get.
struct EntryHeader {
  EntryKind kind = EntryKind::kData;
  uint16_t flags = 0;
  uint32_t payload_bytes = 0;
  GroupId group;
  Index first_index;
  Index last_index;
  Term term;
  Offset base_offset;
  Offset last_offset;
  WallTime append_time;

  [[nodiscard]] uint64_t frame_bytes() const { return kEntryHeaderBytes + payload_bytes; }
  [[nodiscard]] Offset next_offset() const { return last_offset + 1; }
  [[nodiscard]] bool zero_width() const { return last_offset < base_offset; }
  bool operator==(const EntryHeader&) const = default;
};

// A sealed, immutable entry. Copies share the bytes.
struct Entry {
  EntryHeader header;
  SharedBytes frame;  // header and payload, exactly header.frame_bytes()
  [[nodiscard]] std::string_view payload() const { return frame.view().substr(kEntryHeaderBytes); }
};

// Room for one frame, uniquely owned: the payload is written once, behind space for the header, and
// sealed in place without a copy. Movable, not copyable, not thread-safe.
class FrameBuffer {
 public:
  FrameBuffer() = default;
  explicit FrameBuffer(size_t payload_bytes);
  // Copies the payload once.
  static FrameBuffer Copy(std::string_view payload);

  [[nodiscard]] bool empty() const { return bytes_ == nullptr; }
  [[nodiscard]] size_t payload_bytes() const { return payload_bytes_; }
  [[nodiscard]] char* payload() { return bytes_.get() + kEntryHeaderBytes; }
  [[nodiscard]] std::string_view payload_view() const {
    return {bytes_.get() + kEntryHeaderBytes, payload_bytes_};
  }

  // Writes the header before the payload and freezes the frame. `header.payload_bytes` is set here.
  // For kData the batch's base offset and leader epoch are patched to base_offset and term first
  // (its own CRC does not cover them). The buffer is empty afterwards.
  Entry Seal(EntryHeader header) &&;

 private:
  std::shared_ptr<char[]> bytes_;
  size_t payload_bytes_ = 0;
};

// Reads the header of the frame that `bytes` begins with. `bytes` may be longer or shorter than the
// frame; hostile input is fine. DATA_LOSS says what is wrong: fewer bytes than a header, unknown
// version, kind or flag, a length beyond the limits, indices or offsets that contradict each other.
// The checksum is not looked at.
absl::StatusOr<EntryHeader> DecodeEntryHeader(std::string_view bytes);

// Verifies the whole frame `bytes` (exactly frame_bytes() long): header, frame checksum and, for
// kData, the batch's length and CRC, so that every byte is covered. DATA_LOSS otherwise.
absl::StatusOr<EntryHeader> VerifyEntryFrame(std::string_view bytes);

}  // namespace varve

#endif  // VARVE_COMMON_ENTRY_H_
