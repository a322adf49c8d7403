#include "raft/group.h"

#include <utility>

#include "common/check.h"

namespace varve::raft {
namespace {

// One tick of the core. Timeouts are counted in it; heartbeats will be one tick apart.
constexpr Nanos kTickLength = 100 * kMillisecond;

CoreState StateOf(const LogStore& log) {
  CoreState state;
  state.hard_state = log.hard_state();
  state.start = log.start();
  state.end = log.end();
  state.commit_index = log.commit_index();
  state.configurations = log.configurations();
  state.ends = log.ends();
  state.epochs = log.epochs();
  return state;
}

}  // namespace

Group::Group(CoreOptions options, LogStore& log, Executor& shard, const Clock& clock,
             GroupListener& listener)
    : log_(log),
      shard_(shard),
      clock_(clock),
      listener_(listener),
      core_(options, StateOf(log)),
      self_(std::make_shared<Group*>(this)) {}

Group::~Group() { shard_.Cancel(tick_timer_); }

void Group::Start() {
  if (stopped_ || std::exchange(started_, true)) return;
  ArmTickTimer();
}

// Only while the core waits for time: a leader without followers is idle and costs no timer.
void Group::ArmTickTimer() {
  if (!started_ || stopped_ || tick_timer_ != TimerId{} || !core_.needs_tick()) return;
  const Nanos wait = ticked_ ? kTickLength : 0;
  tick_timer_ = shard_.RunAt(clock_.Now() + wait, [self = std::weak_ptr<Group*>(self_)] {
    const auto group = self.lock();
    if (group == nullptr) return;
    (*group)->tick_timer_ = TimerId{};
    (*group)->ticked_ = true;
    (*group)->inputs_.emplace_back(Tick{});
    (*group)->Flush();
  });
}

ProposalId Group::Propose(FrameBuffer payload, EntryKind kind, uint32_t records,
                          std::optional<Term> expected_term) {
  ++last_proposal_;
  if (stopped_) return last_proposal_;
  inputs_.emplace_back(raft::Propose{last_proposal_, kind, std::move(payload), records,
                                     expected_term, clock_.Wall()});
  PostFlush();
  return last_proposal_;
}

void Group::Stop() {
  if (std::exchange(stopped_, true)) return;
  shard_.Cancel(std::exchange(tick_timer_, TimerId{}));
  core_.Step(raft::Stop{});
  // What waits unseen goes through the halted core, which refuses it.
  for (Input& input : std::exchange(inputs_, {})) core_.Step(std::move(input));
  Effects effects = core_.TakeEffects();
  for (ProposalResult& result : effects.results) results_.push_back(std::move(result));
  DeliverResults();
}

void Group::PostFlush() {
  if (std::exchange(flush_posted_, true)) return;
  shard_.Post([self = std::weak_ptr<Group*>(self_)] {
    const auto group = self.lock();
    if (group == nullptr) return;
    (*group)->flush_posted_ = false;
    (*group)->Flush();
  });
}

void Group::Flush() {
  VARVE_CHECK(!delivering_, "the log called back from within a call");
  if (stopped_ || inputs_.empty()) return;
  // What the listener proposes meanwhile waits for a flush of its own, so that a listener which
  // proposes whenever it is called cannot keep the shard from its other tasks.
  for (Input& input : std::exchange(inputs_, {})) core_.Step(std::move(input));
  Deliver(core_.TakeEffects());
  ArmTickTimer();
}

// Stop may be called by any of the callbacks; after it only results are delivered, by it.
void Group::Deliver(Effects effects) {
  delivering_ = true;
  for (DiskOperation& operation : effects.disk) WriteToLog(std::move(operation));
  for (ProposalResult& result : effects.results) results_.push_back(std::move(result));
  if (effects.role_change) listener_.OnRoleChange(*effects.role_change);
  if (effects.committed && !stopped_) {
    listener_.OnCommitted(*effects.committed, core_.high_watermark());
  }
  if (effects.leadership_confirmed && !stopped_) listener_.OnLeadershipConfirmed();
  DeliverResults();
  delivering_ = false;
}

void Group::DeliverResults() {
  while (!results_.empty()) {
    ProposalResult result = std::move(results_.front());
    results_.pop_front();
    listener_.OnProposal(std::move(result));
  }
}

void Group::WriteToLog(DiskOperation operation) {
  log_.Write(std::move(operation.write),
             [self = std::weak_ptr<Group*>(self_), sequence = operation.sequence,
              term = operation.term](const absl::Status& status) {
               if (const auto group = self.lock()) (*group)->OnWritten(sequence, term, status);
             });
}

// Directly, without a hop: the log calls back in a task of the shard.
void Group::OnWritten(DiskSequence sequence, Term term, const absl::Status& status) {
  if (status.ok()) {
    inputs_.emplace_back(DiskDone{sequence, term});
  } else {
    inputs_.emplace_back(DiskFailed{});
  }
  Flush();
}

}  // namespace varve::raft
