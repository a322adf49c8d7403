#include "client/cli/record_source.h"

#include <algorithm>
#include <utility>

#include "client/cli/cli_error.h"
#include "client/cli/quantity.h"

namespace varve::cli {
namespace {

constexpr size_t kReadBytes = 256 * 1024;
constexpr size_t kPrefixBytes = 4;
constexpr std::string_view kChunksName = "whole-file-chunks:";

Status TooLong(uint64_t position) {
  return UsageError("the record at byte " + std::to_string(position) +
                        " of the input is longer than " + HumanSize(kMaxSourceRecordBytes),
                    "Check that --records says how the input is cut.");
}

}  // namespace

Result<RecordCut> ParseRecordCut(std::string_view text) {
  if (text == "lines") return RecordCut{.kind = RecordCut::Kind::kLines};
  if (text == "length-prefixed") return RecordCut{.kind = RecordCut::Kind::kLengthPrefixed};
  if (text.starts_with(kChunksName)) {
    const Result<uint64_t> size = ParseSize(text.substr(kChunksName.size()));
    if (!size.ok()) return size.status();
    if (*size == 0 || *size > kMaxSourceRecordBytes)
      return UsageError("a chunk has 1 byte to " + HumanSize(kMaxSourceRecordBytes),
                        "Choose a size within that.");
    return RecordCut{.kind = RecordCut::Kind::kChunks, .chunk_bytes = static_cast<size_t>(*size)};
  }
  return UsageError("\"" + std::string(text) + "\" is no way to cut records",
                    "Write lines, length-prefixed or whole-file-chunks:SIZE.");
}

RecordSource::RecordSource(RecordCut cut, ByteReader read) : cut_(cut), read_(std::move(read)) {}

Result<std::optional<std::string_view>> RecordSource::Next() {
  switch (cut_.kind) {
    case RecordCut::Kind::kLines:
      return NextLine();
    case RecordCut::Kind::kLengthPrefixed:
      return NextPrefixed();
    case RecordCut::Kind::kChunks:
      break;
  }
  if (Status status = Want(cut_.chunk_bytes); !status.ok()) return status;
  if (available() == 0) return std::optional<std::string_view>();
  return std::optional(Take(std::min(cut_.chunk_bytes, available()), 0));
}

Status RecordSource::Want(size_t wanted) {
  if (begin_ > 0 && available() < wanted) {
    buffer_.erase(0, begin_);
    begin_ = 0;
  }
  while (available() < wanted && !ended_) {
    const size_t before = buffer_.size();
    buffer_.resize(before + kReadBytes);
    const Result<size_t> got = read_(buffer_.data() + before, kReadBytes);
    buffer_.resize(before + (got.ok() ? *got : 0));
    if (!got.ok()) return got.status();
    ended_ = *got == 0;
  }
  return Status();
}

Result<std::optional<std::string_view>> RecordSource::NextLine() {
  size_t looked = 0;
  while (true) {
    const size_t end = buffer_.find('\n', begin_ + looked);
    if (end != std::string::npos) return std::optional(Take(end - begin_, 1));
    looked = available();
    if (looked > kMaxSourceRecordBytes) return TooLong(position_);
    if (ended_) break;
    if (Status status = Want(looked + 1); !status.ok()) return status;
  }
  if (looked == 0) return std::optional<std::string_view>();
  return std::optional(Take(looked, 0));
}

Result<std::optional<std::string_view>> RecordSource::NextPrefixed() {
  if (Status status = Want(kPrefixBytes); !status.ok()) return status;
  if (available() == 0) return std::optional<std::string_view>();
  size_t length = 0;
  for (size_t i = 0; i < kPrefixBytes && i < available(); ++i)
    length = length << 8 | static_cast<unsigned char>(buffer_[begin_ + i]);
  const bool whole_prefix = available() >= kPrefixBytes;
  if (whole_prefix && length > kMaxSourceRecordBytes) return TooLong(position_);
  if (whole_prefix) {
    if (Status status = Want(kPrefixBytes + length); !status.ok()) return status;
  }
  if (!whole_prefix || available() < kPrefixBytes + length)
    return UsageError("the input ends within the record at its byte " + std::to_string(position_),
                      "Check that --records says how the input is cut.");
  Take(kPrefixBytes, 0);
  return std::optional(Take(length, 0));
}

std::string_view RecordSource::Take(size_t bytes, size_t skip_after) {
  const std::string_view taken(buffer_.data() + begin_, bytes);
  begin_ += bytes + skip_after;
  position_ += bytes + skip_after;
  return taken;
}

KeyedValue SplitKey(std::string_view line, std::string_view separator) {
  const size_t at = line.find(separator);
  if (separator.empty() || at == std::string_view::npos) return {std::nullopt, line};
  return {line.substr(0, at), line.substr(at + separator.size())};
}

}  // namespace varve::cli
