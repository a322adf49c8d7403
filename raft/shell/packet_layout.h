// Codes and sizes of packets that both directions need. docs/peer_protocol.md, "Packets".
#ifndef VARVE_RAFT_SHELL_PACKET_LAYOUT_H_
#define VARVE_RAFT_SHELL_PACKET_LAYOUT_H_

#include <cstdint>

#include "common/bytes.h"
#include "raft/shell/packet.h"

namespace varve::raft::wire {

inline constexpr uint32_t kMagic = 0x544B5056;  // "VPKT"
inline constexpr uint16_t kVersion = 1;
inline constexpr size_t kHeadBytes = 24;
// Smallest bytes of one message, of a led group and of a group that is not led any more.
inline constexpr size_t kMessageHeadBytes = 25;
inline constexpr size_t kLedGroupBytes = 17;
inline constexpr size_t kEpochBytes = 24;

// On the wire for ever; the enum's own numbers are free to change.
[[nodiscard]] constexpr uint8_t CodeOf(MessageType type) {
  switch (type) {
    case MessageType::kPreVote:
      return 1;
    case MessageType::kPreVoteReply:
      return 2;
    case MessageType::kVote:
      return 3;
    case MessageType::kVoteReply:
      return 4;
    case MessageType::kAppend:
      return 5;
    case MessageType::kAppendReply:
      return 6;
    case MessageType::kHeartbeat:
      return 7;
    case MessageType::kHeartbeatReply:
      return 8;
    case MessageType::kInstall:
      return 9;
    case MessageType::kInstallReply:
      return 10;
    case MessageType::kReadProbe:
      return 11;
    case MessageType::kReadProbeReply:
      return 12;
    case MessageType::kTimeoutNow:
      return 13;
  }
  return 0;
}

template <class Piece>
inline constexpr uint8_t kPieceCode = 0;
template <>
inline constexpr uint8_t kPieceCode<PieceRequest> = 1;
template <>
inline constexpr uint8_t kPieceCode<Piece> = 2;
inline constexpr size_t kPieceHeadBytes = 33;

}  // namespace varve::raft::wire

#endif  // VARVE_RAFT_SHELL_PACKET_LAYOUT_H_
