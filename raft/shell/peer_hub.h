// PeerHub: one node's links to the others: packs the messages of all groups, keeps one heartbeat
// for each pair of nodes, and says which nodes live. docs/peer_protocol.md.
#ifndef VARVE_RAFT_SHELL_PEER_HUB_H_
#define VARVE_RAFT_SHELL_PEER_HUB_H_

#include <array>
#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "common/clock.h"
#include "common/executor.h"
#include "raft/shell/group_peers.h"
#include "raft/shell/led_table.h"
#include "raft/transport.h"

namespace varve::raft {

struct PeerHubOptions {
  NodeId self;
  uint64_t process_epoch = 0;
  uint64_t recovery_number = 0;
  Nanos heartbeat_interval = 100 * kMillisecond;
  // Without a heartbeat for so long, a node's groups count time for themselves again.
  Nanos silence = 350 * kMillisecond;
  // A shard that does not run a task for so long is not vouched for.
  Nanos shard_silence = 500 * kMillisecond;
  // Bulk messages that wait for one node; what exceeds it is dropped, and sent again by its group.
  size_t max_waiting_bytes = 64 << 20;
  size_t max_waiting_messages = 100'000;
  // Pieces that wait for one node; each has a MiB or one entry.
  size_t max_waiting_pieces = 32;
};

// What else the node learns of the others. Called on the hub's executor; must not block.
class PeerHubListener {
 public:
  virtual ~PeerHubListener() = default;
  virtual void OnHeartbeat(NodeId from, const NodeHeartbeat& heartbeat) = 0;
  // Who leads what, as that node says.
  virtual void OnLed(NodeId node, const LedView::Changes& changes) = 0;
  virtual void OnLiveness(NodeId node, bool live) = 0;
  // What goes with the next heartbeat to the node, at most kMaxNoteBytes.
  virtual std::string NoteFor(NodeId node) = 0;
};

struct PeerHubStats {
  uint64_t packets_out = 0, bytes_out = 0, messages_out = 0, messages_dropped = 0;
  uint64_t packets_in = 0, bytes_in = 0, packets_refused = 0;
  uint64_t heartbeats_out = 0, heartbeats_in = 0;
};

// A node as the hub sees it.
struct PeerState {
  NodeId node;
  bool live = false;
  std::optional<MonoTime> last_heard;  // never: none
  uint64_t process_epoch = 0;
  int64_t clock_ahead_ms = 0;  // of ours, by its last heartbeat; the way here makes it seem less
  std::array<bool, kLanes> lanes_up{};
  size_t waiting_bytes = 0;  // of entries, for its bulk lane
};

// Thread-safe facade of what runs on its executor `home`. Messages are decoded, and their entries
// verified, on the transport's threads, and go straight to the shards.
class PeerHub final : public GroupPeers, private TransportListener {
 public:
  // All must outlive the hub. `shards` are watched; a group's is the one at its id modulo their
  // number.
  PeerHub(PeerHubOptions options, Transport& transport, GroupRouter& router,
          PeerHubListener& listener, Executor& home, const Clock& clock,
          std::vector<Executor*> shards);
  // After Stop, or where `home` runs nothing any more.
  ~PeerHub() override;

  void Start();
  // No traffic from here on; `done` runs on `home`.
  void Stop(Task done);
  void SetPeers(std::map<NodeId, std::string> addresses);
  void Send(std::vector<Message> messages) override;
  void SendPiece(PieceMessage piece) override;
  void SetLeadership(GroupId group, std::optional<Leadership> leadership) override;
  void Ask(GroupId group) override;
  // `use` runs on `home`.
  void Describe(absl::AnyInvocable<void(std::vector<PeerState>, PeerHubStats)> use);

 private:
  struct LaneState {
    bool up = false;
    bool ready = false;  // takes a packet now
    std::deque<Message> waiting;
    std::deque<PieceMessage> pieces;
    bool piece_went_last = false;
    size_t waiting_bytes = 0;
    MonoTime sent_at;
    std::vector<GroupId> in_flight;  // groups with entries in the packet under way
  };
  struct Peer {
    std::array<LaneState, kLanes> lanes;
    bool heartbeat_due = false;
    bool live = false;
    bool lost = false;  // its process is gone, as far as is known
    std::optional<MonoTime> last_heard;
    LedView view;
    uint64_t acked = 0;  // generation of our table that it knows
    int64_t clock_ahead_ms = 0;
  };
  struct OwnGroup {
    Leadership leadership;
    uint64_t generation = 0;  // of its row in the table
  };

  // Transport's threads.
  void OnPacket(NodeId from, Lane lane, SharedBytes bytes) override;
  void OnReady(NodeId to, Lane lane) override;
  void OnDown(NodeId to, Lane lane, bool refused) override;

  // On `home`.
  void Post(Task task);
  void Enqueue(Message message);
  void Flush(NodeId node, Peer& peer, Lane lane);
  void FlushAll();
  [[nodiscard]] NodeHeartbeat MakeHeartbeat(NodeId node, const Peer& peer);
  void ArmHeartbeat();
  void Beat();
  void OnHeartbeat(NodeId from, const NodeHeartbeat& heartbeat);
  void TellChanges(NodeId node, const LedView::Changes& changes);
  void OnAcknowledged();
  void TellWhoKnows(GroupId group, OwnGroup& own);
  void CheckSilence();
  void SetLive(NodeId node, Peer& peer, bool live);
  // Groups that the node vouched for count for themselves; groups that we lead with it are woken.
  void WakeGroupsOf(NodeId node, const Peer& peer);
  void OnProcessGone(NodeId node, Peer& peer);
  void ForgetProcess(NodeId node, Peer& peer);
  void ApplyLeadership(GroupId group, std::optional<Leadership> leadership);
  void PublishRow(GroupId group, OwnGroup& own);
  void WatchShards();
  void SetShardStalled(size_t shard, bool stalled);
  [[nodiscard]] bool OnStalledShard(GroupId group) const;

  const PeerHubOptions options_;
  Transport& transport_;
  GroupRouter& router_;
  PeerHubListener& listener_;
  Executor& home_;
  const Clock& clock_;
  const std::vector<Executor*> shards_;

  std::map<NodeId, Peer> peers_;
  LedTable table_;
  std::map<GroupId, OwnGroup> led_;
  std::set<GroupId> untold_;  // quiet, and not all know
  struct ShardWatch {
    MonoTime asked;
    bool answered = true;
    bool stalled = false;
  };
  std::vector<ShardWatch> watches_;
  PeerHubStats stats_;  // of what goes out, and heartbeats
  // Of what comes in, on the transport's threads.
  std::atomic<uint64_t> packets_in_{0}, bytes_in_{0}, packets_refused_{0};
  TimerId timer_;
  bool stopped_ = false;
  // Tasks of `home` hold it; null from Stop on, so that what is still posted then reaches nothing.
  std::shared_ptr<PeerHub*> self_;
};

}  // namespace varve::raft

#endif  // VARVE_RAFT_SHELL_PEER_HUB_H_
