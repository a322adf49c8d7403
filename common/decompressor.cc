// Decompressors behind compression.h: each produces what fits the caller's buffer, the bound on the
// output is kept in one place for all of them.
#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "common/bytes.h"
#include "common/compression.h"
#include "common/compression_xerial.h"
#include "common/error.h"

namespace varve {
namespace {

absl::Status Damaged(Codec codec, std::string_view why) {
  return MakeError(Reason::INVALID_BATCH, "records are not valid ", CodecName(codec), ": ", why);
}
constexpr std::string_view kCutShort = "input ends too early";
constexpr std::string_view kLeftOver = "bytes behind the end";

// Bounds the output and makes errors stick.
class BoundedDecompressor : public Decompressor {
 public:
  BoundedDecompressor(Codec codec, std::string_view input, size_t max_output)
      : codec_(codec), input_(input), max_output_(max_output) {}

  absl::StatusOr<size_t> Next(char* out, size_t capacity) final {
    if (!status_.ok()) return status_;
    char probe = 0;
    const size_t allowed = max_output_ - produced_;
    // At the bound one more byte is asked for, to tell an end from an overrun.
    const bool at_bound = allowed == 0;
    auto n = at_bound ? Produce(&probe, 1) : Produce(out, std::min(capacity, allowed));
    if (n.ok() && at_bound && *n > 0) n = TooLarge();
    if (!n.ok()) {
      status_ = n.status();
      return status_;
    }
    produced_ += *n;
    return n;
  }
  [[nodiscard]] size_t produced() const final { return produced_; }

 protected:
  // As Next, without the bound; may be called again after the end.
  virtual absl::StatusOr<size_t> Produce(char* out, size_t capacity) = 0;

  [[nodiscard]] absl::Status TooLarge() const {
    return MakeError(Reason::BATCH_TOO_LARGE, "records decompress to more than ", max_output_,
                     " bytes");
  }
  [[nodiscard]] absl::Status Damage(std::string_view why) const { return Damaged(codec_, why); }
  [[nodiscard]] size_t max_output() const { return max_output_; }
  [[nodiscard]] std::string_view input() const { return input_; }
  void Consume(size_t n) { input_.remove_prefix(n); }

 private:
  const Codec codec_;
  std::string_view input_;  // not yet consumed
  const size_t max_output_;
  size_t produced_ = 0;
  absl::Status status_;
};

class Copier final : public BoundedDecompressor {
 public:
  using BoundedDecompressor::BoundedDecompressor;

 private:
  absl::StatusOr<size_t> Produce(char* out, size_t capacity) override {
    const size_t n = std::min(capacity, input().size());
    if (n != 0) std::memcpy(out, input().data(), n);
    Consume(n);
    return n;
  }
};

class GzipDecompressor final : public BoundedDecompressor {
 public:
  GzipDecompressor(std::string_view input, size_t max_output)
      : BoundedDecompressor(Codec::kGzip, input, max_output) {
    constexpr int kGzipOnly = 15 + 16;
    ready_ = inflateInit2(&stream_, kGzipOnly) == Z_OK;
  }
  ~GzipDecompressor() override {
    if (ready_) inflateEnd(&stream_);
  }

 private:
  absl::StatusOr<size_t> Produce(char* out, size_t capacity) override {
    if (ended_) return 0;
    if (!ready_) return MakeError(Reason::INTERNAL, "gzip: out of memory");
    constexpr size_t kMost = std::numeric_limits<uInt>::max();
    const auto room = static_cast<uInt>(std::min(capacity, kMost));
    const auto given = static_cast<uInt>(std::min(input().size(), kMost));
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input().data()));
    stream_.avail_in = given;
    stream_.next_out = reinterpret_cast<Bytef*>(out);
    stream_.avail_out = room;
    const int result = inflate(&stream_, Z_NO_FLUSH);
    Consume(given - stream_.avail_in);
    const size_t n = room - stream_.avail_out;
    if (result == Z_STREAM_END) {
      ended_ = true;
      if (!input().empty()) return Damage(kLeftOver);
      return n;
    }
    if (result != Z_OK && result != Z_BUF_ERROR) {
      return Damage(stream_.msg != nullptr ? stream_.msg : "damaged stream");
    }
    if (n == 0) return Damage(kCutShort);
    return n;
  }

