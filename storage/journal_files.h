// JournalFiles: the files of a running journal: the active one, older ones that something still
// needs, and spare ones to be used again.
#ifndef VARVE_STORAGE_JOURNAL_FILES_H_
#define VARVE_STORAGE_JOURNAL_FILES_H_

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/file_system.h"
#include "storage/journal.h"

namespace varve::storage {

// "<20 digits>.jnl", and the number of such a name.
std::string JournalName(FileNumber file);
std::optional<FileNumber> JournalNumberOf(std::string_view name);

// Confined to one thread at a time (the journal's executor). Does blocking I/O.
//
// A file is used again only when nothing in it is needed and the durable checkpoint does not list
// it: until a newer checkpoint is durable, recovery wants every file that the last one lists.
//
// One spare file is a reserve: only a Roll that makes another file spare may take it. So a Roll
// needs no room on the disk once the segments hold what the files say, and a full disk cannot end
// the journal.
class JournalFiles {
 public:
  // `next_file` gives numbers to new files; it must outlive this.
  JournalFiles(FileSystem& files, std::string directory, DirectoryIdentity identity,
               uint64_t file_bytes, std::atomic<uint64_t>* next_file);

  // Takes stock of what a former process left, to be used again or removed after the first Roll.
  // Raises the next file number above all names. Makes the mark, if there is none. `listed`: the
  // files of the checkpoint that recovery read. NO_SPACE, DISK_FAILED.
  absl::Status Inherit(const std::vector<JournalFileRef>& listed);
  // After the first Roll: makes the reserve, if no spare file is there. NO_SPACE, DISK_FAILED.
  absl::Status MakeReserve();

  // Writes and syncs `checkpoint` into a spare or new file, which becomes active, with room for
  // `room_bytes` of commits. Sets the checkpoint's live files, next file and next generation first.
  // Older files that nothing needs are not listed any more and become spare. NO_SPACE leaves
  // everything as it was; any other error is DISK_FAILED.
  absl::Status Roll(Checkpoint* checkpoint, uint64_t room_bytes);

  // Whether the active file has room for `bytes` more.
  [[nodiscard]] bool HasRoom(uint64_t bytes) const;
  // Writes the pieces behind what the active file holds. `bytes` is their sum. DISK_FAILED.
  absl::Status Append(std::span<const std::string_view> pieces, uint64_t bytes);
  absl::Status Sync();

  // The active file is needed until the replica's frames up to `frame` are released.
  void Pin(GroupId group, ReplicaEpoch epoch, FrameSequence frame);
  void Release(GroupId group, FrameSequence through);

  // Files that a checkpoint written now would list, its own included.
  [[nodiscard]] size_t LiveAfterRoll() const;
  // The active file and those that must stay.
  [[nodiscard]] size_t live() const;
  [[nodiscard]] bool OlderPinned() const;
  [[nodiscard]] bool AnyPinned() const { return OlderPinned() || !active_.pins.empty(); }
  // Which file is to be made, or filled with zeros, ahead of the next Roll; none when that has what
  // it needs. One that exists is left to the caller until AddSpare.
  struct SpareWork {
    FileNumber file;
    bool exists = false;
    uint64_t bytes = 0;
  };
  std::optional<SpareWork> TakeSpareWork();
  // `filled`: with zeros, durably, and so quick to write to.
  void AddSpare(FileNumber file, bool filled);
  [[nodiscard]] size_t spares() const { return spare_.size(); }
  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] bool ActiveHalfFull() const { return active_.position >= active_.size / 2; }
  [[nodiscard]] const JournalFileRef& active() const { return active_.ref; }
  [[nodiscard]] uint64_t recycled() const { return recycled_; }
  [[nodiscard]] uint64_t bytes_written() const { return bytes_written_; }

 private:
  using Pins = std::map<std::pair<GroupId, ReplicaEpoch>, FrameSequence>;
  struct LiveFile {
    JournalFileRef ref;
    std::unique_ptr<File> file;  // null for older ones
    uint64_t size = 0;
    uint64_t position = 0;  // where the next commit goes
    Pins pins;  // last frame of each replica that is not known to be durable in segments
  };

  struct Spare {
    FileNumber file;
    bool filled = false;
  };

  absl::Status RollInto(Checkpoint* checkpoint, uint64_t room_bytes);
  absl::Status OpenTarget(LiveFile* target, bool* created);
  absl::Status PrepareTarget(LiveFile* target, bool created, uint64_t size, uint64_t least);
  absl::Status TrustUnlisted();
  absl::Status SyncNames();
  absl::Status OpenMark();
  absl::Status WriteMark(const LiveFile& target);
  [[nodiscard]] std::string HeaderOf(const LiveFile& target) const;
  absl::Status WriteHead(const LiveFile& target, std::string_view checkpoint, bool created);
  std::vector<JournalFileRef> ListAfterRoll(const JournalFileRef& next) const;
  [[nodiscard]] size_t FirstNeeded() const;  // in older_
  [[nodiscard]] size_t FreedByRoll() const;
  void Activate(LiveFile target);
  [[nodiscard]] std::string PathOf(FileNumber file) const;

  FileSystem& files_;
  const std::string directory_;
  const DirectoryIdentity identity_;
  const uint64_t file_bytes_;
  std::atomic<uint64_t>* const next_file_;
  std::unique_ptr<File> mark_;
  LiveFile active_;
  std::vector<LiveFile> older_;        // oldest first; all that the durable checkpoint lists
  std::vector<Spare> spare_;           // on disk, listed by no checkpoint that counts
  std::vector<FileNumber> inherited_;  // of a former process; spare once the first Roll is durable
  std::vector<FileNumber> unlisted_;   // of those: not in the checkpoint that recovery read
  uint64_t recycled_ = 0;
  uint64_t bytes_written_ = 0;
};

}  // namespace varve::storage

#endif  // VARVE_STORAGE_JOURNAL_FILES_H_
