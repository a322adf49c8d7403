// SimFileSystem: a disk in memory that forgets what was not synced, and fails on command.
//
//   SimFileSystem disk(&scheduler, {.seed = seed});
//   { ... open a data directory on `disk`, append, acknowledge ... }
//   disk.PowerLoss(*random);       // open files die; unsynced bytes and names are kept, lost or
//   torn { ... open it again: what was acknowledged is there ... }
//
// What a power loss may leave (common/file_system.h has the promises it keeps):
//  - a file whose name is durable holds what its last sync covered; each write, truncation and
//    allocation since is kept or lost on its own, and a write may also be torn: any of its 512-byte
//    sectors kept, the others lost. A write that is lost may still leave the file longer, with
//    zeros;
//  - names since the last SyncDirectory: a prefix of the changes, or each on its own as long as
//    changes to one file stay in order. A rename is atomic; one between directories is durable once
//    the directory it moves to is synced.
//
// Every outcome is drawn from seeded generators: equal seeds and calls give equal bytes.
// Single-threaded, unlike the contract of FileSystem: to be used within one SimScheduler, or one
// thread. Paths: "a/b", "/a/b" and "./a//b" name the same; ".." is refused.
#ifndef VARVE_COMMON_SIM_SIM_FILE_SYSTEM_H_
#define VARVE_COMMON_SIM_SIM_FILE_SYSTEM_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "common/file_system.h"
#include "common/random.h"
#include "common/sim/sim_scheduler.h"

namespace varve {

inline constexpr uint64_t kSimSectorBytes = 512;

struct SimFileSystemOptions {
  uint64_t seed = 1;               // of what faults draw
  uint64_t capacity = 1ULL << 40;  // bytes; file sizes count, sparse or not
  uint64_t trace_id = 0;           // tells the disks of one scheduler apart in its hash
};

// One call that reached the disk.
struct SimFileOp {
  std::string_view name;  // "open", "write", "sync", ...
  std::string_view path;
  uint64_t position = 0;  // or the new size
  uint64_t length = 0;
  uint32_t crc = 0;  // CRC-32C of the bytes written or read
  bool ok = true;
};

// What fails, where and how often.
struct SimFault {
  enum class Kind : uint8_t {
    kSyncError,   // EIO from SyncData; of the unsynced bytes any part is lost, later syncs do not
                  // help
    kWriteError,  // EIO from WriteAt, nothing written
    kShortWrite,  // EIO from WriteAt after a part was written
    kReadError,   // EIO from ReadAt
    kWriteBackError,      // EIO from StartWriteBack, otherwise like kSyncError
    kDirectorySyncError,  // EIO from SyncDirectory
    kStall,               // WriteAt and SyncData return late; other executors run meanwhile
  };
  Kind kind = Kind::kSyncError;
  std::string path_prefix;      // of the path as the caller wrote it, less leading "/" and "./"
  uint64_t skip = 0;            // matching calls that still succeed
  uint64_t count = UINT64_MAX;  // calls that fail after that
  uint64_t one_in = 1;          // of those, this share fails, drawn from the disk's seed
  Nanos stall = 0;              // of kStall: how late
};

class SimFileSystem final : public FileSystem {
 public:
  using Options = SimFileSystemOptions;
  using Observer = absl::AnyInvocable<void(const SimFileOp&)>;

  // With a scheduler, which must outlive it, every operation goes into the scheduler's trace hash.
  explicit SimFileSystem(SimScheduler* scheduler = nullptr, const Options& options = {});
  // Files still open fail every call from then on.
  ~SimFileSystem() override;

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

  // --- Crashes. Both end FailAfter, release locks and leave every open file dead; the next Open is
  // that of the restarted machine or process. Faults and capacity stay.
  void PowerLoss(Random& random);
  void ProcessCrash();

  // --- Dying at a chosen moment. After `ops` further mutating operations every operation, reads
  // included, fails with EIO and changes nothing. To visit every boundary: run once and read ops(),
  // then for each k below it run a fresh disk with FailAfter(k), PowerLoss, recover.
  void FailAfter(uint64_t ops);
  // Mutating operations so far: writes, truncations, allocations, syncs, changes of names.
  [[nodiscard]] uint64_t ops() const;
  // Whether FailAfter's moment has come.
  [[nodiscard]] bool dead() const;

  // --- Faults
  void AddFault(SimFault fault);
  void ClearFaults();
  // Below what is in use nothing more fits.
  void SetCapacity(uint64_t bytes);
  [[nodiscard]] uint64_t used_bytes() const;

  // --- Damage, to what is on the disk and to what reads see alike. NotFound without such a file,
  // OutOfRange beyond its end. They are not operations: no fault, observer or count.
  absl::Status FlipBit(const std::string& path, uint64_t position, unsigned bit);
  absl::Status Corrupt(const std::string& path, uint64_t position, std::string_view bytes);
  absl::Status TruncateDurable(const std::string& path, uint64_t size);

  // --- Looking
  void SetObserver(Observer observer);
  // Hash of every name and byte that a reader would see now.
  [[nodiscard]] uint64_t ContentHash() const;

 private:
  // Open files share it, so that they may outlive this object.
  const std::shared_ptr<class SimDisk> disk_;
};

}  // namespace varve

#endif  // VARVE_COMMON_SIM_SIM_FILE_SYSTEM_H_
