// A record of a batch, seen in place: offset, timestamp, key, value, headers.
//
// Views never own bytes; how long they live is said by what hands them out.
#ifndef VARVE_COMMON_RECORD_VIEW_H_
#define VARVE_COMMON_RECORD_VIEW_H_

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/types.h"
#include "common/varint.h"

namespace varve {

struct RecordHeaderView {
  std::string_view key;
  std::optional<std::string_view> value;
  bool operator==(const RecordHeaderView&) const = default;
};

// The headers of one record, decoded while iterating. Made by a parser that checked the bytes, so
// that iteration cannot fail.
class RecordHeaders {
 public:
  class Iterator {
   public:
    using value_type = RecordHeaderView;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::input_iterator_tag;
    Iterator() = default;
    Iterator(std::string_view rest, uint32_t left) : rest_(rest), left_(left) { Decode(); }
    const RecordHeaderView& operator*() const { return current_; }
    const RecordHeaderView* operator->() const { return &current_; }
    Iterator& operator++() {
      --left_;
      Decode();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(const Iterator& other) const { return left_ == other.left_; }

   private:
    void Decode() {
      if (left_ == 0) return;
      current_.key = TakeSized().value_or(std::string_view());
      current_.value = TakeSized();
    }
    std::optional<std::string_view> TakeSized() {
      int32_t length = 0;
      rest_.remove_prefix(DecodeVarint(rest_, &length));
      if (length < 0) return std::nullopt;
      const std::string_view out = rest_.substr(0, static_cast<size_t>(length));
      rest_.remove_prefix(out.size());
      return out;
    }
    std::string_view rest_;
    uint32_t left_ = 0;
    RecordHeaderView current_;
  };

  RecordHeaders() = default;
  // `encoded` are exactly `count` checked headers.
  RecordHeaders(std::string_view encoded, uint32_t count) : encoded_(encoded), count_(count) {}
  [[nodiscard]] Iterator begin() const { return {encoded_, count_}; }
  [[nodiscard]] Iterator end() const { return {}; }
  [[nodiscard]] uint32_t size() const { return count_; }
  [[nodiscard]] bool empty() const { return count_ == 0; }

 private:
  std::string_view encoded_;
  uint32_t count_ = 0;
};

// A record as a reader sees it. A null key has no partition of its own; a null value is a
// tombstone.
struct RecordView {
  Offset offset;
  WallTime timestamp;  // the batch's maximum when its type is log append time; -1 = none
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;
  RecordHeaders headers;
};

struct RecordHeader {
  std::string key;
  std::optional<std::string> value;
  bool operator==(const RecordHeader&) const = default;
};

// A record that owns its bytes: what a producer hands in, or a kept copy of a view.
struct Record {
  WallTime timestamp;
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<RecordHeader> headers;
  bool operator==(const Record&) const = default;
};

inline Record CopyRecord(const RecordView& view) {
  Record out;
  out.timestamp = view.timestamp;
  if (view.key) out.key.emplace(*view.key);
  if (view.value) out.value.emplace(*view.value);
  for (const RecordHeaderView& header : view.headers) {
    RecordHeader& copy = out.headers.emplace_back();
    copy.key = header.key;
    if (header.value) copy.value.emplace(*header.value);
  }
  return out;
}

}  // namespace varve

#endif  // VARVE_COMMON_RECORD_VIEW_H_
