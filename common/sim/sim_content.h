// The bytes of one simulated file: as written, as durable, and the changes between the two.
#ifndef VARVE_COMMON_SIM_SIM_CONTENT_H_
#define VARVE_COMMON_SIM_SIM_CONTENT_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/random.h"

namespace varve {

// Bytes in 4 KiB pages; a missing page reads as zero. Copying shares the pages: a shared page is
// copied when it is written, so that the durable and the written state of a file cost one copy
// together.
class SimPages {
 public:
  static constexpr uint64_t kPageBytes = 4096;

  [[nodiscard]] uint64_t size() const { return size_; }
  // The range must lie within size().
  void Read(uint64_t position, size_t length, char* out) const;
  // Extends as needed.
  void Write(uint64_t position, std::string_view bytes);
  // Writes zeros; extends as needed.
  void WriteZeros(uint64_t position, uint64_t length);
  // Bytes beyond a smaller size read as zero when the size grows again.
  void Resize(uint64_t size);
  // Takes the pages of `other` that hold bytes of [position, position+length).
  void SharePages(const SimPages& other, uint64_t position, uint64_t length);
  [[nodiscard]] uint64_t Hash() const;

 private:
  using Page = std::array<char, kPageBytes>;
  // The page, made if missing and unshared. `overwritten`: its bytes need not be kept.
  Page& Writable(uint64_t number, bool overwritten);

  uint64_t size_ = 0;
  std::map<uint64_t, std::shared_ptr<Page>> pages_;
};

class SimContent {
 public:
  [[nodiscard]] const SimPages& written() const { return written_; }
  void Write(uint64_t position, std::string bytes);
  void Truncate(uint64_t size);
  // Extends to `size`, which is larger than the current one.
  void Extend(uint64_t size, bool zero_fill);
  // All that is written is durable.
  void Sync();
  // The disk failed while it took the changes: each is durable, lost or torn, and later syncs cover
  // only what is written after this. What was written still reads back.
  void FailSync(Random& random);
  // Only what is durable is left; of the changes since, any part.
  void PowerLoss(Random& random);
  // Damage to both states; the range lies within both.
  void Corrupt(uint64_t position, std::string_view bytes);
  void Cut(uint64_t size);

 private:
  struct Change {
    enum class Kind : uint8_t { kWrite, kZeros, kGrow, kTruncate };
    Kind kind;
    uint64_t position;  // where bytes or zeros begin; the new size for kGrow and kTruncate
    uint64_t length;    // of the bytes or zeros
    std::string bytes;  // of kWrite
  };
  // Makes a part of the changes durable, as drawn, and forgets the rest.
  void Settle(Random& random);
  void Keep(const Change& change);
  void Lose(const Change& change, Random& random);
  void Tear(const Change& change, Random& random);

  SimPages written_;
  SimPages durable_;
  std::vector<Change> changes_;  // since the last sync, in order
  bool diverged_ = false;        // a failed sync left bytes that are written but never durable
};

}  // namespace varve

#endif  // VARVE_COMMON_SIM_SIM_CONTENT_H_
