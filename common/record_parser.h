// One parser for the body of a record, for bytes in memory (reader) and bytes that stream by
// (validator): what the one accepts, the other accepts.
#ifndef VARVE_COMMON_RECORD_PARSER_H_
#define VARVE_COMMON_RECORD_PARSER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "common/limits.h"
#include "common/record_view.h"
#include "common/varint.h"

namespace varve::internal {

// A parse error is a constant text, null for none: the parser runs for every record, a Status is
// made only when one is refused.
using ParseError = const char*;

template <class Bytes>
struct ParsedRecord {
  int64_t timestamp_delta = 0;
  int32_t offset_delta = 0;
  std::optional<Bytes> key;
  std::optional<Bytes> value;
  uint32_t header_count = 0;
};

// Key or value: a length, -1 for null, and the bytes.
template <class Source>
ParseError ParseNullable(Source* source, std::optional<typename Source::Bytes>* out) {
  int32_t length = 0;
  if (!source->Varint(&length)) return "a length is cut short";
  if (length == -1) {
    out->reset();
    return nullptr;
  }
  if (length < 0) return "a length is negative";
  if (!source->Take(static_cast<size_t>(length), &out->emplace())) {
    return "a length points beyond the record";
  }
  return nullptr;
}

template <class Source>
ParseError ParseHeaders(Source* source, uint32_t count) {
  std::optional<typename Source::Bytes> part;
  for (uint32_t i = 0; i < count; ++i) {
    if (ParseError error = ParseNullable(source, &part)) return error;
    if (!part) return "a header has no key";
    if (ParseError error = ParseNullable(source, &part)) return error;
  }
  return nullptr;
}

// Parses a record behind its length. `source` ends where the record ends and must be used up:
//   using Bytes;  bool Byte(uint8_t*);  template <class Int> bool Varint(Int*);
//   bool Take(size_t, Bytes*);  size_t remaining();  void MarkHeaders();
template <class Source>
ParseError ParseRecord(Source* source, ParsedRecord<typename Source::Bytes>* out) {
  uint8_t attributes = 0;
  if (!source->Byte(&attributes)) return "a record is cut short";
  if (attributes != 0) return "a record has unknown attributes";
  if (!source->Varint(&out->timestamp_delta)) return "a timestamp delta is cut short";
  if (!source->Varint(&out->offset_delta)) return "an offset delta is cut short";
  if (ParseError error = ParseNullable(source, &out->key)) return error;
  if (ParseError error = ParseNullable(source, &out->value)) return error;
  int32_t headers = 0;
  if (!source->Varint(&headers)) return "a header count is cut short";
  if (headers < 0) return "a header count is negative";
  if (headers > static_cast<int32_t>(limits::kMaxRecordHeaders))
    return "a record has too many headers";
  out->header_count = static_cast<uint32_t>(headers);
  source->MarkHeaders();
  if (ParseError error = ParseHeaders(source, out->header_count)) return error;
  if (source->remaining() != 0) return "a record is longer than its fields";
  return nullptr;
}

// A whole record in memory.
class RecordBytes {
 public:
  using Bytes = std::string_view;
  explicit RecordBytes(std::string_view record) : rest_(record) {}
  bool Byte(uint8_t* out) {
    if (rest_.empty()) return false;
    *out = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return true;
  }
  template <class Int>
  bool Varint(Int* out) {
    const size_t n = DecodeVarint(rest_, out);
    rest_.remove_prefix(n);
    return n != 0;
  }
  bool Take(size_t n, std::string_view* out) {
    if (n > rest_.size()) return false;
    *out = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return true;
  }
  [[nodiscard]] size_t remaining() const { return rest_.size(); }
  void MarkHeaders() { headers_ = rest_; }
  [[nodiscard]] std::string_view headers() const { return headers_; }

 private:
  std::string_view rest_;
  std::string_view headers_;
};

}  // namespace varve::internal

#endif  // VARVE_COMMON_RECORD_PARSER_H_
