// RecordSource: cuts bytes into the records that `varve produce` sends.
#ifndef VARVE_CLIENT_CLI_RECORD_SOURCE_H_
#define VARVE_CLIENT_CLI_RECORD_SOURCE_H_

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "varve/status.h"

namespace varve::cli {

// A longer one is an error before it is held in memory; no topic takes a batch of this size.
inline constexpr size_t kMaxSourceRecordBytes = 64 * 1024 * 1024;

// How the input is cut.
struct RecordCut {
  enum class Kind { kLines, kLengthPrefixed, kChunks };
  Kind kind = Kind::kLines;
  size_t chunk_bytes = 0;  // kChunks
};

// "lines", "length-prefixed" (4 bytes, big endian, before each record) or "whole-file-chunks:SIZE".
Result<RecordCut> ParseRecordCut(std::string_view text);

// Returns how many bytes it put into the buffer; 0 at the end.
using ByteReader = std::function<Result<size_t>(char* buffer, size_t size)>;

class RecordSource {
 public:
  RecordSource(RecordCut cut, ByteReader read);

  // The next record; absent at the end. Valid until the next call. LOCAL_ERROR from the reader;
  // INVALID_REQUEST for a record that is too long, or ends within its length or its bytes.
  Result<std::optional<std::string_view>> Next();

 private:
  // Reads until `wanted` bytes are there, or the input ends.
  Status Want(size_t wanted);
  Result<std::optional<std::string_view>> NextLine();
  Result<std::optional<std::string_view>> NextPrefixed();
  std::string_view Take(size_t bytes, size_t skip_after);
  [[nodiscard]] size_t available() const { return buffer_.size() - begin_; }

  RecordCut cut_;
  ByteReader read_;
  std::string buffer_;
  size_t begin_ = 0;  // of what is not yet taken
  bool ended_ = false;
  uint64_t position_ = 0;  // in the input, of begin_
};

// A line "key<separator>value" in two; a line without the separator is a value alone.
struct KeyedValue {
  std::optional<std::string_view> key;
  std::string_view value;
};
KeyedValue SplitKey(std::string_view line, std::string_view separator);

}  // namespace varve::cli

#endif  // VARVE_CLIENT_CLI_RECORD_SOURCE_H_
