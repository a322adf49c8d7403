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
  kVoteNotPersisted,           // the vote leaves before it is durable, and is not written
  kVoteWithoutLogCheck,        // a candidate with an older log gets a vote
  kVoteTwice,                  // in one term
  kOwnVoteBeforeDurable,       // counted when asked for
  kPreVoteResetsTimer,         // asking keeps others from campaigning
  kAcknowledgedBeforeDurable,  // the follower answers at once
  kOldTermCommittedByCount,    // figure 8 of the paper
  kTruncationOnAnyAppend,      // what a short append does not mention goes
  kPreviousNotChecked,         // entries go behind whatever is there
  kCompletionWithoutTerm,      // a completion counts for what replaced its entries
  kCommitBeyondProven,         // a heartbeat commits what no append has proven
  kLeaderCountsUndurable,      // own entries count before the disk has them
  kConfigurationNotReverted,   // by a truncation
  kLearnerCounted,             // as a voter
  kJointByOneSide,             // the outgoing voters are not asked
  kSecondConfiguration,        // before the first is committed
  kReplicaEpochIgnored,        // a vote or acknowledgement of another incarnation counts
  kBarrierByOldReplies,        // a read is answered by replies to an earlier one
  kBarrierBeforeConfirmed,     // a read is answered before an own entry is committed
  kInstallReplacesNewer,       // an install drops entries that were acknowledged
  kFailedDiskAcknowledges,     // after an error
  kUncommittedLeak,            // the count of uncommitted bytes does not go back
  kResultForgotten,            // proposals of a lost leadership are never answered
  kWindowNeverReopens,         // after a lost append
  kOldReplyCounts,             // a vote of an earlier term
  kStickinessIgnored,          // voters depose a live leader
};
inline constexpr size_t kDefects = 27;

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
