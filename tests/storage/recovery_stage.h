// A data directory that a small test changes by hand before it is opened again, to lead recovery to
// one row of its tables.
#ifndef VARVE_TESTS_STORAGE_RECOVERY_STAGE_H_
#define VARVE_TESTS_STORAGE_RECOVERY_STAGE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "storage/format/file_header.h"
#include "storage/recovery_table.h"
#include "tests/storage/directory_host.h"

namespace varve::storage {

class RecoveryStage {
 public:
  static constexpr GroupId kGroup{100};

  RecoveryStage();

  // One group with two segments, everything acknowledged.
  void Fill();
  void Append(int entries, size_t value_bytes);
  void Settle();
  // All in synced segments, the journal empty.
  void Close();
  // The process ends; the journal holds what is not in synced segments.
  void Crash();
  // Several listed journal files: segments are not synced meanwhile.
  void FillSeveralFiles();

  // After Close or Crash: what recovery would read.
  [[nodiscard]] JournalContents Contents();
  [[nodiscard]] std::vector<std::string> ListedFiles();  // paths, oldest first
  [[nodiscard]] std::string Newest() { return ListedFiles().back(); }
  // Position behind the last commit of a listed file (by default of the newest), and those of the
  // newest file's commits with frames.
  [[nodiscard]] uint64_t EndOfCommits(std::optional<size_t> listed = std::nullopt);
  [[nodiscard]] std::vector<uint64_t> CommitsWithFrames();
  [[nodiscard]] std::string Segment(size_t which);
  [[nodiscard]] std::string GroupDirectory() const;
  [[nodiscard]] uint64_t SizeOf(const std::string& path);

  void Zero(const std::string& path, uint64_t at, size_t bytes);
  void Write(const std::string& path, uint64_t at, std::string_view bytes);
  void Remove(const std::string& path);
  void RemoveMark();
  void PatchHeader(const std::string& path, FileKind kind,
                   absl::FunctionRef<void(FileHeader*)> patch,
                   std::optional<uint16_t> version = std::nullopt);
  // A commit as the journal would write it, of frames of this group that change nothing: the next
  // sequence plus `ahead`, whose first frame is the next of its group plus `skip`.
  struct Forged {
    uint64_t ahead = 0;
    uint64_t skip = 0;
    bool wrong_list = false;       // names a group that it has no frame of
    bool marks = false;            // marks of peers instead
    bool vouches = false;          // says that the commit before it is durable
    Generation generation;         // that of the file, if 0
    std::optional<size_t> listed;  // behind the commits of that listed file; of the newest
  };
  void Forge(const Forged& forged);

  // Opens and counts rows.
  absl::Status Open();
  // What Open does; a test may replace it.
  std::function<absl::Status()> open = [this] { return host.Open(); };

  DirectoryHost host;
  LogScript script{&host, kGroup};
  RecoveryTrace trace;

 private:
  DirectoryIdentity identity_;
};

}  // namespace varve::storage

#endif  // VARVE_TESTS_STORAGE_RECOVERY_STAGE_H_
