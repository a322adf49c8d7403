// What a Raft group asks of its node, and hears from it, about the nodes of its other replicas.
#ifndef VARVE_RAFT_SHELL_GROUP_PEERS_H_
#define VARVE_RAFT_SHELL_GROUP_PEERS_H_

#include <optional>
#include <vector>

#include "raft/core/message.h"
#include "raft/shell/packet.h"

namespace varve::raft {

// A leadership of this node, as it is told to the others.
struct Leadership {
  Term term;
  // Nodes of the other replicas: they must all know of the quietness before the group may fall
  // silent.
  std::vector<NodeId> followers;
  bool quiet = false;
  bool operator==(const Leadership&) const = default;
};

// The node's side. Thread-safe; nothing blocks, nothing calls back from within.
class GroupPeers {
 public:
  virtual ~GroupPeers() = default;
  // Each may be lost, doubled or late.
  virtual void Send(std::vector<Message> messages) = 0;
  // On the bulk lane, behind messages that wait.
  virtual void SendPiece(PieceMessage piece) = 0;
  // This node leads the group, or (nullopt) does not any more. With `quiet` the node's heartbeats
  // are to vouch for the group.
  virtual void SetLeadership(GroupId group, std::optional<Leadership> leadership) = 0;
  // The group is new here: it is told again who vouches for it, if anybody does.
  virtual void Ask(GroupId group) = 0;
};

// News for a group of this node.
struct PeerNews {
  enum class Kind : uint8_t {
    kVouched,    // `node` leads the group in `term`, and its heartbeats say so from now on
    kUnvouched,  // not any more: time counts again
    kAllKnow,    // of a leader: every follower's node was told that the group is quiet in `term`
    kSilent,     // of a leader: the node of a follower does not answer, or was started anew
    kLost,       // the process of `node` is gone
    kTookBytes,  // `node` took bytes of entries that were under way for long
  };
  Kind kind = Kind::kUnvouched;
  GroupId group;
  NodeId node;
  Term term;
};

// The way to the groups of this node. Thread-safe; posts to the shards of the groups.
class GroupRouter {
 public:
  virtual ~GroupRouter() = default;
  // Messages of one packet; those to groups that are not here are dropped.
  virtual void Deliver(std::vector<Message> messages) = 0;
  virtual void DeliverPieces(std::vector<PieceMessage> pieces) = 0;
  virtual void Tell(std::vector<PeerNews> news) = 0;
  // The process of `node` is gone: kLost for every group here, whoever led it.
  virtual void TellLost(NodeId node) = 0;
};

}  // namespace varve::raft

#endif  // VARVE_RAFT_SHELL_GROUP_PEERS_H_
