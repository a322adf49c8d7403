// Install: a follower that needs entries which the leader no longer has gets the log as files
// (DESIGN section 5, catch-up). The core decides whether, from where, and when they replace the
// log; the owner moves the files.
#include <algorithm>
#include <utility>

#include "raft/core/core.h"
#include "raft/core/defect.h"

namespace varve::raft {
namespace {

// Whether a log can end like this.
bool IsSound(const InstallPoint& point) {
  const LogEnd& end = point.end;
  const bool ordered = point.start.index > Index{0} && point.start.index <= end.last_index + 1 &&
                       end.last_index > Index{0} && point.start.offset <= end.next_offset &&
                       point.start.previous_term <= end.last_term &&
                       point.configuration.index <= end.last_index;
  if (!ordered) return false;
  EpochStart before;
  for (const EpochStart& epoch : point.epochs) {
    const bool follows = epoch.index > before.index && epoch.offset >= before.offset &&
                         (epoch.term > before.term || before.index == Index{0});
    if (!follows || epoch.index > end.last_index || epoch.term > end.last_term) return false;
    before = epoch;
  }
  const Term last = point.epochs.empty() ? point.start.previous_term : before.term;
  return last == end.last_term;
}

}  // namespace

void Core::BeginInstall(ReplicaId to, Progress& progress) {
  progress.Install();
  OfferInstall(to, progress);
}

// Also before an own entry is committed: without the follower there may be no majority to commit
// it.
void Core::OfferInstall(ReplicaId to, Progress& progress) {
  if (progress.offered) return Send(to, InstallRequest{*progress.offered});
  if (std::exchange(progress.preparing, true)) return;
  const Index floor = std::min(floor_, commit_index());
  effects_.prepare_installs.push_back({to, std::max(floor, log_.start().index - 1)});
}

void Core::On(const InstallReady& ready) {
  if (!leadership_) return;
  const auto found = leadership_->followers.find(ready.peer);
  if (found == leadership_->followers.end() || !found->second.preparing) return;
  Progress& progress = found->second;
  progress.preparing = false;
  const Index last = ready.point.end.last_index;
  const bool committed = last <= commit_index() && ready.point.configuration.index <= last;
  if (progress.state != ProgressState::kInstall) return;
  if (!committed && !Planted(Defect::kInstallOfUncommitted)) return;
  progress.offered = ready.point;
  OfferInstall(ready.peer, progress);
}

void Core::On(const InstallFailed& failed) {
  if (staging_ && failed.peer == options_.self) staging_.reset();
  if (!leadership_) return;
  const auto found = leadership_->followers.find(failed.peer);
  if (found == leadership_->followers.end()) return;
  found->second.preparing = false;
  found->second.offered.reset();
}

// What is committed is equal everywhere.
bool Core::HasThrough(const InstallPoint& point) const {
  if (Planted(Defect::kInstallJudgedByIndex) && point.end.last_index <= log_.last_index()) {
    return true;
  }
  return point.end.last_index <= commit_index() ||
         log_.Has(point.end.last_index, point.end.last_term);
}

void Core::On(const Message& message, const InstallRequest& request) {
  HearLeader();
  const InstallPoint& point = request.point;
  const bool sound = IsSound(point) && point.end.last_term <= message.term;
  if (!sound && !Planted(Defect::kUnsoundPointTaken)) {
    return Refuse(message, Refusal::kNotContiguous);
  }
  if (HasThrough(point) && !Planted(Defect::kInstallReplacesNewer)) {
    // The log has all of it and perhaps more, which stays (trap 37).
    proven_ = std::max(proven_, point.end.last_index);
    CommitThrough(point.end.last_index);
    return Acknowledge();
  }
  if (staging_ == point) return;  // under way
  staging_ = point;
  effects_.stage_install = StageInstall{message.from, point};
}

// The log may have moved on while the files came. What was committed stays so, whoever leads now;
// and a log that lacks it holds nothing behind that could ever be committed
// (docs/design/install.md).
void Core::On(const InstallStaged& staged) {
  if (staging_ != staged.point) return;
  staging_.reset();
  if (role_ == Role::kCandidate || leadership_) return;
  const InstallPoint& point = staged.point;
  if (HasThrough(point) && !Planted(Defect::kInstallReplacesNewer)) return;
  DiskOperation& operation = NewDiskOperation();
  operation.install = point;
  log_.Install(point);
  operation.write.configurations = log_.configurations();
  configurations_changed_ = false;
  for (OutstandingWrite& write : outstanding_) write.last_index.reset();
  outstanding_.back().last_index = point.end.last_index;
  outstanding_.back().install = true;
  durable_index_ = Index{};
  proven_ = point.end.last_index;
  effects_.committed = point.end.last_index;
  AnswerProposals(point.end.last_index);
}

void Core::On(const Message& message, const InstallReply& reply) {
  Progress* progress = FollowerOf(message);
  if (progress != nullptr) OnReport(message, reply.report, *progress);
}

}  // namespace varve::raft
