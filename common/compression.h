// Compression of the records of a batch: none, gzip, snappy, lz4 frame, zstd.
//
// Decompression streams into buffers of the caller and is bounded by its output, never by what the
// input claims, so hostile bytes cost no more memory than the bound of the codec given below. Part
// of the client library: depends on Abseil and the codecs only.
#ifndef VARVE_COMMON_COMPRESSION_H_
#define VARVE_COMMON_COMPRESSION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace varve {

// Bits 0-2 of the batch's attributes.
enum class Codec : uint8_t { kNone = 0, kGzip = 1, kSnappy = 2, kLz4 = 3, kZstd = 4 };
inline constexpr int kCodecCount = 5;

// "none", "gzip", "snappy", "lz4", "zstd".
std::string_view CodecName(Codec codec);
// The codec of that name; nullopt when there is none.
std::optional<Codec> CodecNamed(std::string_view name);

// Each codec's own default level; snappy and none have no levels.
inline constexpr int kDefaultCompressionLevel = -1000;

// Exactly one gzip member, xerial-framed snappy (as Java clients write it), lz4 frame or zstd
// frame; the input itself for kNone. A level outside the codec's range is clamped. INTERNAL when
// the library refuses (out of memory).
absl::StatusOr<std::string> Compress(Codec codec, std::string_view input,
                                     int level = kDefaultCompressionLevel);

// Decompresses one input from its begin to its end. Owned by one thread; `input` must outlive it.
// Memory it holds: gzip 40 KiB, lz4 at most two blocks of 4 MiB, zstd a window of at most 8 MiB (a
// thread that used zstd keeps up to 1 MiB of it), snappy one block, which may be the whole output
// (at most 22 times the input, and at most the bound).
class Decompressor {
 public:
  virtual ~Decompressor() = default;
  // Writes up to `capacity` (> 0) bytes to `out` and returns how many; 0 only at the end, where all
  // of the input has been consumed as well. INVALID_BATCH for damaged or left-over input,
  // BATCH_TOO_LARGE when the output passes the bound, UNSUPPORTED_COMPRESSION for a zstd window
  // beyond 8 MiB. After an error every call returns it again.
  virtual absl::StatusOr<size_t> Next(char* out, size_t capacity) = 0;
  // Bytes returned by Next so far.
  [[nodiscard]] virtual size_t produced() const = 0;
};

// Snappy input may be a raw block or xerial-framed. UNSUPPORTED_COMPRESSION for a number that is no
// Codec.
absl::StatusOr<std::unique_ptr<Decompressor>> MakeDecompressor(Codec codec, std::string_view input,
                                                               size_t max_output);

// All of the output at once; errors as of Next.
absl::StatusOr<std::string> Decompress(Codec codec, std::string_view input, size_t max_output);

}  // namespace varve

#endif  // VARVE_COMMON_COMPRESSION_H_
