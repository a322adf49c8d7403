// JournalQueue: frames that wait for a commit, and which of them go next.
#ifndef VARVE_STORAGE_JOURNAL_QUEUE_H_
#define VARVE_STORAGE_JOURNAL_QUEUE_H_

#include <deque>
#include <map>
#include <vector>

#include "storage/format/journal_frame.h"
#include "storage/journal.h"

namespace varve::storage {

struct WaitingFrame {
  JournalFrame frame;
  FrameImage image;
  bool urgent = false;
  Journal::Done done;
};

// Frames of one group leave in the order in which they came. Between groups: those with an urgent
// frame first, up to their last urgent one; then one frame each in turn, where a group keeps its
// place from commit to commit. When urgent frames filled a commit while others waited, the next
// commit begins with one of the others, so that nobody starves. Not thread-safe.
class JournalQueue {
 public:
  void Push(WaitingFrame frame);
  [[nodiscard]] bool empty() const { return waiting_ == 0; }
  [[nodiscard]] size_t frames() const { return waiting_; }
  [[nodiscard]] size_t bytes() const { return waiting_bytes_; }
  // Frames for one commit of at most `max_commit_bytes`, or one larger frame; `preceding_groups` is
  // the length of the list that the commit repeats.
  std::vector<WaitingFrame> Take(size_t preceding_groups, size_t max_commit_bytes);
  std::vector<WaitingFrame> TakeAll();

 private:
  struct Group {
    std::deque<WaitingFrame> frames;
    size_t urgent = 0;
    bool in_turn = false;         // in turns_
    bool in_urgent_turn = false;  // in urgent_turns_
  };
  class Batch;

  // False when the commit is full.
  bool TakeUrgent(Batch* batch);
  bool TakeTurn(Batch* batch);
  // Of the next group in turn that has nothing urgent; false when there is none.
  bool TakeOther(Batch* batch);
  bool Pop(GroupId id, Batch* batch);
  void Forget(GroupId id);

  std::map<GroupId, Group> groups_;
  std::deque<GroupId> turns_;
  std::deque<GroupId> urgent_turns_;
  size_t waiting_ = 0;
  size_t waiting_bytes_ = 0;
  bool others_first_ = false;
};

}  // namespace varve::storage

#endif  // VARVE_STORAGE_JOURNAL_QUEUE_H_
