// JournalWriter: the running journal behind Journal. docs/formats.md, "Journal file".
#ifndef VARVE_STORAGE_JOURNAL_WRITER_H_
#define VARVE_STORAGE_JOURNAL_WRITER_H_

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/executor.h"
#include "storage/format/journal_commit.h"
#include "storage/journal_files.h"
#include "storage/journal_queue.h"

namespace varve::storage {

// Submit, Post* and the getters are thread-safe; all else runs on the executor, one commit per
// task, so that notes of synced segments get their turn between commits. While a commit syncs, new
// frames gather: the group commit needs no artificial delay. Tasks and timers hold the writer
// weakly or shared, so the handle may be destroyed at any time; what waits is then dropped without
// a call.
class JournalWriter : public std::enable_shared_from_this<JournalWriter> {
 public:
  JournalWriter(FileSystem& files, std::string directory, DirectoryIdentity identity,
                JournalOptions options, Checkpoint state, Executor& executor, const Clock& clock,
                Executor* spare_executor, std::shared_ptr<DiskWatch> watch);

  // Before anything else; blocks.
  absl::Status Begin();
  void ScheduleFirstSeal();

  void Submit(JournalFrame frame, bool urgent, Journal::Done done);
  void NoteDurableInSegments(GroupId group, FrameSequence through, SyncPoint point);
  void NotePeer(const PeerMark& mark);
  [[nodiscard]] std::vector<Journal::KnownPeer> peer_marks() const;
  void MarkAllSuspect(std::string why, uint64_t settled_epoch, Journal::Done done);
  void SetNeedSegmentSync(Journal::NeedSegmentSync callback);
  void Close(Journal::Done done);
  void Abandon();
  void FailFor(absl::Status why);

  FileNumber NextFileNumber() { return FileNumber{next_file_.fetch_add(1)}; }
  [[nodiscard]] absl::Status health() const;
  [[nodiscard]] CommitSequence durable_through() const { return CommitSequence{durable_.load()}; }
  [[nodiscard]] CommitSequence durable_frames() const {
    return CommitSequence{durable_frames_.load()};
  }
  [[nodiscard]] uint64_t process_epoch() const { return process_epoch_; }
  [[nodiscard]] uint64_t settled_epoch() const { return settled_epoch_.load(); }
  [[nodiscard]] bool waits_for_space() const { return waits_for_space_.load(); }
  [[nodiscard]] JournalStats stats() const;

 private:
  using Frames = std::vector<WaitingFrame>;

  void PostDrain();
  void Post(void (JournalWriter::*step)());
  // One commit, or the end of a Close.
  void Drain();
  bool NextBatch();
  bool MakeRoom();
  absl::Status Roll(uint64_t room_bytes);
  absl::Status WriteStaged();
  absl::Status WriteCommit(const std::vector<GroupFrame>& groups, Frames* frames,
                           size_t frame_bytes);
  void AfterCommit(Frames frames);
  void NoteFrame(const JournalFrame& frame);

  void Fail(const absl::Status& status);
  // Gives `status` to all frames that wait, for good: nothing may follow in their groups.
  void Refuse(const absl::Status& status);
  // Tries again by itself: space may come back without a word.
  void WaitForSpace(const absl::Status& why);
  void FinishClose();

  // --- Marks of peers, and suspicion of everything: journal_writer_marks.cc
  [[nodiscard]] std::vector<PeerMark> PendingMarks() const;
  [[nodiscard]] JournalFrame FrameOf(std::vector<PeerMark> marks) const;
  void AddMarksToStaged();
  void TakeMarksInto(Checkpoint* checkpoint) const;
  void MarksAreDurable(const std::vector<PeerMark>& marks);
  void ArmMarks();
  void OnMarksTimer();
  absl::Status WriteMarks(std::vector<PeerMark> marks);
  void RollForSuspicion();
  void AnswerSuspicion(const absl::Status& status);

  void AskForSegmentSync();
  void AskWhenSpaceIsShort();
  void MakeSpareAhead();
  void PostSpare(const JournalFiles::SpareWork& work, absl::Status status);

  void ArmSeal();
  void OnSealTimer();
  absl::Status WriteSeal();

  FileSystem& file_system_;
  const JournalOptions options_;
  Executor& executor_;
  const Clock& clock_;
  Executor* const spare_executor_;
  const std::shared_ptr<DiskWatch> watch_;  // may be null
  const uint64_t process_epoch_;
  std::atomic<uint64_t> next_file_;
  std::atomic<uint64_t> durable_;
  std::atomic<uint64_t> durable_frames_;
  std::atomic<uint64_t> settled_epoch_;
  std::atomic<bool> waits_for_space_ = false;

  mutable std::mutex mutex_;  // guards these
  JournalQueue queue_;
  bool drain_posted_ = false;
  bool closing_ = false;
  bool abandoned_ = false;
  absl::Status health_;
  JournalStats stats_;
  PeerMarks marks_;
  PeerMarks durable_marks_;
  bool marks_posted_ = false;   // ArmMarks
  bool marks_pending_ = false;  // some may not be durable

  // Of the executor (of Begin, before).
  JournalFiles files_;
  Checkpoint state_;
  std::map<GroupId, FrameSequence> last_truncation_;
  std::vector<GroupFrame> preceding_;  // list of the last commit
  Frames staged_;                      // the next commit, until it is durable or refused
  bool blocked_ = false;               // for segment syncs or space; notes of syncs try again
  TimerId space_timer_;
  bool asked_when_short_ = false;  // since the last roll
  bool asked_when_blocked_ = false;
  bool making_spare_ = false;
  bool spare_refused_ = false;  // since the last roll
  bool ask_pending_ = false;    // asked while there was no callback
  Journal::NeedSegmentSync need_sync_;
  bool unsealed_ = true;  // something was written that no later header vouches for
  MonoTime last_write_;
  TimerId seal_timer_;
  TimerId marks_timer_;
  TimerId suspicion_timer_;
  std::vector<Journal::Done> suspicions_;  // wait for a checkpoint
  Journal::Done close_done_;
};

}  // namespace varve::storage

#endif  // VARVE_STORAGE_JOURNAL_WRITER_H_
