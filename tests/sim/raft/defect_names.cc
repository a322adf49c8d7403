#include "tests/sim/raft/defect_names.h"

namespace varve::raftsim {
namespace {

constexpr std::string_view kDefectNames[kDefects] = {
    "none",
    "vote-not-persisted",
    "vote-without-log-check",
    "vote-twice",
    "own-vote-before-durable",
    "pre-vote-resets-timer",
    "acknowledged-before-durable",
    "old-term-committed-by-count",
    "truncation-on-any-append",
    "previous-not-checked",
    "completion-without-term",
    "commit-beyond-proven",
    "leader-counts-undurable",
    "configuration-not-reverted",
    "learner-counted",
    "joint-by-one-side",
    "second-configuration",
    "replica-epoch-ignored",
    "barrier-by-old-replies",
    "barrier-before-confirmed",
    "install-replaces-newer",
    "failed-disk-acknowledges",
    "uncommitted-leak",
    "result-forgotten",
    "window-never-reopens",
    "old-reply-counts",
    "stickiness-ignored",
    "vote-forgotten",
    "own-vote-not-persisted",
    "leads-without-own-vote",
    "old-term-not-answered",
    "pre-vote-refusal-brings-term",
    "append-does-not-vouch",
    "read-probe-vouches",
    "stalled-entries-unnoticed",
    "refused-vote-resets-timer",
    "learner-refuses-vote",
    "non-voter-campaigns",
    "silence-unnoticed",
    "removed-never-campaigns",
    "follower-takes-proposals",
    "sole-voter-asks",
    "own-disk-commits-nothing",
    "quorum-without-itself",
    "timers-of-32-bits",
    "leader-reads-its-tail",
    "transfer-never-ends",
    "transfer-to-a-laggard",
    "append-commits-unproven",
    "known-entries-taken-again",
    "old-acknowledgement-counts",
    "completion-of-any-operation",
    "result-by-index",
    "pending-for-ever",
    "lost-leadership-counts",
    "previous-below-start-rejected",
    "sends-from-below-start",
    "window-leaks",
    "large-proposal-refused",
    "large-entry-waits",
    "barrier-without-majority",
    "idle-follower-not-told",
    "install-of-uncommitted",
    "install-keeps-configuration",
    "removed-leader-counts-itself",
    "two-voters-at-once",
    "joint-never-left",
    "empty-side-decides",
    "foreign-group-admitted",
    "removed-hears-nothing",
    "removed-leader-stays",
    "no-successor-named",
    "install-off-by-one",
    "unsound-point-taken",
    "empty-log-has-no-term",
    "install-judged-by-index",
    "loaded-below-start",
    "second-leader-followed",
    "slow-disk-leads-on",
    "durable-forgotten",
    "acts-when-committed",
    "epochs-not-reverted",
};

}  // namespace

std::string_view NameOf(Defect defect) { return kDefectNames[static_cast<size_t>(defect)]; }

std::string_view WhyOutOfReach(Defect defect) {
  switch (defect) {
    case Defect::kStalledEntriesUnnoticed:
      return "followers depose the leader: its heartbeats do not vouch";
    case Defect::kTimersOf32Bits:
      return "runs last minutes, not weeks";
    case Defect::kLeaderReadsItsTail:
      return "it costs time and no more";
    case Defect::kAppendCommitsUnproven:
      return "what a correct leader sends leaves no other entries behind it";
    case Defect::kCompletionOfAnyOperation:
      return "the simulated disk names every operation rightly";
    case Defect::kIdleFollowerNotTold:
      return "the next heartbeat tells it";
    case Defect::kInstallOfUncommitted:
      return "the simulated owner prepares what is committed";
    case Defect::kJointNeverLeft:
      return "rare: a leader must hear of the commit, miss the next entry, and win";
    case Defect::kForeignGroupAdmitted:
      return "there is one group";
    case Defect::kRemovedHearsNothing:
      return "nobody demands that who is removed hears of it";
    case Defect::kNoSuccessorNamed:
      return "it costs an election timeout and no more";
    case Defect::kUnsoundPointTaken:
    case Defect::kSecondLeaderFollowed:
      return "no correct replica sends that";
    case Defect::kSlowDiskLeadsOn:
      return "the others commit without its disk";
    default:
      return {};
  }
}

std::optional<Defect> DefectNamed(std::string_view name) {
  for (size_t i = 0; i < kDefects; ++i) {
    if (kDefectNames[i] == name) return static_cast<Defect>(i);
  }
  return std::nullopt;
}

}  // namespace varve::raftsim
