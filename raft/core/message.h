// Messages between the replicas of one group. docs/raft.md, "Messages".
//
// Plain values; the transport gives them bytes. Everything here may come late, twice, out of order
// or never, and from a replica that is not what it says: the core checks before it believes.
#ifndef VARVE_RAFT_CORE_MESSAGE_H_
#define VARVE_RAFT_CORE_MESSAGE_H_

#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "common/entry.h"
#include "common/log_state.h"
#include "common/meta_entry.h"
#include "common/types.h"

namespace varve::raft {

// Asks for a vote; with `pre`, whether there would be one (Ongaro's thesis, 9.6). The term of the
// message is the one to campaign in, also of a pre-vote, whose sender has not entered it.
struct VoteRequest {
  bool pre = false;
  bool forced = false;  // the leader asked for this election: it is not held up for its sake
  Index last_index;
  Term last_term;
};

// A vote leaves when it is durable. A granted pre-vote carries the term it was asked for, a refusal
// the term of the replica that refuses.
struct VoteReply {
  bool pre = false;
  bool granted = false;
  Term asked;  // term of the request that it answers
};

// Entries behind (prev_index, prev_term), possibly none. The receiver's log is proven equal to the
// sender's up to the last of them, and no further (trap 15).
struct AppendRequest {
  Index prev_index;
  Term prev_term;
  Index commit;  // of the leader
  Index floor;   // compaction floor; 0: none
  std::vector<Entry> entries;
};

// What a follower tells about its log with every reply.
struct FollowerReport {
  Index match;        // equal to the leader's log and durable; an acknowledgement
  Index received;     // equal to the leader's log, durable or not
  Index commit;       // what it knows to be committed
  Index folded;       // what it has folded durably
  bool full = false;  // no room for Data
};

struct AppendReply {
  bool rejected = false;
  FollowerReport report;
  // Of a rejection: what did not match, and the largest index below it that may, with its term.
  Index rejected_prev;
  Index hint_index;
  Term hint_term;
};

struct Heartbeat {
  Index commit;  // at most what the receiver is known to hold
  Index floor;
  // Whether the sender still gets entries through: a heartbeat alone must not keep a leader whose
  // entries vanish (DESIGN section 5, heartbeat).
  bool vouches = true;
};
struct HeartbeatReply {
  FollowerReport report;
};

// Where a log that is installed as files ends and what must be known of it; all of it is committed.
struct InstallPoint {
  LogStart start;
  LogEnd end;
  ConfigurationAt configuration;
  std::vector<EpochStart> epochs;  // of the entries before `end.last_index` + 1; ascending
  Index consistent_from;           // nothing is shown to readers before this is applied
  bool operator==(const InstallPoint&) const = default;
};
// Offers the log up to `point`; the files travel beside it.
struct InstallRequest {
  InstallPoint point;
};
struct InstallReply {
  FollowerReport report;
};

// Whether the receiver still follows; answers to `context` and earlier ones.
struct ReadProbe {
  uint64_t context = 0;
};
struct ReadProbeReply {
  uint64_t context = 0;
};

// The leader hands over: the receiver campaigns at once.
struct TimeoutNow {};

using MessageBody =
    std::variant<VoteRequest, VoteReply, AppendRequest, AppendReply, Heartbeat, HeartbeatReply,
                 InstallRequest, InstallReply, ReadProbe, ReadProbeReply, TimeoutNow>;

struct Message {
  GroupId group;
  ReplicaId from;
  ReplicaId to;
  Term term;
  MessageBody body;
};

enum class MessageType : uint8_t {
  kPreVote,
  kPreVoteReply,
  kVote,
  kVoteReply,
  kAppend,
  kAppendReply,
  kHeartbeat,
  kHeartbeatReply,
  kInstall,
  kInstallReply,
  kReadProbe,
  kReadProbeReply,
  kTimeoutNow,
};
inline constexpr size_t kMessageTypes = 13;

[[nodiscard]] MessageType TypeOf(const Message& message);
// "pre_vote", "append_reply"
[[nodiscard]] std::string_view NameOf(MessageType type);
// Only a leader sends these.
[[nodiscard]] bool IsFromLeader(MessageType type);
// Bulk lane of a peer link: entries and offers; all else must not wait behind them.
[[nodiscard]] bool IsBulk(MessageType type);

}  // namespace varve::raft

#endif  // VARVE_RAFT_CORE_MESSAGE_H_
