// Inputs of the Raft core: everything that can happen to a replica. docs/raft.md, "Inputs".
#ifndef VARVE_RAFT_CORE_INPUT_H_
#define VARVE_RAFT_CORE_INPUT_H_

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "common/entry.h"
#include "common/log_state.h"
#include "common/types.h"
#include "raft/core/message.h"

namespace varve::raft {

// Number of a disk operation of one core; grows by one from 1.
using DiskSequence = StrongInt<struct DiskSequenceTag, uint64_t>;
// The owner's name for a proposal; each is used once.
using ProposalId = StrongInt<struct ProposalIdTag, uint64_t>;
// The owner's name for a read barrier; each is used once.
using ReadId = StrongInt<struct ReadIdTag, uint64_t>;

// Time passes: `n` ticks of the owner's tick length at once. What became due several times within
// them is done once.
struct Tick {
  uint64_t n = 1;
};

// The election timeout elapses now. Nothing on a leader or a replica that may not campaign.
struct Campaign {};
// A leader sends heartbeats now.
struct HeartbeatNow {};

struct Receive {
  Message message;
};

// Asks to append one entry. Refused unless the replica leads in `expected_term` (when that is set).
// The core gives index, term, base offset and append time, and seals the frame.
struct Propose {
  ProposalId id;
  EntryKind kind = EntryKind::kData;
  FrameBuffer payload;
  uint32_t records = 0;  // width in offsets; 0 for zero-width kinds
  std::optional<Term> expected_term;
  WallTime now;  // leader's clock; the append time is the larger of this and the previous entry's
};

// Asks what a reader must have seen who begins now: answered with an index that covers everything
// acknowledged before (Ongaro's thesis, 6.4), or with none.
struct ReadBarrier {
  ReadId id;
};

// Hands leadership to `target`, or to whom it fits best when that is empty. No proposals are taken
// meanwhile; after an election timeout without success it is given up.
struct Transfer {
  ReplicaId target;
};

// The log finished the operation `sequence`, which was issued in `term`.
struct DiskDone {
  DiskSequence sequence;
  Term term;
};

// The disk failed for good: no vote, no acknowledgement, no leadership until a restart.
struct DiskFailed {};
// The log or the hard state may have lost something (DESIGN section 4, suspect): the same, until
// the replica comes back under another epoch.
struct DiskSuspect {};
// The disk does not finish what it was asked for (or does again): while it is slow the replica
// hands leadership over and does not campaign. It goes on voting and acknowledging, slowly.
struct DiskSlow {
  bool slow = true;
};
// No room for Data (or there is again). Zero-width entries, votes and acknowledgements go on.
struct DiskFull {
  bool full = true;
};

// Answer to LoadEntries: contiguous from its `from` on; empty: they are no longer there.
struct EntriesLoaded {
  ReplicaId peer;
  Index from;
  std::vector<Entry> entries;
};
// Answer to PrepareInstall: files up to `point` are ready to be fetched.
struct InstallReady {
  ReplicaId peer;
  InstallPoint point;
};
// The files of StageInstall are here and durable, beside the log.
struct InstallStaged {
  InstallPoint point;
};
// Preparing, or staging, came to nothing; it is tried again.
struct InstallFailed {
  ReplicaId peer;
};

// The log start moved; never back.
struct LogStartMoved {
  LogStart start;
};
// Everything up to here is folded and the fold is durable.
struct Folded {
  Index index;
};

// News of another replica's node from beside the group: it lives and follows or leads this group in
// `term`; it took bytes of an entry or an install; its process is gone.
struct PeerAlive {
  ReplicaId peer;
  Term term;
};
struct PeerTookBytes {
  ReplicaId peer;
};
struct PeerLost {
  ReplicaId peer;
};

// The owner goes away: what is pending is answered, and nothing is done any more.
struct Stop {};

using Input = std::variant<Tick, Campaign, HeartbeatNow, Receive, Propose, ReadBarrier, Transfer,
                           DiskDone, DiskFailed, DiskSuspect, DiskSlow, DiskFull, EntriesLoaded,
                           InstallReady, InstallStaged, InstallFailed, LogStartMoved, Folded,
                           PeerAlive, PeerTookBytes, PeerLost, Stop>;

}  // namespace varve::raft

#endif  // VARVE_RAFT_CORE_INPUT_H_
