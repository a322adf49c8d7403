#include "common/compression.h"

#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "common/bytes.h"
#include "common/compression_xerial.h"
#include "common/error.h"

namespace varve {
namespace {

constexpr std::array<std::string_view, kCodecCount> kNames = {"none", "gzip", "snappy", "lz4",
                                                              "zstd"};

absl::Status Refused(Codec codec, std::string_view why) {
  return MakeError(Reason::INTERNAL, CodecName(codec), " compression failed: ", why);
}

absl::StatusOr<std::string> CompressGzip(std::string_view input, int level) {
  constexpr int kGzipWindow = 15 + 16;  // 32 KiB window, gzip header and trailer
  constexpr int kMemoryLevel = 8;
  z_stream stream{};
  const int chosen =
      level == kDefaultCompressionLevel ? Z_DEFAULT_COMPRESSION : std::clamp(level, 0, 9);
  if (deflateInit2(&stream, chosen, Z_DEFLATED, kGzipWindow, kMemoryLevel, Z_DEFAULT_STRATEGY) !=
      Z_OK) {
    return Refused(Codec::kGzip, "out of memory");
  }
  std::string out(deflateBound(&stream, input.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (result != Z_STREAM_END) return Refused(Codec::kGzip, "output larger than its bound");
  return out;
}

// 32 KiB blocks, as snappy-java writes them by default.
absl::StatusOr<std::string> CompressXerial(std::string_view input) {
  std::string out(kXerialHeader);
  std::array<char, 4> length{};
  for (size_t at = 0; at < input.size(); at += kXerialBlockBytes) {
    const std::string_view block = input.substr(at, kXerialBlockBytes);
    const size_t length_at = out.size();
    out.resize(length_at + length.size() + snappy::MaxCompressedLength(block.size()));
    size_t written = 0;
    snappy::RawCompress(block.data(), block.size(), out.data() + length_at + length.size(),
                        &written);
    StoreBig(out.data() + length_at, static_cast<uint32_t>(written));
    out.resize(length_at + length.size() + written);
  }
  return out;
}

absl::StatusOr<std::string> CompressLz4(std::string_view input, int level) {
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.blockSizeID = LZ4F_max64KB;
  preferences.frameInfo.blockMode = LZ4F_blockIndependent;  // the only mode that Java clients read
  preferences.compressionLevel =
      level == kDefaultCompressionLevel ? 0 : std::clamp(level, 0, LZ4F_compressionLevel_max());
  std::string out(LZ4F_compressFrameBound(input.size(), &preferences), '\0');
  const size_t written =
      LZ4F_compressFrame(out.data(), out.size(), input.data(), input.size(), &preferences);
  if (LZ4F_isError(written) != 0) return Refused(Codec::kLz4, LZ4F_getErrorName(written));
  out.resize(written);
  return out;
}

absl::StatusOr<std::string> CompressZstd(std::string_view input, int level) {
  // Above 19 the window grows beyond the 8 MiB that decoders must support.
  constexpr int kHighestLevel = 19;
  const int chosen = level == kDefaultCompressionLevel
                         ? ZSTD_CLEVEL_DEFAULT
                         : std::clamp(level, ZSTD_minCLevel(), kHighestLevel);
  std::string out(ZSTD_compressBound(input.size()), '\0');
  const size_t written = ZSTD_compress(out.data(), out.size(), input.data(), input.size(), chosen);
  if (ZSTD_isError(written) != 0) return Refused(Codec::kZstd, ZSTD_getErrorName(written));
  out.resize(written);
  return out;
}

}  // namespace

std::string_view CodecName(Codec codec) {
  const auto number = static_cast<size_t>(codec);
  return number < kNames.size() ? kNames[number] : "unknown";
}

std::optional<Codec> CodecNamed(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Codec>(found - kNames.begin());
}

absl::StatusOr<std::string> Compress(Codec codec, std::string_view input, int level) {
  // Sizes inside zlib are 32 bits wide; no batch comes near.
  if (input.size() > std::numeric_limits<int32_t>::max()) return Refused(codec, "input over 2 GiB");
  switch (codec) {
    case Codec::kNone:
      return std::string(input);
    case Codec::kGzip:
      return CompressGzip(input, level);
    case Codec::kSnappy:
      return CompressXerial(input);
    case Codec::kLz4:
      return CompressLz4(input, level);
    case Codec::kZstd:
      return CompressZstd(input, level);
  }
  return MakeError(Reason::UNSUPPORTED_COMPRESSION, "codec number ", static_cast<int>(codec));
}

absl::StatusOr<std::string> Decompress(Codec codec, std::string_view input, size_t max_output) {
  VARVE_ASSIGN_OR_RETURN(const auto decompressor, MakeDecompressor(codec, input, max_output));
  constexpr size_t kFirstStep = 16 * 1024;
  std::string out;
  while (true) {
    // Doubles with what has really arrived, whatever the input claims.
    const size_t have = out.size();
    out.resize(std::max(kFirstStep, have * 2));
    size_t filled = have;
    while (filled < out.size()) {
      VARVE_ASSIGN_OR_RETURN(const size_t n,
                             decompressor->Next(out.data() + filled, out.size() - filled));
      if (n == 0) {
        out.resize(filled);
        return out;
      }
      filled += n;
    }
  }
}

}  // namespace varve
