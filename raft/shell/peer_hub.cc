// PeerHub: packets out and in, and the heartbeat of each pair of nodes.
#include "raft/shell/peer_hub.h"

#include <algorithm>
#include <utility>

#include "raft/shell/shell_defect.h"

namespace varve::raft {

PeerHub::PeerHub(PeerHubOptions options, Transport& transport, GroupRouter& router,
                 PeerHubListener& listener, Executor& home, const Clock& clock,
                 std::vector<Executor*> shards)
    : options_(options),
      transport_(transport),
      router_(router),
      listener_(listener),
      home_(home),
      clock_(clock),
      shards_(std::move(shards)),
      watches_(shards_.size()),
      self_(std::make_shared<PeerHub*>(this)) {}

PeerHub::~PeerHub() {
  if (!stopped_) *self_ = nullptr;
}

void PeerHub::Post(Task task) {
  home_.Post([self = self_, task = std::move(task)]() mutable {
    if (*self != nullptr) task();
  });
}

void PeerHub::Start() {
  transport_.SetListener(this);
  Post([this] { Beat(); });
}

void PeerHub::Stop(Task done) {
  transport_.SetListener(nullptr);
  home_.Post([self = self_, done = std::move(done)]() mutable {
    if (PeerHub* hub = std::exchange(*self, nullptr)) {
      hub->home_.Cancel(hub->timer_);
      hub->stopped_ = true;
    }
    done();
  });
}

void PeerHub::SetPeers(std::map<NodeId, std::string> addresses) {
  Post([this, addresses = std::move(addresses)]() mutable {
    addresses.erase(options_.self);
    for (auto at = peers_.begin(); at != peers_.end();) {
      if (addresses.contains(at->first)) {
        ++at;
        continue;
      }
      SetLive(at->first, at->second, false);
      TellChanges(at->first, at->second.view.Clear());
      at = peers_.erase(at);
    }
    for (const auto& [node, address] : addresses) peers_.try_emplace(node);
    transport_.SetPeers(addresses);
  });
}

// --- Out
// ------------------------------------------------------------------------------------------

void PeerHub::Send(std::vector<Message> messages) {
  Post([this, messages = std::move(messages)]() mutable {
    for (Message& message : messages) Enqueue(std::move(message));
    FlushAll();
  });
}

// A lane that is down takes nothing: what waits for it would be stale when it is up again.
void PeerHub::Enqueue(Message message) {
  const auto at = peers_.find(message.to.node);
  const Lane lane = IsBulk(TypeOf(message)) ? Lane::kBulk : Lane::kControl;
  if (at == peers_.end() || at->second.lost) return void(++stats_.messages_dropped);
  LaneState& state = at->second.lanes[static_cast<size_t>(lane)];
  const size_t bytes = EntryBytes(message);
  const bool full =
      state.waiting.size() >= options_.max_waiting_messages ||
      (!state.waiting.empty() && state.waiting_bytes + bytes > options_.max_waiting_bytes);
  if (full || !state.up) return void(++stats_.messages_dropped);
  state.waiting_bytes += bytes;
  state.waiting.push_back(std::move(message));
}

// Who asks for a piece that is dropped asks again after a while.
void PeerHub::SendPiece(PieceMessage piece) {
  Post([this, piece = std::move(piece)]() mutable {
    const NodeId node = ReceiverOf(piece);
    const auto at = peers_.find(node);
    if (at == peers_.end()) return;
    LaneState& state = at->second.lanes[static_cast<size_t>(Lane::kBulk)];
    if (!state.up || state.pieces.size() >= options_.max_waiting_pieces)
      return void(++stats_.messages_dropped);
    state.pieces.push_back(std::move(piece));
    Flush(node, at->second, Lane::kBulk);
  });
}

void PeerHub::FlushAll() {
  for (auto& [node, peer] : peers_) {
    Flush(node, peer, Lane::kControl);
    Flush(node, peer, Lane::kBulk);
  }
}

// One packet of what waits, if the lane takes one; the next goes when it was taken.
void PeerHub::Flush(NodeId node, Peer& peer, Lane lane) {
  LaneState& state = peer.lanes[static_cast<size_t>(lane)];
  const bool beat = lane == Lane::kControl && peer.heartbeat_due;
  if (!state.ready || (state.waiting.empty() && state.pieces.empty() && !beat)) return;
  Packet packet{options_.self, node, std::nullopt, {}, {}};
  if (beat) {
    peer.heartbeat_due = false;
    packet.heartbeat = MakeHeartbeat(node, peer);
    ++stats_.heartbeats_out;
  }
  state.in_flight.clear();
  // Packets of messages and pieces in turn, so that neither keeps the other out.
  const bool piece = !state.pieces.empty() && (state.waiting.empty() || !state.piece_went_last);
  state.piece_went_last = piece;
  if (piece) {
    packet.pieces.push_back(std::move(state.pieces.front()));
    state.pieces.pop_front();
  }
  size_t bytes = 0;
  while (!piece && !state.waiting.empty() && bytes < kPacketBytes &&
         packet.messages.size() < kMaxPacketMessages) {
    const size_t more = EntryBytes(state.waiting.front());
    if (bytes > 0 && bytes + more > kPacketBytes) break;
    bytes += more;
    if (more > 0) state.in_flight.push_back(state.waiting.front().group);
    packet.messages.push_back(std::move(state.waiting.front()));
    state.waiting.pop_front();
  }
  state.waiting_bytes -= bytes;
  state.ready = false;
  state.sent_at = clock_.Now();
  stats_.messages_out += packet.messages.size();
  ++stats_.packets_out;
  OutgoingPacket out = EncodePacket(packet);
  stats_.bytes_out += out.bytes();
  transport_.Send(node, lane, std::move(out));
}

NodeHeartbeat PeerHub::MakeHeartbeat(NodeId node, const Peer& peer) {
  NodeHeartbeat heartbeat;
  heartbeat.newest = {options_.process_epoch, table_.newest()};
  table_.WriteChanges(peer.acked, &heartbeat);
  heartbeat.known = peer.view.known();
  heartbeat.note = listener_.NoteFor(node);
  heartbeat.clock = clock_.Wall();
  heartbeat.recovery_number = options_.recovery_number;
  return heartbeat;
}

void PeerHub::OnReady(NodeId to, Lane lane) {
  Post([this, to, lane] {
    const auto at = peers_.find(to);
    if (at == peers_.end()) return;
    LaneState& state = at->second.lanes[static_cast<size_t>(lane)];
    const bool was_up = std::exchange(
        state.up, !Planted(ShellDefect::kLaneTakesOnePacket) || state.sent_at == MonoTime{});
    state.ready = true;
    at->second.lost = false;
    // Entries that took long were taken all the same: their leader is not to give up on them.
    if (was_up && clock_.Now() - state.sent_at >= options_.heartbeat_interval) {
      std::vector<PeerNews> news;
      for (const GroupId group : state.in_flight)
        news.push_back({PeerNews::Kind::kTookBytes, group, to, Term{}});
      if (!news.empty()) router_.Tell(std::move(news));
    }
    state.in_flight.clear();
    Flush(to, at->second, lane);
  });
}

void PeerHub::OnDown(NodeId to, Lane lane, bool refused) {
  Post([this, to, lane, refused] {
    const auto at = peers_.find(to);
    if (at == peers_.end()) return;
    // What waits is dropped with the connection: its groups send again what is still of use.
    at->second.lanes[static_cast<size_t>(lane)] = {};
    if (refused && !std::exchange(at->second.lost, true)) OnProcessGone(to, at->second);
  });
}

// --- In
// -------------------------------------------------------------------------------------------

// On a thread of the transport: checksums are verified here, away from the shards.
void PeerHub::OnPacket(NodeId from, Lane /*lane*/, SharedBytes bytes) {
  packets_in_.fetch_add(1, std::memory_order_relaxed);
  bytes_in_.fetch_add(bytes.size(), std::memory_order_relaxed);
  auto packet = DecodePacket(bytes);
  if (!packet.ok() || packet->from != from || packet->to != options_.self) {
    packets_refused_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  if (packet->heartbeat) {
    Post([this, from, heartbeat = *std::move(packet->heartbeat)] { OnHeartbeat(from, heartbeat); });
  }
  if (!packet->messages.empty()) router_.Deliver(std::move(packet->messages));
  if (!packet->pieces.empty()) router_.DeliverPieces(std::move(packet->pieces));
}

void PeerHub::Describe(absl::AnyInvocable<void(std::vector<PeerState>, PeerHubStats)> use) {
  Post([this, use = std::move(use)]() mutable {
    std::vector<PeerState> states;
    states.reserve(peers_.size());
    for (const auto& [node, peer] : peers_) {
      const auto& [control, bulk] = peer.lanes;
      states.push_back({node,
                        peer.live,
                        peer.last_heard,
                        peer.view.known().process_epoch,
                        peer.clock_ahead_ms,
                        {control.up, bulk.up},
                        bulk.waiting_bytes});
    }
    PeerHubStats stats = stats_;
    stats.packets_in = packets_in_.load(std::memory_order_relaxed);
    stats.bytes_in = bytes_in_.load(std::memory_order_relaxed);
    stats.packets_refused = packets_refused_.load(std::memory_order_relaxed);
    use(std::move(states), stats);
  });
}

}  // namespace varve::raft
