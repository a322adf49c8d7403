#include "raft/group.h"

#include <utility>

#include "common/check.h"
#include "raft/shell/shell_defect.h"

namespace varve::raft {
namespace {

// One tick of the core, in which its timeouts are counted: with its defaults heartbeats are 100 ms
// apart, and a follower campaigns after 750 to 1,500 ms of silence.
constexpr Nanos kTickLength = 50 * kMillisecond;
// So long nothing must have happened before a group falls asleep; else one that has a little to do
// would fall asleep and wake for each piece of it.
constexpr uint32_t kQuietTicks = 20;
// So long the packets of a process that is gone may take to arrive; if it lives after all, its
// groups hear it again then.
constexpr Nanos kDeafAfterLoss = 200 * kMillisecond;

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
             GroupListener& listener, GroupPeers* peers, GroupMetrics* metrics)
    : log_(log),
      shard_(shard),
      clock_(clock),
      listener_(listener),
      peers_(peers),
      group_(options.group),
      core_(options, StateOf(log)),
      watch_(core_, clock, metrics),
      self_(std::make_shared<Group*>(this)) {}

Group::~Group() {
  shard_.Cancel(tick_timer_);
  if (told_) peers_->SetLeadership(group_, std::nullopt);
}

void Group::Start() {
  if (stopped_ || std::exchange(started_, true)) return;
  if (peers_ != nullptr) peers_->Ask(group_);
  ArmTickTimer();
}

// Only while the core waits for time: an idle leader without followers, and a group that is vouched
// for, cost no timer.
void Group::ArmTickTimer() {
  if (!started_ || stopped_ || asleep_ || tick_timer_ != TimerId{} || !core_.needs_tick()) return;
  const Nanos wait = ticked_ ? kTickLength : 0;
  tick_timer_ = shard_.RunAt(clock_.Now() + wait, [self = std::weak_ptr<Group*>(self_)] {
    if (const auto group = self.lock()) (*group)->OnTick();
  });
}

void Group::OnTick() {
  tick_timer_ = TimerId{};
  ticked_ = true;
  if (vouched_ && core_.leader().node == vouched_->node)
    inputs_.emplace_back(PeerAlive{core_.leader(), vouched_->term});
  inputs_.emplace_back(Tick{});
  Flush();
  quiet_ticks_ = core_.quiet() ? quiet_ticks_ + 1 : 0;
  TellLeadership();
  FallAsleepIfQuiet();
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

void Group::Receive(std::vector<Message> messages) {
  if (stopped_ || !started_) return;
  for (Message& message : messages) {
    if (message.from.node == lost_node_ &&
        (clock_.Now() < deaf_until_ || Planted(ShellDefect::kDeafForEver))) {
      watch_.OnDeafMessage();
      continue;
    }
    // Whoever asks for something is not asleep, and may know less than is believed here.
    const MessageType type = TypeOf(message);
    if (type != MessageType::kHeartbeat && type != MessageType::kHeartbeatReply) Wake();
    inputs_.emplace_back(raft::Receive{std::move(message)});
  }
  Flush();
}

void Group::Give(Input input) {
  if (stopped_) return;
  inputs_.push_back(std::move(input));
  PostFlush();
}

void Group::Stop() {
  if (std::exchange(stopped_, true)) return;
  if (std::exchange(told_, std::nullopt)) peers_->SetLeadership(group_, std::nullopt);
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
  for (Input& input : std::exchange(inputs_, {})) Step(std::move(input));
  Effects effects = core_.TakeEffects();
  watch_.OnEffects(effects);
  Deliver(std::move(effects));
  if (!core_.quiet()) Wake();
  TellLeadership();
  ArmTickTimer();
}

void Group::Step(Input input) {
  watch_.OnInput(input);
  core_.Step(std::move(input));
}

// Stop may be called by any of the callbacks; after it only results are delivered, by it.
void Group::Deliver(Effects effects) {
  delivering_ = true;
  for (DiskOperation& operation : effects.disk) WriteToLog(std::move(operation));
  if (peers_ != nullptr && !effects.messages.empty()) peers_->Send(std::move(effects.messages));
  for (const LoadEntries& load : effects.loads) Load(load);
  for (ProposalResult& result : effects.results) results_.push_back(std::move(result));
  if (effects.role_change) listener_.OnRoleChange(*effects.role_change);
  if (effects.committed && !stopped_) {
    listener_.OnCommitted(*effects.committed, core_.high_watermark());
  }
  if (effects.leadership_confirmed && !stopped_) listener_.OnLeadershipConfirmed();
  DeliverResults();
  if (!stopped_) {
    for (const PrepareInstall& prepare : effects.prepare_installs)
      listener_.OnPrepareInstall(prepare);
    if (effects.stage_install) listener_.OnStageInstall(*effects.stage_install);
    for (const RefusedMessage& refused : effects.refused) listener_.OnRefusedMessage(refused);
  }
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
  auto done = [self = std::weak_ptr<Group*>(self_), sequence = operation.sequence,
               term = operation.term](const absl::Status& status) {
    if (const auto group = self.lock()) (*group)->OnWritten(sequence, term, status);
  };
  if (!operation.install && Planted(ShellDefect::kWriteCountsAtOnce)) {
    shard_.Post([done] { done(absl::OkStatus()); });
    return log_.Write(std::move(operation.write), [](const absl::Status&) {});
  }
  if (operation.install)
    return log_.Install(*operation.install, std::move(operation.write), std::move(done));
  log_.Write(std::move(operation.write), std::move(done));
}

// What cannot be read counts as not there: the follower is installed.
void Group::Load(const LoadEntries& load) {
  log_.Read(load.from, load.max_bytes,
            [self = std::weak_ptr<Group*>(self_), load](absl::StatusOr<std::vector<Entry>> read) {
              const auto group = self.lock();
              if (group == nullptr || (*group)->stopped_) return;
              EntriesLoaded loaded{load.peer, load.from, {}};
              if (read.ok()) loaded.entries = *std::move(read);
              (*group)->inputs_.emplace_back(std::move(loaded));
              (*group)->Flush();
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
  if (status.ok() && !stopped_) listener_.OnDurable();
}

// --- Silence
// --------------------------------------------------------------------------------------

// The node is told when this replica begins or ends to lead, who follows, and whether its
// heartbeats are to vouch for the group.
void Group::TellLeadership() {
  if (peers_ == nullptr || stopped_) return;
  std::optional<Leadership> now;
  if (core_.role() == Role::kLeader) {
    now.emplace();
    now->term = core_.term();
    for (const auto& [id, follower] : core_.followers()) now->followers.push_back(id.node);
    now->quiet = quiet_ticks_ >= kQuietTicks && !now->followers.empty();
  }
  if (now == told_) return;
  told_ = now;
  peers_->SetLeadership(group_, std::move(now));
}

// A follower; a leader falls asleep when all of them know (kAllKnow).
void Group::FallAsleepIfQuiet() {
  if (!vouched_ || quiet_ticks_ < kQuietTicks || core_.role() != Role::kFollower) return;
  if (core_.term() != vouched_->term || core_.leader().node != vouched_->node) return;
  asleep_ = true;
  shard_.Cancel(std::exchange(tick_timer_, TimerId{}));
}

void Group::Wake() {
  if (!Planted(ShellDefect::kNeverWakes)) asleep_ = false;
  quiet_ticks_ = 0;
}

ReplicaId Group::ReplicaOn(NodeId node) const {
  if (core_.leader().node == node) return core_.leader();
  for (const auto& [id, follower] : core_.followers())
    if (id.node == node) return id;
  return {};
}

void Group::Hear(const PeerNews& news) {
  if (stopped_) return;
  switch (news.kind) {
    case PeerNews::Kind::kVouched:
      vouched_ = news;
      return;
    case PeerNews::Kind::kUnvouched:
      if (vouched_ && vouched_->node == news.node && !Planted(ShellDefect::kUnvouchedForgotten))
        vouched_.reset();
      break;
    case PeerNews::Kind::kAllKnow:
      if (!told_ || !told_->quiet || told_->term != news.term || !core_.quiet()) return;
      asleep_ = true;
      shard_.Cancel(std::exchange(tick_timer_, TimerId{}));
      return;
    case PeerNews::Kind::kSilent:
      break;
    case PeerNews::Kind::kLost: {
      const ReplicaId lost = ReplicaOn(news.node);
      if (lost.empty()) return;
      // Packets of the dead may still come, and would keep its followers waiting.
      lost_node_ = news.node;
      deaf_until_ = clock_.Now() + kDeafAfterLoss;
      Give(PeerLost{lost});
      break;
    }
    case PeerNews::Kind::kTookBytes:
      if (const ReplicaId peer = ReplicaOn(news.node); !peer.empty()) Give(PeerTookBytes{peer});
      return;
  }
  Wake();
  TellLeadership();
  ArmTickTimer();
}

}  // namespace varve::raft
