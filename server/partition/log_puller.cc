#include "server/partition/log_puller.h"

#include <algorithm>
#include <utility>

#include "common/error.h"
#include "common/limits.h"

namespace varve::server {
namespace {

constexpr uint32_t kPieceBytes = 1 * limits::kMiB;
// A piece that does not come in so long was lost with its connection.
constexpr Nanos kPatience = 5 * kSecond;
// The first request may come before there is a connection: it is repeated, less and less often.
constexpr Nanos kFirstRepeat = 250 * kMillisecond;

}  // namespace

LogPuller::LogPuller(GroupId group, ReplicaId self, raft::GroupPeers& peers, Executor& shard,
                     const Clock& clock)
    : group_(group),
      self_id_(self),
      peers_(peers),
      shard_(shard),
      clock_(clock),
      self_(std::make_shared<LogPuller*>(this)) {}

LogPuller::~LogPuller() {
  Cancel();
  *self_ = nullptr;
}

void LogPuller::Pull(ReplicaId from, Index first, Index last,
                     std::unique_ptr<storage::StagedLog> staged, Done done) {
  Cancel();
  from_ = from;
  next_ = first;
  last_ = last;
  staged_ = std::move(staged);
  done_ = std::move(done);
  Ask(kFirstRepeat);
}

void LogPuller::Cancel() {
  ++token_;
  shard_.Cancel(std::exchange(timer_, TimerId{}));
  staged_.reset();
  done_ = nullptr;
  staging_ = false;
}

void LogPuller::Ask(Nanos repeat_after) {
  ++token_;
  Send(repeat_after, clock_.Now() + kPatience);
}

void LogPuller::Send(Nanos repeat_after, MonoTime give_up) {
  peers_.SendPiece(raft::PieceRequest{group_, self_id_, from_, token_, next_, last_, kPieceBytes});
  const MonoTime next = std::min(clock_.Now() + repeat_after, give_up);
  timer_ = shard_.RunAt(next, [self = self_, token = token_, repeat_after, give_up] {
    if (*self == nullptr || (*self)->token_ != token) return;
    (*self)->timer_ = TimerId{};
    if ((*self)->clock_.Now() < give_up) return (*self)->Send(2 * repeat_after, give_up);
    (*self)->Finish(token, MakeError(Reason::DEADLINE_EXCEEDED, "replica ", (*self)->from_.node,
                                     " sent no entries in time"));
  });
}

void LogPuller::OnPiece(raft::Piece piece) {
  if (!pulling() || staging_ || piece.token != token_ || piece.from_replica != from_) return;
  shard_.Cancel(std::exchange(timer_, TimerId{}));
  if (piece.entries.empty() || piece.entries.front().header.first_index != next_ ||
      piece.entries.back().header.last_index > last_)
    return Finish(token_, MakeError(Reason::OFFSET_NOT_AVAILABLE, "replica ", from_.node,
                                    " has not got entry ", next_, " of group ", group_));
  next_ = piece.entries.back().header.last_index + 1;
  staging_ = true;
  staged_->Append(std::move(piece.entries), [self = self_, token = token_](absl::Status status) {
    if (*self != nullptr) (*self)->OnStaged(token, status);
  });
}

void LogPuller::OnStaged(uint64_t token, const absl::Status& status) {
  if (token != token_ || !pulling()) return;
  staging_ = false;
  if (!status.ok()) return Finish(token, status);
  if (next_ <= last_) return Ask(kPatience);
  staging_ = true;
  staged_->Finish([self = self_, token](absl::Status finished) {
    if (*self != nullptr) (*self)->Finish(token, std::move(finished));
  });
}

void LogPuller::Finish(uint64_t token, absl::Status status) {
  if (token != token_ || !pulling()) return;
  Done done = std::exchange(done_, nullptr);
  std::unique_ptr<storage::StagedLog> staged = std::exchange(staged_, nullptr);
  staging_ = false;
  if (!status.ok()) return done(std::move(status));
  done(std::move(staged));
}

}  // namespace varve::server
