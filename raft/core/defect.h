// Defects that a test plants to see that it would find them. Only the library
// varve_raft_core_defects, built with VARVE_RAFT_DEFECTS for tests, knows how to be wrong;
// elsewhere Planted is false at compile time.
#ifndef VARVE_RAFT_CORE_DEFECT_H_
#define VARVE_RAFT_CORE_DEFECT_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace varve::raft {

enum class Defect : uint8_t {
  kNone,
  kVoteNotPersisted,            // the vote leaves before it is durable, and is not written
  kVoteWithoutLogCheck,         // a candidate with an older log gets a vote
  kVoteTwice,                   // in one term
  kOwnVoteBeforeDurable,        // counted when asked for
  kPreVoteResetsTimer,          // asking keeps others from campaigning
  kAcknowledgedBeforeDurable,   // the follower answers at once
  kOldTermCommittedByCount,     // figure 8 of the paper
  kTruncationOnAnyAppend,       // what a short append does not mention goes
  kPreviousNotChecked,          // entries go behind whatever is there
  kCompletionWithoutTerm,       // a completion counts for what replaced its entries
  kCommitBeyondProven,          // a heartbeat commits what no append has proven
  kLeaderCountsUndurable,       // own entries count before the disk has them
  kConfigurationNotReverted,    // by a truncation
  kLearnerCounted,              // as a voter
  kJointByOneSide,              // the outgoing voters are not asked
  kSecondConfiguration,         // before the first is committed
  kReplicaEpochIgnored,         // a vote or acknowledgement of another incarnation counts
  kBarrierByOldReplies,         // a read is answered by replies to an earlier one
  kBarrierBeforeConfirmed,      // a read is answered before an own entry is committed
  kInstallReplacesNewer,        // an install drops entries that were acknowledged
  kFailedDiskAcknowledges,      // after an error
  kUncommittedLeak,             // the count of uncommitted bytes does not go back
  kResultForgotten,             // proposals of a lost leadership are never answered
  kWindowNeverReopens,          // after a lost append
  kOldReplyCounts,              // a vote of an earlier term
  kStickinessIgnored,           // voters depose a live leader
  kVoteForgotten,               // stepping down forgets the vote of the term
  kOwnVoteNotPersisted,         // a candidate keeps its vote in memory only
  kLeadsWithoutOwnVote,         // on the votes of others, before its own is durable
  kOldTermNotAnswered,          // a leader of an older term is ignored, not told
  kPreVoteRefusalBringsTerm,    // who is refused enters the term that it asked about
  kAppendDoesNotVouch,          // catching up does not count as hearing the leader
  kReadProbeVouches,            // being asked for a read does
  kStalledEntriesUnnoticed,     // heartbeats alone keep a leadership
  kRefusedVoteResetsTimer,      // a loser keeps the others from trying
  kLearnerRefusesVote,          // though it may have been promoted
  kNonVoterCampaigns,           // learners, and who was removed
  kSilenceUnnoticed,            // a learner waits for its dead leader for ever
  kRemovedNeverCampaigns,       // though its removal is not committed
  kFollowerTakesProposals,      // while nobody leads
  kSoleVoterAsks,               // for pre-votes that nobody gives
  kOwnDiskCommitsNothing,       // only replies advance the commit index
  kQuorumWithoutItself,         // a leader does not count itself as heard
  kTimersOf32Bits,              // which wrap after weeks
  kLeaderReadsItsTail,          // of entries that are not committed, when it begins to lead
  kTransferNeverEnds,           // when its target is lost
  kTransferToALaggard,          // the target is told before it has everything
  kAppendCommitsUnproven,       // entries behind those that the append brought
  kKnownEntriesTakenAgain,      // what the log has is truncated and written anew
  kOldAcknowledgementCounts,    // of a former leadership
  kCompletionOfAnyOperation,    // whatever term it names
  kResultByIndex,               // a proposal is committed when any entry at its index is
  kPendingForEver,              // nobody gives up on proposals of a lost leadership
  kLostLeadershipCounts,        // its bytes count against the next
  kPreviousBelowStartRejected,  // what is trimmed counts as a conflict
  kSendsFromBelowStart,         // appends whose previous term is not known
  kWindowLeaks,                 // bytes that were acknowledged stay in it
  kLargeProposalRefused,        // larger than all that may be uncommitted
  kLargeEntryWaits,             // larger than the window
  kBarrierWithoutMajority,      // a read is answered at once
  kIdleFollowerNotTold,         // of commits, while there is nothing to send
  kInstallOfUncommitted,        // of entries, or a configuration behind them
  kInstallKeepsConfiguration,   // of the log that it replaces
  kRemovedLeaderCountsItself,   // though it does not vote any more
  kTwoVotersAtOnce,             // a change whose majorities need not overlap
  kJointNeverLeft,              // by a leader that finds it
  kEmptySideDecides,            // outgoing voters are asked when there are none
  kForeignGroupAdmitted,        // messages of another group
  kRemovedHearsNothing,         // of the commit of its removal
  kRemovedLeaderStays,          // though its removal is committed
  kNoSuccessorNamed,            // by a leader that is removed
  kInstallOffByOne,             // the first entry behind an install is taken for its last
  kUnsoundPointTaken,           // an install that no log can end with
  kEmptyLogHasNoTerm,           // behind its start
  kInstallJudgedByIndex,        // a log that is long enough is kept, whatever its terms
  kLoadedBelowStart,            // entries that were trimmed while they were loaded
  kSecondLeaderFollowed,        // of the same term
  kSlowDiskLeadsOn,             // nobody is handed leadership
  kDurableForgotten,            // at a restart
  kActsWhenCommitted,           // a configuration, not when it is in the log
  kEpochsNotReverted,           // by a truncation
};
inline constexpr size_t kDefects = 82;

#ifdef VARVE_RAFT_DEFECTS
// One at a time, and how often each site was asked; single-threaded tests alone.
inline Defect planted_defect = Defect::kNone;
inline std::array<uint64_t, kDefects> defect_sites{};
inline bool Planted(Defect defect) {
  ++defect_sites[static_cast<size_t>(defect)];
  return planted_defect == defect;
}
#else
constexpr bool Planted(Defect /*defect*/) { return false; }
#endif

}  // namespace varve::raft

#endif  // VARVE_RAFT_CORE_DEFECT_H_