  z_stream stream_{};
  bool ready_ = false;
  bool ended_ = false;
};

class Lz4Decompressor final : public BoundedDecompressor {
 public:
  Lz4Decompressor(std::string_view input, size_t max_output)
      : BoundedDecompressor(Codec::kLz4, input, max_output) {
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context_, LZ4F_VERSION)) != 0) {
      context_ = nullptr;
    }
  }
  ~Lz4Decompressor() override { LZ4F_freeDecompressionContext(context_); }

 private:
  absl::StatusOr<size_t> Produce(char* out, size_t capacity) override {
    if (context_ == nullptr) return MakeError(Reason::INTERNAL, "lz4: out of memory");
    while (!ended_) {
      size_t n = capacity;
      size_t taken = input().size();
      const size_t hint = LZ4F_decompress(context_, out, &n, input().data(), &taken, nullptr);
      if (LZ4F_isError(hint) != 0) return Damage(LZ4F_getErrorName(hint));
      Consume(taken);
      ended_ = hint == 0;
      if (ended_ && !input().empty()) return Damage(kLeftOver);
      if (n > 0) return n;
      if (taken == 0 && !ended_) return Damage(kCutShort);
    }
    return 0;
  }

  LZ4F_dctx* context_ = nullptr;
  bool ended_ = false;
};

// Making a zstd context costs some 10 us, more than a small batch; each thread keeps one that is
// idle.
struct FreeZstd {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};
using ZstdContext = std::unique_ptr<ZSTD_DCtx, FreeZstd>;
thread_local ZstdContext idle_zstd;  // NOLINT: not global state, only memory

ZstdContext TakeZstd() {
  // What RFC 8878 asks every decoder to support. The library allocates what a frame claims as its
  // window, so the default of 128 MiB would let a few bytes ask for that much.
  constexpr int kWindowLog = 23;
  if (idle_zstd != nullptr) return std::move(idle_zstd);
  ZstdContext out(ZSTD_createDCtx());
  if (out != nullptr) ZSTD_DCtx_setParameter(out.get(), ZSTD_d_windowLogMax, kWindowLog);
  return out;
}

void GiveBackZstd(ZstdContext context) {
  // One that grew with a large window is not worth its memory.
  constexpr size_t kMostIdleBytes = size_t{1} << 20;
  if (context == nullptr || ZSTD_sizeof_DCtx(context.get()) > kMostIdleBytes) return;
  ZSTD_DCtx_reset(context.get(), ZSTD_reset_session_only);
  idle_zstd = std::move(context);
}

class ZstdDecompressor final : public BoundedDecompressor {
 public:
  ZstdDecompressor(std::string_view input, size_t max_output)
      : BoundedDecompressor(Codec::kZstd, input, max_output), context_(TakeZstd()) {}
  ~ZstdDecompressor() override { GiveBackZstd(std::move(context_)); }

 private:
  absl::StatusOr<size_t> Produce(char* out, size_t capacity) override {
    if (context_ == nullptr) return MakeError(Reason::INTERNAL, "zstd: out of memory");
    while (!ended_) {
      ZSTD_inBuffer from{input().data(), input().size(), 0};
      ZSTD_outBuffer to{out, capacity, 0};
      const size_t hint = ZSTD_decompressStream(context_.get(), &to, &from);
      if (ZSTD_isError(hint) != 0) return Explain(hint);
      Consume(from.pos);
      ended_ = hint == 0;
      if (ended_ && !input().empty()) return Damage(kLeftOver);
      if (to.pos > 0) return to.pos;
      if (from.pos == 0 && !ended_) return Damage(kCutShort);
    }
    return 0;
  }

  [[nodiscard]] absl::Status Explain(size_t code) const {
    if (ZSTD_getErrorCode(code) == ZSTD_error_frameParameter_windowTooLarge) {
      return MakeError(Reason::UNSUPPORTED_COMPRESSION,
                       "zstd frame needs a window of more than 8 MiB; use level 19 or lower");
    }
    return Damage(ZSTD_getErrorName(code));
  }

