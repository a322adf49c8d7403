// What the tests of data directories share: a directory on a simulated disk that may crash and come
// back, and writers of logs that remember every state that they asked for.
#ifndef VARVE_TESTS_STORAGE_DIRECTORY_HOST_H_
#define VARVE_TESTS_STORAGE_DIRECTORY_HOST_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "common/sim/sim_file_system.h"
#include "common/sim/sim_scheduler.h"
#include "storage/data_directory.h"

namespace varve::storage {

Configuration OneVoter(NodeId node = NodeId{1});
Bootstrap TestBootstrap();
// Continues a log.
Entry DataEntry(GroupId group, const LogEnd& end, Term term, int records, size_t value_bytes);
Entry BarrierEntry(GroupId group, const LogEnd& end, Term term);
Entry RollEntry(GroupId group, const LogEnd& end, Term term, const std::vector<EpochStart>& epochs);
Entry TrimEntry(GroupId group, const LogEnd& end, Term term, Offset log_start);
LogEnd EndAfter(const Entry& entry);

// What a log holds; equal to what a recovered log must show.
struct LogImage {
  std::vector<Entry> entries;  // from the log start on
  LogStart start;
  std::vector<EpochStart> dropped_epochs;  // that began before the log start and go on beyond it
  HardState hard_state;
  Index commit_index;
  Configurations configurations;

  [[nodiscard]] LogEnd end() const { return entries.empty() ? LogEnd{} : EndAfter(entries.back()); }
  [[nodiscard]] std::vector<EpochStart> epochs() const;
  // What the commit index makes of the Trim entries; with `release` segments go, too.
  void ApplyTrims(bool release);
  // Empty when equal, else what differs.
  [[nodiscard]] std::string Difference(const LogImage& other) const;
};

DataDirectoryOptions SmallOptions();

class DirectoryHost {
 public:
  explicit DirectoryHost(uint64_t seed, DataDirectoryOptions options = SmallOptions());
  ~DirectoryHost();

  absl::Status Open();
  // The process ends without a word; `power` takes unsynced bytes with it.
  void Crash(bool power);
  absl::Status Close();
  // Everything but the disk goes, in the order of a process that ends.
  void Kill();

  absl::Status Create(GroupId group, ReplicaEpoch epoch = ReplicaEpoch{1},
                      std::optional<Bootstrap> bootstrap = TestBootstrap());
  absl::Status Remove(GroupId group);
  PartitionLog& log(GroupId group) { return *logs.at(group); }
  // Runs `step` on the shard.
  void OnShard(Task step);
  // Writes and waits; the dirty budget is taken as callers do.
  absl::Status Write(GroupId group, LogWrite write);
  // Does not wait. `done` may be null.
  void Submit(GroupId group, LogWrite write, PartitionLog::Done done);
  absl::StatusOr<ReadResult> Read(GroupId group, Index from, Index through, size_t max_bytes);
  absl::StatusOr<ReadResult> ReadOffset(GroupId group, Offset offset, Index through,
                                        size_t max_bytes);
  absl::StatusOr<std::optional<TimeLookup>> FindTime(GroupId group, WallTime time, Index through);
  // All that the log shows, read piece by piece.
  absl::StatusOr<LogImage> Image(GroupId group, size_t read_bytes = 8192);

  const uint64_t seed;
  SimScheduler scheduler;
  SimFileSystem disk;
  std::unique_ptr<Random> random;
  FileSystem* files = &disk;  // a test may put something in between
  DataDirectoryOptions options;
  std::unique_ptr<Executor> shard;
  std::unique_ptr<DataDirectory> directory;
  std::map<GroupId, std::unique_ptr<PartitionLog>> logs;

 private:
  std::vector<std::unique_ptr<Executor>> executors_;
};

// One group's writes, with the image after each; the log must show one of those not yet passed by
// an acknowledgement.
class LogScript {
 public:
  LogScript(DirectoryHost* host, GroupId group) : host_(host), group_(group) {}

  [[nodiscard]] GroupId group() const { return group_; }
  // After creation: the image of the bootstrap.
  void Begin();
  void Append(int entries, size_t value_bytes);
  void Roll();
  void Truncate(Index from, int entries_after = 0);
  void NewTerm();
  void Commit(Index through);
  // A Trim entry; it acts once committed.
  void Trim(Offset log_start);
  // Entries of one record and one size, so that others in their place have the same positions.
  void AppendShaped(int entries, size_t value_bytes);
  // Entries from `from` on give way to others of their kinds, with values of `value_bytes` and
  // append times that are `later`.
  void Rewrite(Index from, size_t value_bytes, int64_t later);
  // Writes wait until LetGo, which hands them over together: now, or by itself after that time,
  // when the scheduler runs; no other write of the script may come before.
  void Hold() { holds_ = true; }
  void LetGo(Nanos after = 0);
  // Whether `explains` holds for one of the images that a recovered log may show.
  [[nodiscard]] bool SomeImage(absl::FunctionRef<bool(const LogImage&)> explains) const;
  // Everything sent so far has its answer.
  bool Settled() const { return acknowledged_ + 1 == images_.size(); }
  // After a recovery: finds the image that the log shows, and goes on from there.
  void Check();
  [[nodiscard]] const LogImage& image() const { return images_.back(); }
  // Whether a recovered log may show this: at least what was acknowledged, and nothing else than
  // what was asked for. Otherwise what is wrong.
  [[nodiscard]] std::string Judge(const LogImage& found) const;
  // Some write was answered with an error.
  [[nodiscard]] bool refused() const { return refused_; }

 private:
  struct HeldWrite {
    LogWrite write;
    PartitionLog::Done done;
  };
  void Send(LogWrite write, LogImage after);

  DirectoryHost* const host_;
  const GroupId group_;
  std::vector<LogImage> images_;
  size_t acknowledged_ = 0;  // index into images_
  bool refused_ = false;
  bool holds_ = false;
  std::vector<HeldWrite> held_;
  uint64_t life_ = 0;  // callbacks of earlier lives are ignored
};

}  // namespace varve::storage

#endif  // VARVE_TESTS_STORAGE_DIRECTORY_HOST_H_
