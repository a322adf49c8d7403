#include "storage/inspect_files.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/str_format.h"
#include "common/error.h"
#include "common/limits.h"

namespace varve::storage {
namespace {

constexpr size_t kWindowBytes = 1 * limits::kMiB;

}  // namespace

absl::StatusOr<FileWindow> FileWindow::Open(FileSystem& files, const std::string& path) {
  VARVE_ASSIGN_OR_RETURN(std::unique_ptr<File> file, files.Open(path, OpenMode::kRead));
  VARVE_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  return FileWindow(std::move(file), size);
}

absl::StatusOr<std::string_view> FileWindow::Read(uint64_t position, size_t length) {
  if (position >= size_) return std::string_view();
  length = std::min<uint64_t>(length, size_ - position);
  if (position < buffer_at_ || position + length > buffer_at_ + buffer_.size()) {
    const size_t wanted = std::min<uint64_t>(std::max(length, kWindowBytes), size_ - position);
    buffer_.resize(wanted);
    buffer_at_ = position;
    const absl::StatusOr<size_t> got = file_->ReadAt(position, wanted, buffer_.data());
    buffer_.resize(got.value_or(0));
    VARVE_RETURN_IF_ERROR(got.status());
  }
  const std::string_view view(buffer_);
  return view.substr(position - buffer_at_, length);
}

absl::StatusOr<uint64_t> FileWindow::FindNonZero(uint64_t from) {
  for (uint64_t at = from; at < size_;) {
    VARVE_ASSIGN_OR_RETURN(const std::string_view bytes, Read(at, kWindowBytes));
    const size_t found = bytes.find_first_not_of('\0');
    if (found != std::string_view::npos) return at + found;
    if (bytes.empty()) break;  // the file became shorter meanwhile
    at += bytes.size();
  }
  return size_;
}

void RedoCoverage::Add(FileNumber file, uint64_t from, uint64_t to) {
  if (from >= to) return;
  std::map<uint64_t, uint64_t>& ranges = ranges_[file];
  auto at = ranges.upper_bound(from);
  if (at != ranges.begin() && std::prev(at)->second >= from) --at;
  while (at != ranges.end() && at->first <= to) {
    from = std::min(from, at->first);
    to = std::max(to, at->second);
    at = ranges.erase(at);
  }
  ranges.emplace(from, to);
}

uint64_t RedoCoverage::CoveredFrom(FileNumber file, uint64_t position) const {
  const auto ranges = ranges_.find(file);
  if (ranges == ranges_.end()) return position;
  const auto after = ranges->second.upper_bound(position);
  if (after == ranges->second.begin()) return position;
  return std::max(position, std::prev(after)->second);
}

void Blame(FileFinding* finding, Verdict verdict, uint64_t position, std::string_view reason) {
  if (IsDamage(finding->verdict)) return;  // the first damage of a file is the one that is told
  finding->verdict = verdict;
  finding->position = position;
  finding->reason = std::string(reason);
}

std::optional<FileHeader> CheckHeader(FileWindow& file, FileKind kind,
                                      const DirectoryIdentity* identity, FileFinding* finding) {
  absl::Status status;
  const absl::StatusOr<std::string_view> block = file.Read(0, kFileHeaderBytes);
  if (block.ok()) {
    absl::StatusOr<FileHeader> header = DecodeFileHeader(*block, kind);
    status = header.status();
    if (status.ok() && identity != nullptr) status = CheckBelongs(*header, *identity);
    if (status.ok()) return *std::move(header);
  } else {
    status = block.status();
  }
  const bool newer = ReasonOf(status) == Reason::NEWER_FORMAT;
  Blame(finding, newer ? Verdict::kUnknown : Verdict::kCorrupt, 0, MessageOf(status));
  return std::nullopt;
}

std::string InspectedSegmentName(Offset base_offset, FileNumber number) {
  return absl::StrFormat("%020d-%020d.log", base_offset.value(), number.value());
}
std::string InspectedGroupName(GroupId group) { return absl::StrFormat("%016x", group.value()); }

std::optional<GroupId> ParseInspectedGroupName(std::string_view name) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number, 16);
  // Written back, so that only the one spelling counts.
  if (error != std::errc() || InspectedGroupName(GroupId(number)) != name) return std::nullopt;
  return GroupId(number);
}

std::string_view NameOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk:
      return "ok";
    case Verdict::kTorn:
      return "torn";
    case Verdict::kCorrupt:
      return "corrupt";
    case Verdict::kMissing:
      return "missing";
    case Verdict::kUnreferenced:
      return "unreferenced";
    case Verdict::kUnknown:
      return "unknown";
  }
  return "?";
}

}  // namespace varve::storage
