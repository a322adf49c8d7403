#include "storage/state_files.h"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "common/error.h"
#include "storage/format/file_header.h"
#include "storage/segment_names.h"

namespace varve::storage {
namespace {

// Newest saves that are kept between segment starts: a fold that went wrong begins again from an
// older one.
constexpr size_t kSavesBetweenStarts = 2;

absl::Status CheckNamed(const StateSummary& summary, GroupId group, const SavedState& name) {
  if (summary.at.group == group && summary.at.index == name.index && summary.at.term == name.term)
    return absl::OkStatus();
  return MakeError(Reason::DATA_LOSS, "it holds the state of group ", summary.at.group,
                   " at index ", summary.at.index, ", term ", summary.at.term, ", not of group ",
                   group, " at ", name.index, ", term ", name.term);
}

absl::Status CheckHeader(std::string_view bytes, const DirectoryIdentity& identity, GroupId group,
                         const SavedState& name) {
  VARVE_ASSIGN_OR_RETURN(const FileHeader header, DecodeFileHeader(bytes, FileKind::kDerivedState));
  VARVE_RETURN_IF_ERROR(CheckBelongs(header, identity));
  if (header.group == group && header.first_index == name.index) return absl::OkStatus();
  return MakeError(Reason::DATA_LOSS, "its header is that of group ", header.group, " at index ",
                   header.first_index);
}

std::string HeaderOf(const DirectoryIdentity& identity, GroupId group, const SavedState& name) {
  FileHeader header;
  header.kind = FileKind::kDerivedState;
  header.identity = identity;
  header.group = group;
  header.first_index = name.index;
  return EncodeFileHeader(header);
}

// What a failed write left under the other name goes again, if it can.
absl::Status WriteFresh(FileSystem& files, SegmentWriter& writer, const std::string& path,
                        std::span<const std::string_view> pieces) {
  if (absl::Status removed = files.RemoveFile(path); !removed.ok() && !absl::IsNotFound(removed))
    return removed;
  auto file = files.Open(path, OpenMode::kCreate);
  if (!file.ok()) return file.status();
  if (absl::Status written = (*file)->WriteAt(0, pieces); !written.ok()) {
    (void)files.RemoveFile(path);
    return written;
  }
  if (absl::Status synced = (*file)->SyncData(); !synced.ok()) {
    writer.Fail(synced);
    return writer.health();
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> ReadStateFile(FileSystem& files, const DirectoryIdentity& identity,
                                          const std::string& path, GroupId group,
                                          const SavedState& name, StateSummary* summary) {
  auto bytes = ReadWholeFile(files, path, kFileHeaderBytes + kMaxStateBytes);
  if (absl::IsResourceExhausted(bytes.status()) && ReasonOf(bytes.status()) == Reason::OK)
    return MakeError(Reason::DATA_LOSS, "saved state \"", path, "\" is larger than any");
  if (!bytes.ok()) return bytes.status();
  absl::Status status = CheckHeader(*bytes, identity, group, name);
  if (status.ok()) {
    const std::string_view state = std::string_view(*bytes).substr(kFileHeaderBytes);
    const auto read = DecodeState(state, nullptr);
    status = read.ok() ? CheckNamed(*read, group, name) : read.status();
    if (status.ok() && summary != nullptr) *summary = *read;
  }
  if (!status.ok())
    return MakeError(ReasonOf(status), "saved state \"", path, "\": ", MessageOf(status));
  bytes->erase(0, kFileHeaderBytes);
  return bytes;
}

absl::Status WriteStateFile(const SegmentContext& context, SegmentWriter& writer,
                            const std::string& path, GroupId group, const SavedState& name,
                            std::string_view state) {
  VARVE_RETURN_IF_ERROR(writer.health());
  const auto summary = DecodeState(state, nullptr);
  if (!summary.ok()) return summary.status();
  VARVE_RETURN_IF_ERROR(CheckNamed(*summary, group, name));
  const std::string header = HeaderOf(context.identity, group, name);
  const std::array<std::string_view, 2> pieces = {header, state};
  const std::string fresh = StrCat(path, ".new");
  absl::Status status = WriteFresh(context.files, writer, fresh, pieces);
  if (status.ok()) status = context.files.Rename(fresh, path);
  if (status.ok()) {
    status = context.files.SyncDirectory(path.substr(0, path.rfind('/')));
    // Whatever it says, the name may or may not be there after a crash.
    if (!status.ok()) writer.Fail(status);
  } else if (ReasonOf(status) == Reason::DISK_FAILED) {
    writer.Fail(status);
  }
  return status.ok() || writer.health().ok() ? status : writer.health();
}

std::vector<SavedState> UsableStates(const ReplicaFiles& files) {
  std::vector<SavedState> out;
  out.reserve(files.states.size());
  for (const SavedState& state : files.states)
    if (TermAt(files, state.index) == state.term) out.push_back(state);
  return out;
}

void AddState(const SavedState& name, std::vector<SavedState>* states) {
  const auto at = std::lower_bound(states->begin(), states->end(), name);
  if (at == states->end() || *at != name) states->insert(at, name);
}

std::vector<SavedState> TakeSurplusStates(ReplicaFiles* files) {
  std::vector<SavedState> kept, surplus;
  kept.reserve(files->states.size());
  size_t between = 0;
  for (auto state = files->states.rbegin(); state != files->states.rend(); ++state) {
    const bool at_start = std::any_of(
        files->segments.begin(), files->segments.end(),
        [&](const PlacedSegment& placed) { return placed.segment->first_index() == state->index; });
    const bool needed = state->index >= files->scalars.start.index &&
                        TermAt(*files, state->index) == state->term &&
                        (at_start || ++between <= kSavesBetweenStarts);
    (needed || kept.empty() ? kept : surplus).push_back(*state);
  }
  std::reverse(kept.begin(), kept.end());
  files->states = std::move(kept);
  return surplus;
}

}  // namespace varve::storage
