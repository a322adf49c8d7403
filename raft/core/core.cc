#include "raft/core/core.h"

#include <utility>

#include "common/check.h"
#include "raft/core/defect.h"
#include "raft/core/quorum.h"

namespace varve::raft {

bool Effects::empty() const {
  return disk.empty() && messages.empty() && results.empty() && reads.empty() && loads.empty() &&
         prepare_installs.empty() && !stage_install && refused.empty() && !committed &&
         !role_change && !leadership_confirmed;
}

Core::Core(const CoreOptions& options, const CoreState& state)
    : options_(options),
      random_(SeededRandom(options.seed)),
      log_(state),
      hard_state_(state.hard_state),
      durable_index_(Planted(Defect::kDurableForgotten) ? Index{} : state.end.last_index),
      recent_(options.max_recent_bytes) {
  VARVE_CHECK(state.end.last_term <= hard_state_.term, "group ", options_.group, ": entry of term ",
              state.end.last_term, " in term ", hard_state_.term);
  const bool grace = options_.start_grace && hard_state_.term > Term{0};
  ticks_without_leader_ = grace ? 0 : options_.election_ticks;
  DrawElectionTimeout();
  // Whoever started together is not to campaign together.
  election_timeout_ *= 2;
}

void Core::Step(Input input) {
  if (halted_) {
    if (const auto* propose = std::get_if<Propose>(&input)) {
      effects_.results.push_back({propose->id, ProposalRefused{*halted_}});
    } else if (const auto* read = std::get_if<ReadBarrier>(&input)) {
      effects_.reads.push_back({read->id, std::nullopt});
    }
    return;
  }
  std::visit([this](auto&& in) { On(std::forward<decltype(in)>(in)); }, std::move(input));
}

Effects Core::TakeEffects() {
  if (leadership_) SendWhatIsDue();
  for (DiskOperation& operation : effects_.disk) operation.write.commit_index = commit_index();
  last_operation_bytes_ = 0;
  taken_through_ = last_sequence_;
  return std::exchange(effects_, {});
}

const std::map<ReplicaId, Progress>& Core::followers() const {
  static const std::map<ReplicaId, Progress> kNone;
  return leadership_ ? leadership_->followers : kNone;
}

bool Core::quiet() const {
  if (halted_ || !outstanding_.empty() || commit_index() != log_.last_index()) return false;
  if (!pending_.empty()) return false;  // of an earlier leadership: time answers them
  if (role_ == Role::kFollower) return !leader_.empty();
  if (!leadership_ || leadership_->transfer_to) return false;
  if (!leadership_->reads.empty() || !leadership_->early_reads.empty()) return false;
  for (const auto& [id, follower] : leadership_->followers) {
    if (follower.outstanding() || follower.known_commit != commit_index()) return false;
  }
  return true;
}

bool Core::needs_tick() const {
  if (halted_) return false;
  if (pending_aside_ > 0) return true;
  if (leadership_) return !leadership_->followers.empty();
  const Configuration& now = log_.configuration();
  if (IsSoleVoter(now, options_.self)) return role_ == Role::kFollower && MayCampaign();
  // Whoever only votes must notice that its leader fell silent, too; also a learner, whatever
  // configuration it knows.
  const bool hears_leader =
      ticks_without_leader_ < options_.election_ticks && !Planted(Defect::kSilenceUnnoticed);
  return MayCampaign() || hears_leader || now.voters.size() + now.outgoing.size() > 1;
}

void Core::On(const DiskFull& full) { disk_full_ = full.full; }

void Core::On(const LogStartMoved& moved) {
  if (moved.start.index > log_.start().index) log_.MoveStart(moved.start);
}

void Core::On(const Folded& folded) {
  folded_ = std::max(folded_, folded.index);
  // Only what is committed is folded, and a fold may be durable when the last write that told the
  // commit index is not.
  CommitThrough(std::min(folded.index, log_.last_index()));
  if (leadership_) RaiseFloor();
}

void Core::On(const PeerTookBytes& took) {
  if (!leadership_) return;
  const auto found = leadership_->followers.find(took.peer);
  if (found != leadership_->followers.end()) found->second.ticks_no_news = 0;
}

void Core::Send(ReplicaId to, MessageBody body) {
  effects_.messages.push_back(
      {options_.group, options_.self, to, hard_state_.term, std::move(body)});
}

void Core::SendWhenDurable(ReplicaId to, MessageBody body) {
  if (outstanding_.empty()) return Send(to, std::move(body));
  waiting_.push_back(
      {last_sequence_, {options_.group, options_.self, to, hard_state_.term, std::move(body)}});
}

void Core::Refuse(const Message& message, Refusal why) {
  effects_.refused.push_back({message.from, TypeOf(message), why});
}

}  // namespace varve::raft
