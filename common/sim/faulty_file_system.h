// FaultyFileSystem: any file system with the faults that rules ask for in between.
//
//   FaultyFileSystem files(disk, seed);
//   const size_t torn = files.AddFault({.kind = FileFault::Kind::kTear, .path_prefix =
//   "data/journal",
//                                       .skip = 3, .count = 1});
//   ... run on `files` ...
//   EXPECT_EQ(files.struck(torn), 1);
//
// A call that no rule strikes goes through unchanged. Over a SimFileSystem a sync that is forgotten
// shows at the next power loss; a sync that fails and takes unsynced bytes along is a fault of that
// disk itself (SimFault), as no wrapper can lose what lies below it.
#ifndef VARVE_COMMON_SIM_FAULTY_FILE_SYSTEM_H_
#define VARVE_COMMON_SIM_FAULTY_FILE_SYSTEM_H_

#include <cerrno>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "common/file_system.h"
#include "common/random.h"

namespace varve {

enum class FileOp : uint8_t {
  kOpen,
  kRead,
  kWrite,
  kSync,
  kStartWriteBack,
  kTruncate,
  kAllocate,
  kRename,  // by the path that it moves from
  kRemove,
  kCreateDirectory,
  kRemoveDirectory,
  kSyncDirectory,
  kList,
  kStat,
  kLock,
};

std::string_view FileOpName(FileOp op);

// What goes wrong, where and how often.
struct FileFault {
  enum class Kind : uint8_t {
    kFail,     // answers `error`; the call is not passed on. Any operation
    kForget,   // answers OK; the call is not passed on. kWrite, kSync, kStartWriteBack, kTruncate,
               // kRename, kRemove, kSyncDirectory
    kTear,     // a proper prefix is written, the answer is OK. kWrite
    kShort,    // kWrite: a proper prefix is written, the answer is `error`. kRead: fewer bytes
               // than there are, at least one less, are returned
    kFlipBit,  // one bit of what is written, or of what is read, is the other one. kWrite, kRead
    kMisdirect,  // the bytes go to, or come from, `shift` bytes further on, or the file
                 // `elsewhere`. kWrite, kRead
    kStall,      // the answer waits until the stall function returns. Any operation; other rules
                 // may strike the same call
  };
  Kind kind = Kind::kFail;
  std::vector<FileOp> ops;      // empty: all that the kind applies to
  std::string path_prefix;      // of the path as the caller wrote it; a file's when it was opened
  std::string path_suffix;      // such as ".log"
  uint64_t skip = 0;            // matching calls that still succeed
  uint64_t count = UINT64_MAX;  // calls that are struck after that
  uint64_t one_in = 1;          // of those, this share is struck, drawn from the seed
  int error = EIO;              // an errno, of kFail and kShort
  uint64_t shift = 4096;        // of kMisdirect
  std::string elsewhere;        // of kMisdirect: a path of the file system below; the position
                                // stays. Writes are lost, reads are zeros where it does not exist
};

// As thread-safe as `below`, which must outlive it; it must outlive every open file. Rules are
// asked in the order in which they were added, and the first that strikes decides.
class FaultyFileSystem final : public FileSystem {
 public:
  using Stall = absl::AnyInvocable<void(FileOp op, const std::string& path)>;

  explicit FaultyFileSystem(FileSystem& below, uint64_t seed = 1);

  // --- Faults
  // Returns the rule's number, from 0 on. An operation to which the kind does not apply is a defect
  // of the caller.
  size_t AddFault(FileFault fault);
  // No rule strikes any longer; their numbers and counts stay.
  void ClearFaults();
  // Called by every stalled call, on its thread, holding nothing: a scheduler's Stall, or a wait
  // for a test's signal. Set before the first call that may stall; without it nothing stalls.
  void SetStall(Stall stall);
  // Files may grow by so many bytes more; then writes take what fits and answer NO_SPACE, as do
  // allocations, which take nothing. Truncation, removal and replacement give room back, also of
  // what was there before. nullopt, as at the beginning: no limit but that of `below`. Writes that
  // extend one file at the same time may take more room than they use.
  void SetRoom(std::optional<uint64_t> bytes);

  // --- Report
  // How many calls the rule has struck.
  [[nodiscard]] uint64_t struck(size_t rule) const;
  // Calls refused or cut for want of room.
  [[nodiscard]] uint64_t full() const;
  // A line for each rule, with its counts.
  [[nodiscard]] std::string Report() const;

  // --- FileSystem
  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  absl::Status CreateDirectory(const std::string& path) override;
  absl::StatusOr<std::vector<DirectoryEntry>> List(const std::string& path) override;
  absl::StatusOr<DirectoryEntry> Stat(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status RemoveFile(const std::string& path) override;
  absl::Status RemoveDirectory(const std::string& path) override;
  absl::Status SyncDirectory(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override;
  absl::StatusOr<SpaceInfo> Space(const std::string& path) override;

 private:
  friend class FaultyFile;
  struct Rule {
    FileFault fault;
    uint64_t calls = 0;   // that matched
    uint64_t struck = 0;  // of them
    bool cleared = false;
  };
  // What happens to one call; `drawn` decides the rest, so that equal seeds give equal faults.
  struct Verdict {
    std::optional<FileFault> fault;
    bool stall = false;
    uint64_t drawn = 0;
  };
  Verdict Judge(FileOp op, const std::string& path);
  static bool Matches(const Rule& rule, FileOp op, const std::string& path);
  bool Strikes(Rule& rule);
  // Calls `call` unless a rule says otherwise, and returns late when one says so.
  template <class Call>
  auto Run(FileOp op, const std::string& path, Call call) -> decltype(call());
  void StallIf(bool stall, FileOp op, const std::string& path);

  // Up to `wanted` bytes of the room are the caller's now; returns how many.
  uint64_t TakeRoom(uint64_t wanted, bool all_or_nothing);
  void GiveRoom(uint64_t bytes);
  [[nodiscard]] bool limited() const;
  uint64_t SizeOf(const std::string& path);  // of a file by its name; 0 for anything else

  FileSystem& below_;
  Stall stall_;
  mutable std::mutex mutex_;  // guards all below; never held while anything else is called
  std::unique_ptr<Random> random_;
  std::vector<Rule> rules_;
  std::optional<uint64_t> room_;
  uint64_t full_ = 0;
};

}  // namespace varve

#endif  // VARVE_COMMON_SIM_FAULTY_FILE_SYSTEM_H_
