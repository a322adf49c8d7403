// Progress: what a leader knows of one follower, and what it has under way to it. docs/raft.md,
// "Progress".
#ifndef VARVE_RAFT_CORE_PROGRESS_H_
#define VARVE_RAFT_CORE_PROGRESS_H_

#include <cstdint>
#include <optional>
#include <utility>

#include "raft/core/defect.h"
#include "raft/core/message.h"
#include "raft/core/queue.h"

namespace varve::raft {

enum class ProgressState : uint8_t {
  kProbe,      // where the logs agree is not known: one append at a time
  kReplicate,  // appends are sent ahead of their answers, as the window allows
  kInstall,    // the follower needs entries that the leader no longer has
};

// Appends under way; their number and bytes are bounded, except that one is always allowed, or an
// entry larger than the window could never go (trap 23).
class Window {
 public:
  Window(uint32_t max_appends, size_t max_bytes)
      : max_appends_(max_appends), max_bytes_(max_bytes) {}
  [[nodiscard]] bool full() const {
    return !sent_.empty() && (sent_.size() >= max_appends_ || bytes_ >= max_bytes_);
  }
  void Add(Index last_index, size_t bytes) {
    sent_.push_back({last_index, bytes});
    bytes_ += bytes;
  }
  void FreeThrough(Index index) {
    while (!sent_.empty() && sent_.front().last_index <= index) {
      if (!Planted(Defect::kWindowLeaks)) bytes_ -= sent_.front().bytes;
      sent_.pop_front();
    }
  }
  void Clear() {
    sent_.clear();
    bytes_ = 0;
  }
  [[nodiscard]] size_t appends() const { return sent_.size(); }
  [[nodiscard]] size_t bytes() const { return bytes_; }

 private:
  struct Sent {
    Index last_index;
    size_t bytes = 0;
  };
  const uint32_t max_appends_;
  const size_t max_bytes_;
  Queue<Sent> sent_;
  size_t bytes_ = 0;
};

struct Progress {
  explicit Progress(Window empty) : window(std::move(empty)) {}

  ProgressState state = ProgressState::kProbe;
  Index match;         // acknowledged as durable
  Index received;      // reported as received; at least match
  Index next;          // first entry to send next
  Index known_commit;  // what it last said to be committed
  Index sent_commit;   // the largest that it was told
  Index folded;
  Window window;
  bool probe_sent = false;     // and not answered
  bool loading = false;        // LoadEntries under way
  bool full = false;           // said that it has no room for Data
  bool active = false;         // heard of since the last check of the quorum
  uint64_t ticks_silent = 0;   // since it was heard of
  uint64_t ticks_no_news = 0;  // since it acknowledged or took anything
  uint64_t read_context = 0;   // newest that it answered
  // Install: the point offered, once it is known.
  bool preparing = false;
  std::optional<InstallPoint> offered;

  // Whether an append may go now.
  [[nodiscard]] bool paused() const {
    switch (state) {
      case ProgressState::kProbe:
        return probe_sent;
      case ProgressState::kReplicate:
        return window.full();
      case ProgressState::kInstall:
        return true;
    }
    return true;
  }
  // Something was sent that it has not reported.
  [[nodiscard]] bool outstanding() const {
    return state == ProgressState::kInstall || probe_sent || match + 1 < next;
  }
  void Probe(Index from);
  void Replicate();
  void Install();
  // It reported this much; whether that is news.
  bool Take(const FollowerReport& report);
};

}  // namespace varve::raft

#endif  // VARVE_RAFT_CORE_PROGRESS_H_
