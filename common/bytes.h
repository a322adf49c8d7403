// Bytes in memory: refcounted slices, and bounds-checked readers and writers of fixed-width
// integers.
//
// Views of bytes are std::string_view throughout varve. On-disk integers are little-endian; the
// record batch (Kafka's format) is big-endian.
#ifndef VARVE_COMMON_BYTES_H_
#define VARVE_COMMON_BYTES_H_

#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace varve {

// An immutable slice of a refcounted buffer. Copying shares; the bytes live as long as any copy.
// Thread-safe like shared_ptr: distinct copies may be used from distinct threads.
class SharedBytes {
 public:
  SharedBytes() = default;
  // The bytes of `view` must live and stay unchanged as long as `owner` does.
  SharedBytes(std::shared_ptr<const void> owner, std::string_view view)
      : owner_(std::move(owner)), view_(view) {}
  // Copies `bytes` once.
  static SharedBytes Copy(std::string_view bytes);
  // Takes over `bytes` without copying.
  static SharedBytes Take(std::string bytes);

  [[nodiscard]] std::string_view view() const { return view_; }
  [[nodiscard]] size_t size() const { return view_.size(); }
  [[nodiscard]] bool empty() const { return view_.empty(); }
  // A part of the same buffer; the range must lie within this slice.
  [[nodiscard]] SharedBytes Slice(size_t at, size_t length) const;

 private:
  std::shared_ptr<const void> owner_;
  std::string_view view_;
};

template <class Int>
constexpr Int ByteSwapped(Int v) {
  if constexpr (sizeof(Int) == 1) return v;
  if constexpr (sizeof(Int) == 2)
    return static_cast<Int>(__builtin_bswap16(static_cast<uint16_t>(v)));
  if constexpr (sizeof(Int) == 4)
    return static_cast<Int>(__builtin_bswap32(static_cast<uint32_t>(v)));
  if constexpr (sizeof(Int) == 8)
    return static_cast<Int>(__builtin_bswap64(static_cast<uint64_t>(v)));
}

template <class Int>
Int LoadLittle(const char* at) {
  Int v;
  std::memcpy(&v, at, sizeof v);
  return std::endian::native == std::endian::little ? v : ByteSwapped(v);
}
template <class Int>
Int LoadBig(const char* at) {
  Int v;
  std::memcpy(&v, at, sizeof v);
  return std::endian::native == std::endian::big ? v : ByteSwapped(v);
}
template <class Int>
void StoreLittle(char* at, Int v) {
  if constexpr (std::endian::native != std::endian::little) v = ByteSwapped(v);
  std::memcpy(at, &v, sizeof v);
}
template <class Int>
void StoreBig(char* at, Int v) {
  if constexpr (std::endian::native != std::endian::big) v = ByteSwapped(v);
  std::memcpy(at, &v, sizeof v);
}

// Appends little-endian integers and raw bytes to a string. Not thread-safe.
class ByteWriter {
 public:
  explicit ByteWriter(std::string* out) : out_(out) {}
  template <class Int>
  void Put(Int v) {
    const size_t at = out_->size();
    out_->resize(at + sizeof v);
    StoreLittle(out_->data() + at, v);
  }
  void PutBytes(std::string_view bytes) { out_->append(bytes); }
  // A u32 length, then the bytes.
  void PutSized(std::string_view bytes) {
    Put<uint32_t>(static_cast<uint32_t>(bytes.size()));
    PutBytes(bytes);
  }
  // Zeros until size() is a multiple of `alignment`.
  void PadTo(size_t alignment) {
    const size_t rest = out_->size() % alignment;
    if (rest != 0) out_->append(alignment - rest, '\0');
  }
  [[nodiscard]] size_t size() const { return out_->size(); }

 private:
  std::string* out_;
};

// Reads what ByteWriter wrote from bytes that may be hostile. A read beyond the end yields zero,
// consumes nothing and latches ok() to false, so a decoder may check once at the end of a
// fixed-width part; counts must be checked against remaining() before anything is allocated.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}
  template <class Int>
  Int Get() {
    if (bytes_.size() - at_ < sizeof(Int)) {
      ok_ = false;
      return Int{};
    }
    const Int v = LoadLittle<Int>(bytes_.data() + at_);
    at_ += sizeof(Int);
    return v;
  }
  // A view into the input; empty and !ok() when fewer than `n` bytes remain.
  std::string_view GetBytes(size_t n) {
    if (bytes_.size() - at_ < n) {
      ok_ = false;
      return {};
    }
    const std::string_view out = bytes_.substr(at_, n);
    at_ += n;
    return out;
  }
  std::string_view GetSized() { return GetBytes(Get<uint32_t>()); }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] size_t remaining() const { return bytes_.size() - at_; }
  [[nodiscard]] size_t position() const { return at_; }

 private:
  std::string_view bytes_;
  size_t at_ = 0;
  bool ok_ = true;
};

}  // namespace varve

#endif  // VARVE_COMMON_BYTES_H_
