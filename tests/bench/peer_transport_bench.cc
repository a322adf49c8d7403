// Packets between two brokers over loopback: bytes and CPU seconds, both ends in this process.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>

#include "common/executor.h"
#include "server/rpc/peer_door.h"
#include "server/rpc/peer_transport.h"

namespace varve::server {
namespace {

double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Sends a packet whenever it may, until `left` is used up; counts what arrives.
class Pump final : public raft::TransportListener {
 public:
  void OnPacket(NodeId /*from*/, raft::Lane lane, SharedBytes /*bytes*/) override {
    if (lane != raft::Lane::kBulk) return;
    std::lock_guard lock(mutex_);
    ++received_;
    changed_.notify_all();
  }
  void OnReady(NodeId /*to*/, raft::Lane lane) override {
    if (lane != raft::Lane::kBulk) return;
    std::unique_lock lock(mutex_);
    ready_ = true;
    changed_.notify_all();
    SendIfAny(lock);
  }
  void OnDown(NodeId /*to*/, raft::Lane /*lane*/, bool /*refused*/) override {}

  void WaitUntilReady() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ready_; });
  }
  void Start(raft::Transport& transport, NodeId to, raft::OutgoingPacket packet, uint64_t count) {
    std::unique_lock lock(mutex_);
    transport_ = &transport;
    to_ = to;
    packet_ = std::move(packet);
    left_ = count;
    SendIfAny(lock);
  }
  void WaitUntilReceived(uint64_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return received_ >= count; });
    received_ -= count;
  }

 private:
  void SendIfAny(std::unique_lock<std::mutex>& lock) {
    if (!ready_ || left_ == 0) return;
    ready_ = false;
    --left_;
    raft::OutgoingPacket packet = packet_;
    lock.unlock();
    transport_->Send(to_, raft::Lane::kBulk, std::move(packet));
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  raft::Transport* transport_ = nullptr;
  NodeId to_;
  raft::OutgoingPacket packet_;
  bool ready_ = false;
  uint64_t left_ = 0;
  uint64_t received_ = 0;
};

struct Node {
  explicit Node(uint32_t node) : loop(ThreadExecutor("links")) {
    PeerTransportOptions options;
    options.cluster.bytes.fill(1);
    options.node = NodeId(node);
    transport = std::make_unique<PeerTransport>(std::move(options), RealClock(), *loop);
    transport->SetListener(&pump);
    auto opened = PeerDoor::Start({.address = "127.0.0.1:0"});
    if (!opened.ok()) std::abort();
    door = std::move(*opened);
    door->SetInbound(transport->inbound());
  }
  [[nodiscard]] std::string address() const { return StrCat("127.0.0.1:", door->port()); }

  Pump pump;
  std::unique_ptr<Executor> loop;
  std::unique_ptr<PeerTransport> transport;
  std::unique_ptr<PeerDoor> door;
};

// range(0): bytes of a packet; range(1): of one part, as an entry would be.
void Packets(benchmark::State& state) {
  Node one(1), two(2);
  one.transport->SetPeers({{NodeId(2), two.address()}});
  two.transport->SetPeers({{NodeId(1), one.address()}});
  one.pump.WaitUntilReady();
  const auto bytes = static_cast<size_t>(state.range(0));
  const auto part = static_cast<size_t>(state.range(1));
  raft::OutgoingPacket packet;
  packet.head.assign(64, 'h');
  const SharedBytes entry = SharedBytes::Take(std::string(part, 'x'));
  packet.parts.assign(bytes / part, entry);
  const uint64_t batch = std::max<uint64_t>(1, (64u << 20) / bytes);
  const double before = CpuSeconds();
  for (auto _ : state) {
    one.pump.Start(*one.transport, NodeId(2), packet, batch);
    two.pump.WaitUntilReceived(batch);
  }
  const double gigabytes = static_cast<double>(state.iterations() * batch * bytes) / 1e9;
  state.SetBytesProcessed(
      static_cast<int64_t>(static_cast<uint64_t>(state.iterations()) * batch * bytes));
  state.counters["cpu_s_per_GB"] = (CpuSeconds() - before) / gigabytes;
}
BENCHMARK(Packets)
    ->ArgNames({"packet", "part"})
    ->Args({256 << 10, 128 << 10})
    ->Args({256 << 10, 16 << 10})
    ->Args({256 << 10, 1 << 10})
    ->Args({8 << 20, 8 << 20})
    ->UseRealTime()
    ->MinTime(2);

// One packet there and one back: what a vote or an acknowledgement waits for.
void RoundTrip(benchmark::State& state) {
  Node one(1), two(2);
  one.transport->SetPeers({{NodeId(2), two.address()}});
  two.transport->SetPeers({{NodeId(1), one.address()}});
  one.pump.WaitUntilReady();
  two.pump.WaitUntilReady();
  raft::OutgoingPacket packet;
  packet.head.assign(100, 'h');
  for (auto _ : state) {
    one.pump.Start(*one.transport, NodeId(2), packet, 1);
    two.pump.WaitUntilReceived(1);
    two.pump.Start(*two.transport, NodeId(1), packet, 1);
    one.pump.WaitUntilReceived(1);
  }
}
BENCHMARK(RoundTrip)->UseRealTime();

}  // namespace
}  // namespace varve::server