  ZstdContext context_;
  bool ended_ = false;
};

// Snappy has no streaming form: a block is decoded as a whole. No element of a block yields more
// than 64 bytes from 3, so a block that claims over 22 times its size lies, and is refused before
// memory is taken for it. A raw block may so take up to the bound; a xerial block is usually 32 KiB
// and then goes straight to the caller's buffer.
class SnappyDecompressor final : public BoundedDecompressor {
 public:
  SnappyDecompressor(std::string_view input, size_t max_output)
      : BoundedDecompressor(Codec::kSnappy, input, max_output),
        framed_(input.starts_with(kXerialMagic)) {}

 private:
  absl::StatusOr<size_t> Produce(char* out, size_t capacity) override {
    if (!begun_) VARVE_RETURN_IF_ERROR(Begin());
    while (true) {
      if (given_ < block_bytes_) {
        const size_t n = std::min(capacity, block_bytes_ - given_);
        std::memcpy(out, block_.get() + given_, n);
        given_ += n;
        return n;
      }
      if (input().empty()) return 0;
      VARVE_ASSIGN_OR_RETURN(const std::string_view block, TakeBlock());
      VARVE_ASSIGN_OR_RETURN(const size_t n, Decode(block, out, capacity));
      if (n > 0) return n;
    }
  }

  absl::Status Begin() {
    begun_ = true;
    if (input().empty()) return Damage(kCutShort);
    if (!framed_) return absl::OkStatus();
    if (!input().starts_with(kXerialHeader)) return Damage("unknown version of the Java framing");
    Consume(kXerialHeader.size());
    return absl::OkStatus();
  }

  absl::StatusOr<std::string_view> TakeBlock() {
    std::string_view block = input();
    if (framed_) {
      if (block.size() < 4) return Damage(kCutShort);
      const auto length = LoadBig<uint32_t>(block.data());
      block.remove_prefix(4);
      if (length > block.size()) return Damage(kCutShort);
      block = block.substr(0, length);
      Consume(4);
    }
    Consume(block.size());
    return block;
  }

  // Decodes into `out` when it has room, returning the length; else into block_, returning 0.
  absl::StatusOr<size_t> Decode(std::string_view block, char* out, size_t capacity) {
    constexpr size_t kMostExpansion = 22;
    size_t length = 0;
    if (!snappy::GetUncompressedLength(block.data(), block.size(), &length) ||
        length / kMostExpansion > block.size()) {
      return Damage("impossible length of a block");
    }
    if (length > max_output() - produced()) return TooLarge();
    char* to = out;
    block_bytes_ = 0;
    given_ = 0;
    if (length > capacity) {
      if (length > block_capacity_) {
        block_ = std::make_unique_for_overwrite<char[]>(length);
        block_capacity_ = length;
      }
      to = block_.get();
      block_bytes_ = length;
    }
    if (!snappy::RawUncompress(block.data(), block.size(), to)) return Damage("damaged block");
    return to == out ? length : 0;
  }

  const bool framed_;
  bool begun_ = false;
  std::unique_ptr<char[]> block_;
  size_t block_capacity_ = 0;
  size_t block_bytes_ = 0;
  size_t given_ = 0;  // of block_bytes_
};

}  // namespace

absl::StatusOr<std::unique_ptr<Decompressor>> MakeDecompressor(Codec codec, std::string_view input,
                                                               size_t max_output) {
  switch (codec) {
    case Codec::kNone:
      return std::make_unique<Copier>(codec, input, max_output);
    case Codec::kGzip:
      return std::make_unique<GzipDecompressor>(input, max_output);
    case Codec::kSnappy:
      return std::make_unique<SnappyDecompressor>(input, max_output);
    case Codec::kLz4:
      return std::make_unique<Lz4Decompressor>(input, max_output);
    case Codec::kZstd:
      return std::make_unique<ZstdDecompressor>(input, max_output);
  }
  return MakeError(Reason::UNSUPPORTED_COMPRESSION, "codec number ", static_cast<int>(codec),
                   " is none of none, gzip, snappy, lz4, zstd");
}

}  // namespace varve
