// Bytes of a journal frame. docs/formats.md, "Frame".
#ifndef VARVE_STORAGE_FORMAT_JOURNAL_FRAME_H_
#define VARVE_STORAGE_FORMAT_JOURNAL_FRAME_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/bytes.h"
#include "storage/replica_state.h"

namespace varve::storage {

inline constexpr size_t kFrameHeaderBytes = 32;
// Largest frame: what one group may have uncommitted, with room to spare; keeps every length in 32
// bits.
inline constexpr size_t kMaxFrameBytes = 256u << 20;

// A frame ready to be written: bytes of its own, between which the entries' shared buffers stand,
// so that no payload is copied. Movable; not thread-safe.
class FrameImage {
 public:
  // The checksum is still open: it depends on the generation of the file.
  static FrameImage Of(const JournalFrame& frame);

  [[nodiscard]] size_t bytes() const { return bytes_; }
  // Sets the checksum for a file whose generation has `seed`.
  void Seal(uint32_t seed);
  // The pieces in order; they stay valid as long as this image is neither moved nor destroyed.
  void AppendPieces(std::vector<std::string_view>* pieces) const;

 private:
  struct Insert {
    size_t at;  // in own_, before which the entry stands
    SharedBytes entry;
  };
  std::string own_;
  std::vector<Insert> inserts_;
  size_t bytes_ = 0;
};

// Checks length and checksum of the frame that `bytes` begins with and returns its length.
// DATA_LOSS means that it was not written like this into a file whose generation has `seed`.
absl::StatusOr<size_t> VerifyFrame(std::string_view bytes, uint32_t seed);

// Reads exactly one frame whose checksum was verified; its entries share the buffer. DATA_LOSS then
// means that the writer was another version or wrong, not that bytes were lost.
absl::StatusOr<JournalFrame> DecodeFrame(const SharedBytes& bytes);

}  // namespace varve::storage

#endif  // VARVE_STORAGE_FORMAT_JOURNAL_FRAME_H_
