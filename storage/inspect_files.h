// Parts of the inspection: sequential reading of files that may be hostile, and the walks over each
// kind of file. Internal to storage/inspect*.cc.
#ifndef VARVE_STORAGE_INSPECT_FILES_H_
#define VARVE_STORAGE_INSPECT_FILES_H_

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/file_system.h"
#include "storage/format/file_header.h"
#include "storage/inspect.h"

namespace varve::storage {

// A file opened for reading, with one buffer. A view is valid until the next call.
class FileWindow {
 public:
  static absl::StatusOr<FileWindow> Open(FileSystem& files, const std::string& path);
  [[nodiscard]] uint64_t size() const { return size_; }
  // The bytes at [position, position + length), fewer only at the end of the file.
  absl::StatusOr<std::string_view> Read(uint64_t position, size_t length);
  // First position from `from` on whose byte is not zero; the size of the file when there is none.
  absl::StatusOr<uint64_t> FindNonZero(uint64_t from);

 private:
  FileWindow(std::unique_ptr<File> file, uint64_t size) : file_(std::move(file)), size_(size) {}
  std::unique_ptr<File> file_;
  uint64_t size_;
  std::string buffer_;
  uint64_t buffer_at_ = 0;
};

// Which bytes of segment files the journal would write again: file number to [from, to), sorted,
// merged.
class RedoCoverage {
 public:
  void Add(FileNumber file, uint64_t from, uint64_t to);
  // How far the journal writes without a gap from `position` on; `position` itself when it does
  // not.
  [[nodiscard]] uint64_t CoveredFrom(FileNumber file, uint64_t position) const;

 private:
  std::map<FileNumber, std::map<uint64_t, uint64_t>> ranges_;
};

// A row of an index that validates on its own.
struct InspectedIndexRow {
  Index first_index;
  Offset base_offset;
  uint64_t position = 0;
  WallTime max_append_time;
  WallTime max_timestamp;
};

// Valid rows of the index of file `number`, up to the first that does not validate; the finding
// then says why. The file's header has been checked.
std::vector<InspectedIndexRow> WalkIndex(FileWindow& file, FileNumber number, InspectedIndex* out);

// Walks the frames of a segment whose header has been checked, to the first that does not verify or
// contradicts the one before it; the finding then says torn, until JudgeSegment knows better.
// Meanwhile compares `rows` of its index with what it meets; disagreement goes to `index`.
void WalkSegment(FileWindow& file, GroupId group, const InspectOptions& options,
                 const std::vector<InspectedIndexRow>& rows, InspectedSegment* out,
                 InspectedIndex* index);

// Judges a walked segment against what the journal vouches for.
void JudgeSegment(const ReplicaRecord* record, const RedoCoverage& redo, InspectedSegment* segment);

// Reads one journal file: header, checkpoint, commits up to the first that does not validate, and
// what headers behind that still tell. `path` is below `directory`.
InspectedJournalFile WalkJournalFile(FileSystem& files, const std::string& directory,
                                     const std::string& path, const DirectoryIdentity* identity);

// Judges the walked files, sorted by generation, by the rules of recovery: marks the newest
// checkpoint and the live files, and adds a finding to `missing` for each live file that is not
// there. Returns the newest checkpoint, null when there is none.
const Checkpoint* JudgeJournalFiles(std::vector<InspectedJournalFile>& journal,
                                    std::vector<FileFinding>* missing);

// Records what is wrong; the first damage of a file is the one that is kept.
void Blame(FileFinding* finding, Verdict verdict, uint64_t position, std::string_view reason);

// Reads and checks the first block: kind, checksum, version, and, where given, whom it belongs to.
// On failure the finding says so (unknown for a newer format) and the result is empty.
std::optional<FileHeader> CheckHeader(FileWindow& file, FileKind kind,
                                      const DirectoryIdentity* identity, FileFinding* finding);

// Header and walk of one segment or index below `directory`, whose path is in the finding.
void InspectSegment(FileSystem& files, const std::string& directory,
                    const DirectoryIdentity* identity, GroupId group, const InspectOptions& options,
                    const std::vector<InspectedIndexRow>& rows, InspectedSegment* out,
                    InspectedIndex* index);
std::vector<InspectedIndexRow> InspectIndex(FileSystem& files, const std::string& directory,
                                            const DirectoryIdentity* identity, GroupId group,
                                            InspectedIndex* out);
// A saved state; `record` is that of its group, null when there is none.
void InspectState(FileSystem& files, const std::string& directory,
                  const DirectoryIdentity* identity, GroupId group, const ReplicaRecord* record,
                  bool verify, InspectedState* out);

// Names of the formats page.
std::string InspectedSegmentName(Offset base_offset,
                                 FileNumber number);  // "<base offset>-<number>.log"
std::string InspectedGroupName(GroupId group);        // 16 hexadecimal digits
std::optional<GroupId> ParseInspectedGroupName(std::string_view name);

}  // namespace varve::storage

#endif  // VARVE_STORAGE_INSPECT_FILES_H_
