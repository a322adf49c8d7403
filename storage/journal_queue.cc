#include "storage/journal_queue.h"

#include <set>
#include <utility>

#include "storage/format/journal_commit.h"

namespace varve::storage {

// The commit being filled.
class JournalQueue::Batch {
 public:
  Batch(size_t preceding_groups, size_t max_bytes)
      : preceding_groups_(preceding_groups), max_bytes_(max_bytes) {}

  [[nodiscard]] bool Fits(const WaitingFrame& frame) const {
    if (frames_.empty()) return true;
    const size_t groups = groups_.size() + (groups_.contains(frame.frame.group) ? 0 : 1);
    return CommitBytes(groups, preceding_groups_, frame_bytes_ + frame.image.bytes()) <= max_bytes_;
  }
  void Add(WaitingFrame frame) {
    groups_.insert(frame.frame.group);
    frame_bytes_ += frame.image.bytes();
    frames_.push_back(std::move(frame));
  }
  [[nodiscard]] size_t size() const { return frames_.size(); }
  std::vector<WaitingFrame> Frames() && { return std::move(frames_); }

 private:
  const size_t preceding_groups_;
  const size_t max_bytes_;
  std::vector<WaitingFrame> frames_;
  std::set<GroupId> groups_;
  size_t frame_bytes_ = 0;
};

void JournalQueue::Push(WaitingFrame frame) {
  const GroupId id = frame.frame.group;
  Group& group = groups_[id];
  if (!group.in_turn) {
    group.in_turn = true;
    turns_.push_back(id);
  }
  if (frame.urgent) {
    ++group.urgent;
    if (!group.in_urgent_turn) {
      group.in_urgent_turn = true;
      urgent_turns_.push_back(id);
    }
  }
  ++waiting_;
  waiting_bytes_ += frame.image.bytes();
  group.frames.push_back(std::move(frame));
}

std::vector<WaitingFrame> JournalQueue::Take(size_t preceding_groups, size_t max_commit_bytes) {
  Batch batch(preceding_groups, max_commit_bytes);
  bool took_turn = false;
  if (others_first_) took_turn = TakeOther(&batch);
  if (TakeUrgent(&batch)) {
    while (waiting_ > 0 && TakeTurn(&batch)) took_turn = true;
  }
  others_first_ = waiting_ > 0 && !took_turn;
  return std::move(batch).Frames();
}

bool JournalQueue::TakeUrgent(Batch* batch) {
  while (!urgent_turns_.empty()) {
    const GroupId id = urgent_turns_.front();
    Group& group = groups_.at(id);
    while (group.urgent > 0)
      if (!Pop(id, batch)) return false;
    urgent_turns_.pop_front();
    group.in_urgent_turn = false;
    Forget(id);
  }
  return true;
}

bool JournalQueue::TakeTurn(Batch* batch) {
  while (true) {
    const GroupId id = turns_.front();  // waiting_ > 0: some group in turns_ has a frame
    Group& group = groups_.at(id);
    if (!group.frames.empty()) {
      if (!Pop(id, batch)) return false;
      turns_.pop_front();
      turns_.push_back(id);
      return true;
    }
    turns_.pop_front();
    group.in_turn = false;
    Forget(id);
  }
}

bool JournalQueue::TakeOther(Batch* batch) {
  for (size_t i = 0; i < turns_.size(); ++i) {
    const GroupId id = turns_.front();
    turns_.pop_front();
    turns_.push_back(id);
    const Group& group = groups_.at(id);
    if (group.urgent == 0 && !group.frames.empty()) return Pop(id, batch);
  }
  return false;
}

bool JournalQueue::Pop(GroupId id, Batch* batch) {
  Group& group = groups_.at(id);
  WaitingFrame& frame = group.frames.front();
  if (!batch->Fits(frame)) return false;
  if (frame.urgent) --group.urgent;
  --waiting_;
  waiting_bytes_ -= frame.image.bytes();
  batch->Add(std::move(frame));
  group.frames.pop_front();
  return true;
}

void JournalQueue::Forget(GroupId id) {
  const Group& group = groups_.at(id);
  if (group.frames.empty() && !group.in_turn && !group.in_urgent_turn) groups_.erase(id);
}

std::vector<WaitingFrame> JournalQueue::TakeAll() {
  std::vector<WaitingFrame> all;
  for (auto& [id, group] : groups_)
    for (WaitingFrame& frame : group.frames) all.push_back(std::move(frame));
  *this = JournalQueue();
  return all;
}

}  // namespace varve::storage
