// Packets: what travels between two nodes, and their bytes. docs/peer_protocol.md, "Packets".
#ifndef VARVE_RAFT_SHELL_PACKET_H_
#define VARVE_RAFT_SHELL_PACKET_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "common/limits.h"
#include "raft/core/message.h"
#include "raft/transport.h"

namespace varve::raft {

// A packet ends when its messages have so many bytes of entries, or with the one that passes it.
inline constexpr size_t kPacketBytes = 256 * limits::kKiB;
// Most that a packet may have: one entry of the largest size, and what surrounds it.
inline constexpr size_t kMaxPacketBytes = limits::kMaxEntryPayloadBytes + limits::kMiB;
// Most messages of one packet, and most groups of one heartbeat.
inline constexpr size_t kMaxPacketMessages = 8'192;
inline constexpr size_t kMaxHeartbeatGroups = 8'192;

// A group that the sender leads. `quiet`: it sends no heartbeats of its own; this one vouches.
struct LedGroup {
  GroupId group;
  Term term;
  bool quiet = false;
  bool operator==(const LedGroup&) const = default;
};

// How far one node knows the table of groups that another one leads: the process that keeps it, and
// the number of its newest change that is known.
struct TableVersion {
  uint64_t process_epoch = 0;
  uint64_t generation = 0;
  auto operator<=>(const TableVersion&) const = default;
};

// Most bytes of what the owner of a hub adds to each heartbeat.
inline constexpr size_t kMaxNoteBytes = 1'024;

// One for each pair of nodes and direction, ten times a second, whatever their groups do.
struct NodeHeartbeat {
  // The sender's table: its newest generation, and what changed in (`base`, `through`]. A base of 0
  // begins the table anew.
  TableVersion newest;
  uint64_t base = 0;
  uint64_t through = 0;
  std::vector<LedGroup> led;     // by group
  std::vector<GroupId> not_led;  // not any more; by group
  TableVersion known;            // of the receiver's table
  std::string note;              // of the sender's owner for the receiver's: marks of directories
  WallTime clock;                // the sender's
  uint64_t recovery_number = 0;  // of the cluster
  bool operator==(const NodeHeartbeat&) const = default;
};

// Asks for entries [from, through] of a committed part of a log, for an install or a repair: as
// many as fit `max_bytes`, at least one.
struct PieceRequest {
  GroupId group;
  ReplicaId from_replica;
  ReplicaId to_replica;
  uint64_t token = 0;  // of who asks, echoed
  Index from;
  Index through;
  uint32_t max_bytes = 0;
};
// The answer; without entries when they are not there, or not readable.
struct Piece {
  GroupId group;
  ReplicaId from_replica;
  ReplicaId to_replica;
  uint64_t token = 0;
  Index from;
  std::vector<Entry> entries;
};
using PieceMessage = std::variant<PieceRequest, Piece>;

struct Packet {
  NodeId from;
  NodeId to;
  std::optional<NodeHeartbeat> heartbeat;
  std::vector<Message> messages;  // all from `from` and to `to`
  std::vector<PieceMessage> pieces;
};

// The entries' frames are shared, not copied.
OutgoingPacket EncodePacket(const Packet& packet);

// What EncodePacket wrote, from bytes that may be hostile; entries share `bytes`. Every entry is
// verified with its checksums, and belongs to the group of its message. DATA_LOSS says what is
// wrong.
absl::StatusOr<Packet> DecodePacket(const SharedBytes& bytes);

// Bytes of the entries of a message, which count for kPacketBytes.
[[nodiscard]] size_t EntryBytes(const Message& message);
[[nodiscard]] size_t EntryBytes(const PieceMessage& message);
[[nodiscard]] NodeId ReceiverOf(const PieceMessage& message);

}  // namespace varve::raft

#endif  // VARVE_RAFT_SHELL_PACKET_H_
