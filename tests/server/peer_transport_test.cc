// Transport and door between brokers, with real sockets on loopback.
#include "server/rpc/peer_transport.h"

#include <arpa/inet.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/crc32c.h"
#include "common/limits.h"
#include "server/rpc/peer_codec.h"
#include "tests/server/peer_node.h"
#include "tests/server/unhelpful_sockets.h"

namespace varve::server {
namespace {

using raft::Lane;
using raft::OutgoingPacket;
using Seen = RecordingListener::Seen;

constexpr NodeId kOne{1};
constexpr NodeId kTwo{2};

OutgoingPacket PacketOf(std::string head, const std::vector<std::string>& parts = {}) {
  OutgoingPacket packet;
  packet.head = std::move(head);
  packet.parts.reserve(parts.size());
  for (const std::string& part : parts) packet.parts.push_back(SharedBytes::Copy(part));
  return packet;
}

bool IsUp(const Seen& seen) { return !seen.order.empty() && seen.order.back() == 'R'; }

// Sends when it may: one packet for each OnReady.
void SendAll(PeerNode& from, NodeId to, Lane lane, int count,
             const std::function<OutgoingPacket(int)>& make) {
  for (int i = 0; i < count; ++i) {
    ASSERT_TRUE(from.listener.Wait({to, lane}, [&](const Seen& seen) { return seen.ready > i; }));
    from.transport->Send(to, lane, make(i));
  }
}

class PeerTransportTest : public ::testing::Test {
 protected:
  void Connect() {
    one_.transport->SetPeers({{kOne, one_.address()}, {kTwo, two_.address()}});
    two_.transport->SetPeers({{kOne, one_.address()}, {kTwo, two_.address()}});
    for (const Lane lane : {Lane::kControl, Lane::kBulk}) {
      ASSERT_TRUE(one_.listener.Wait({kTwo, lane}, IsUp));
      ASSERT_TRUE(two_.listener.Wait({kOne, lane}, IsUp));
    }
  }
  PeerNode one_{1, ClusterOf(7)};
  PeerNode two_{2, ClusterOf(7)};
};

TEST_F(PeerTransportTest, PacketsArriveWholeAndInOrderOnBothLanes) {
  Connect();
  constexpr int kCount = 300;
  const auto make = [](int i) {
    // Runs of small parts around large ones, so that copied and shared slices alternate.
    return PacketOf(StrCat("head ", i, ";"),
                    {"small;", std::string(5000, static_cast<char>('a' + i % 26)), "", "tail"});
  };
  std::thread control([&] { SendAll(one_, kTwo, Lane::kControl, kCount, make); });
  SendAll(one_, kTwo, Lane::kBulk, kCount, make);
  SendAll(two_, kOne, Lane::kBulk, kCount, make);
  control.join();
  const auto all = [](const Seen& seen) { return seen.packets.size() == kCount; };
  ASSERT_TRUE(two_.listener.Wait({kOne, Lane::kControl}, all));
  ASSERT_TRUE(two_.listener.Wait({kOne, Lane::kBulk}, all));
  ASSERT_TRUE(one_.listener.Wait({kTwo, Lane::kBulk}, all));
  for (const Lane lane : {Lane::kControl, Lane::kBulk}) {
    const Seen seen = two_.listener.Of({kOne, lane});
    for (int i = 0; i < kCount; ++i)
      ASSERT_EQ(seen.packets[static_cast<size_t>(i)].view(),
                StrCat("head ", i, ";small;", std::string(5000, static_cast<char>('a' + i % 26)),
                       "tail"));
    EXPECT_EQ(seen.down, 0);
  }
  EXPECT_EQ(one_.listener.overlaps() + two_.listener.overlaps(), 0);
}

TEST_F(PeerTransportTest, TheLargestPacketPassesAndALargerOneBreaksItsConnection) {
  Connect();
  std::string large(limits::kMaxPeerMessageBytes - 6, '\0');
  for (size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 31 + (i >> 13));
  one_.transport->Send(kTwo, Lane::kBulk, PacketOf("large:", {large}));
  ASSERT_TRUE(two_.listener.Wait({kOne, Lane::kBulk},
                                 [](const Seen& seen) { return seen.packets.size() == 1; }));
  EXPECT_TRUE(two_.listener.Of({kOne, Lane::kBulk}).packets[0].view() == "large:" + large);
  ASSERT_TRUE(
      one_.listener.Wait({kTwo, Lane::kBulk}, [](const Seen& seen) { return seen.ready == 2; }));

  one_.transport->Send(kTwo, Lane::kBulk, PacketOf("larger!", {large}));
  ASSERT_TRUE(one_.listener.Wait({kTwo, Lane::kBulk},
                                 [](const Seen& seen) { return seen.down > 0 && IsUp(seen); }));
  EXPECT_EQ(two_.listener.Of({kOne, Lane::kBulk}).packets.size(), 1u);
  EXPECT_EQ(one_.listener.Of({kTwo, Lane::kControl}).down, 0);
}

TEST_F(PeerTransportTest, ASlowReceiverSlowsItsSenderDown) {
  Connect();
  // The sender's packets cost it nothing, for they share one buffer; the receiver's cost a copy and
  // two checksums. Without flow control all would be sent when the first few had arrived.
  constexpr int kCount = 400;
  const SharedBytes shared = SharedBytes::Take(std::string(1 << 20, 'x'));
  std::atomic<int> sent = 0;
  std::atomic<int> taken = 0;
  std::atomic<int> most_under_way = 0;
  two_.listener.OnEachPacket([&] {
    for (int i = 0; i < 2; ++i) EXPECT_NE(Crc32c(shared.view()), 0u);
    most_under_way = std::max(most_under_way.load(), sent - ++taken);
  });
  const auto send = [&] {
    OutgoingPacket packet;
    packet.parts = {shared};
    ++sent;
    one_.transport->Send(kTwo, Lane::kBulk, std::move(packet));
  };
  one_.listener.OnEachReady([&](RecordingListener::Key key) {
    if (key.second == Lane::kBulk && sent < kCount) send();
  });
  send();
  ASSERT_TRUE(two_.listener.Wait({kOne, Lane::kBulk},
                                 [](const Seen& seen) { return seen.packets.size() == kCount; }));
  EXPECT_LT(most_under_way.load(), 100);
  one_.listener.OnEachReady(nullptr);
  two_.listener.OnEachPacket(nullptr);
}

TEST_F(PeerTransportTest, ALostDoorIsRefusedByItsHostUntilItComesBack) {
  Connect();
  two_.door.reset();
  for (const Lane lane : {Lane::kControl, Lane::kBulk}) {
    ASSERT_TRUE(one_.listener.Wait({kTwo, lane}, [](const Seen& seen) {
      return seen.refused > 1;  // each attempt says so
    }));
    const Seen seen = one_.listener.Of({kTwo, lane});
    EXPECT_EQ(seen.order[1], 'D');
    EXPECT_LT(seen.refused, seen.down) << "the break itself is no refusal";
  }
  // Dropped: nothing is up.
  one_.transport->Send(kTwo, Lane::kBulk, PacketOf("lost"));
  two_.OpenDoor();
  for (const Lane lane : {Lane::kControl, Lane::kBulk})
    ASSERT_TRUE(one_.listener.Wait({kTwo, lane}, IsUp));
  one_.transport->Send(kTwo, Lane::kBulk, PacketOf("after"));
  ASSERT_TRUE(two_.listener.Wait({kOne, Lane::kBulk},
                                 [](const Seen& seen) { return !seen.packets.empty(); }));
  EXPECT_EQ(two_.listener.Of({kOne, Lane::kBulk}).packets[0].view(), "after");
}

TEST_F(PeerTransportTest, AClosedPortRefusesABlackHoleDoesNot) {
  BlackHole hole;
  const std::string closed = two_.address();
  two_.door.reset();
  one_.transport->SetPeers({{kTwo, closed}, {NodeId(3), hole.address()}});
  ASSERT_TRUE(one_.listener.Wait({kTwo, Lane::kControl},
                                 [](const Seen& seen) { return seen.refused > 0; }));
  EXPECT_EQ(one_.listener.Of({kTwo, Lane::kControl}).down,
            one_.listener.Of({kTwo, Lane::kControl}).refused);
  ASSERT_TRUE(one_.listener.Wait({NodeId(3), Lane::kControl},
                                 [](const Seen& seen) { return seen.down > 0; }));
  EXPECT_EQ(one_.listener.Of({NodeId(3), Lane::kControl}).refused, 0);
}

TEST_F(PeerTransportTest, ANewerStreamReplacesTheOlder) {
  Connect();
  {
    PeerNode again(1, ClusterOf(7), 2);
    again.transport->SetPeers({{kTwo, two_.address()}});
    ASSERT_TRUE(again.listener.Wait({kTwo, Lane::kBulk}, IsUp));
    ASSERT_TRUE(
        one_.listener.Wait({kTwo, Lane::kBulk}, [](const Seen& seen) { return seen.down > 0; }));
    // The older process cannot take the place back while the newer one is connected.
    ASSERT_TRUE(one_.WaitForReport(kTwo, Lane::kBulk, Reason::PEER_REFUSED));
    SendAll(again, kTwo, Lane::kBulk, 1, [](int) { return PacketOf("newer"); });
    ASSERT_TRUE(two_.listener.Wait({kOne, Lane::kBulk},
                                   [](const Seen& seen) { return seen.packets.size() == 1; }));
    EXPECT_EQ(again.listener.Of({kTwo, Lane::kBulk}).down, 0);
  }
  ASSERT_TRUE(one_.listener.Wait({kTwo, Lane::kBulk}, IsUp));
}

TEST_F(PeerTransportTest, AForeignClusterIsRefused) {
  PeerNode foreign(1, ClusterOf(9));
  two_.transport->SetPeers({{kOne, one_.address()}});
  foreign.transport->SetPeers({{kTwo, two_.address()}});
  ASSERT_TRUE(foreign.WaitForReport(kTwo, Lane::kControl, Reason::FOREIGN_CLUSTER));
  ASSERT_TRUE(foreign.WaitForReport(kTwo, Lane::kBulk, Reason::FOREIGN_CLUSTER));
  const Seen seen = foreign.listener.Of({kTwo, Lane::kControl});
  EXPECT_EQ(seen.ready + seen.refused, 0);
}

TEST_F(PeerTransportTest, AnUnknownNodeIsTakenOnceItIsKnown) {
  one_.transport->SetPeers({{kTwo, two_.address()}});
  ASSERT_TRUE(one_.WaitForReport(kTwo, Lane::kBulk, Reason::PEER_REFUSED));
  EXPECT_TRUE(InfoOf(Reason::PEER_REFUSED).retryable);
  EXPECT_EQ(one_.listener.Of({kTwo, Lane::kBulk}).ready, 0);
  two_.transport->SetPeers({{kOne, one_.address()}});
  ASSERT_TRUE(one_.listener.Wait({kTwo, Lane::kBulk}, IsUp));
  // And thrown out when it no longer is.
  two_.transport->SetPeers({});
  ASSERT_TRUE(one_.listener.Wait({kTwo, Lane::kBulk},
                                 [](const Seen& seen) { return seen.down > 1 && !IsUp(seen); }));
}

TEST_F(PeerTransportTest, AnAddressThatLeadsToAnotherNodeIsRefused) {
  two_.transport->SetPeers({{kOne, one_.address()}});
  one_.transport->SetPeers({{NodeId(3), two_.address()}});
  ASSERT_TRUE(one_.WaitForReport(NodeId(3), Lane::kControl, Reason::PEER_REFUSED));
  EXPECT_EQ(one_.listener.Of({NodeId(3), Lane::kControl}).ready, 0);
}

TEST_F(PeerTransportTest, AnotherAddressOfAPeerEndsTheConnectionAndMakesOne) {
  Connect();
  PeerNode moved(2, ClusterOf(7), 2);
  moved.transport->SetPeers({{kOne, one_.address()}});
  one_.transport->SetPeers({{kTwo, moved.address()}});
  for (const Lane lane : {Lane::kControl, Lane::kBulk}) {
    ASSERT_TRUE(one_.listener.Wait({kTwo, lane},
                                   [](const Seen& seen) { return seen.ready > 1 && IsUp(seen); }));
    EXPECT_EQ(one_.listener.Of({kTwo, lane}).order[1], 'D') << "the end is told before the new";
  }
  one_.transport->Send(kTwo, Lane::kBulk, PacketOf("moved"));
  ASSERT_TRUE(moved.listener.Wait({kOne, Lane::kBulk},
                                  [](const Seen& seen) { return seen.packets.size() == 1; }));
  EXPECT_TRUE(two_.listener.Of({kOne, Lane::kBulk}).packets.empty());
  // The same set again changes nothing.
  const int downs = one_.listener.Of({kTwo, Lane::kBulk}).down;
  one_.transport->SetPeers({{kTwo, moved.address()}});
  SendAll(one_, kTwo, Lane::kControl, 20, [](int) { return PacketOf("beat"); });
  EXPECT_EQ(one_.listener.Of({kTwo, Lane::kBulk}).down, downs);
}

TEST_F(PeerTransportTest, DestructionWithTrafficUnderWay) {
  for (int round = 0; round < 10; ++round) {
    auto node = std::make_unique<PeerNode>(3, ClusterOf(7), static_cast<uint64_t>(round + 1));
    one_.transport->SetPeers({{NodeId(3), node->address()}});
    node->transport->SetPeers({{kOne, one_.address()}});
    const auto flood = [](PeerNode& from) {
      from.listener.OnEachReady([&from](RecordingListener::Key key) {
        from.transport->Send(key.first, key.second, PacketOf(std::string(64 << 10, 'x')));
      });
    };
    flood(*node);
    flood(one_);
    // Whoever was up before the flood was set needs a first push.
    node->transport->Send(kOne, Lane::kBulk, PacketOf("go"));
    one_.transport->Send(NodeId(3), Lane::kBulk, PacketOf("go"));
    const auto some = [](const Seen& seen) { return seen.packets.size() > 3; };
    ASSERT_TRUE(one_.listener.Wait({NodeId(3), Lane::kBulk}, some));
    ASSERT_TRUE(node->listener.Wait({kOne, Lane::kBulk}, some));
    node->transport->SetListener(nullptr);
    const size_t packets = node->listener.Of({kOne, Lane::kBulk}).packets.size();
    one_.listener.OnEachReady(nullptr);
    if (round % 2 == 0) node->door.reset();
    node->transport.reset();
    EXPECT_EQ(node->listener.Of({kOne, Lane::kBulk}).packets.size(), packets)
        << "called after SetListener(nullptr) returned";
    node.reset();
  }
}

TEST(PeerKeepalive, AnIdleConnectionStaysAndAFrozenOneEndsOnBothSides) {
  const PeerKeepalive fast{.time = 200 * kMillisecond, .timeout = 1 * kSecond};
  PeerNode one(1, ClusterOf(7), 1, fast);
  PeerNode two(2, ClusterOf(7), 1, fast);
  Relay relay(two.door->port());
  two.transport->SetPeers({{kOne, one.address()}});
  one.transport->SetPeers({{kTwo, relay.address()}});
  ASSERT_TRUE(one.listener.Wait({kTwo, Lane::kControl}, IsUp));
  ASSERT_TRUE(one.listener.Wait({kTwo, Lane::kBulk}, IsUp));
  // Nobody sends a packet: what passes are pings and their answers, and nobody is punished for
  // them.
  relay.WaitForChunks(30);
  EXPECT_EQ(one.listener.Of({kTwo, Lane::kControl}).down, 0);
  EXPECT_EQ(one.listener.Of({kTwo, Lane::kBulk}).down, 0);

  relay.Freeze();
  for (const Lane lane : {Lane::kControl, Lane::kBulk})
    ASSERT_TRUE(one.listener.Wait({kTwo, lane}, [](const Seen& seen) { return seen.down > 0; }));
  EXPECT_EQ(one.listener.Of({kTwo, Lane::kBulk}).refused, 0);
  // The side that only receives gives up, too.
  relay.WaitForServerCloses(2);
}

// --- What no broker sends
// -----------------------------------------------------------------------

// A stream with metadata and messages of its own making.
struct RawResult {
  absl::Status status;
  bool accepted = false;
};
RawResult RawStream(const std::string& address,
                    const std::vector<std::pair<std::string, std::string>>& metadata,
                    const std::string& message = {}, bool compress = false) {
  auto channel = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  for (const auto& [key, value] : metadata) context.AddMetadata(key, value);
  if (compress) context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  struct Reactor final : grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
    void OnReadDone(bool) override {}
    void OnReadInitialMetadataDone(bool ok) override {
      got = ok && ReadAccepted(kTwo, context->GetServerInitialMetadata());
    }
    void OnDone(const grpc::Status& status) override { done.set_value(status); }
    grpc::ClientContext* context = nullptr;
    bool got = false;
    std::promise<grpc::Status> done;
  } reactor;
  reactor.context = &context;
  grpc::ByteBuffer read;
  const grpc::Slice slice(message);
  const grpc::ByteBuffer write(&slice, 1);
  stub.PrepareBidiStreamingCall(&context, kPacketsMethod, {}, &reactor);
  reactor.StartRead(&read);
  if (!message.empty()) reactor.StartWrite(&write);
  reactor.StartCall();
  const grpc::Status status = reactor.done.get_future().get();
  return {FromPeerGrpcStatus(status), reactor.got};
}

std::vector<std::pair<std::string, std::string>> Handshake(
    const std::string& changed = {}, const std::optional<std::string>& value = std::nullopt) {
  std::vector<std::pair<std::string, std::string>> out;
  for (auto& [key, text] :
       std::map<std::string, std::string>{{"varve-peer-version", "1"},
                                          {"varve-cluster", ClusterOf(7).ToString()},
                                          {"varve-from", "1"},
                                          {"varve-to", "2"},
                                          {"varve-process-epoch", "1"},
                                          {"varve-lane", "bulk"}}) {
    if (key != changed)
      out.emplace_back(key, text);
    else if (value)
      out.emplace_back(key, *value);
  }
  return out;
}

TEST_F(PeerTransportTest, GarbageEndsTheStreamWithAnErrorAndNothingElse) {
  Connect();
  const std::string address = two_.address();
  for (const auto& [key, value] : Handshake()) {
    EXPECT_EQ(ReasonOf(RawStream(address, Handshake(key)).status), Reason::INVALID_REQUEST) << key;
    if (key == "varve-peer-version") continue;
    const RawResult result = RawStream(address, Handshake(key, "\x7e nonsense 4294967296"));
    EXPECT_EQ(ReasonOf(result.status), Reason::INVALID_REQUEST) << key;
    EXPECT_NE(MessageOf(result.status).find(key), std::string_view::npos) << result.status;
  }
  auto twice = Handshake();
  twice.emplace_back("varve-from", "1");
  EXPECT_EQ(ReasonOf(RawStream(address, twice).status), Reason::INVALID_REQUEST);
  EXPECT_EQ(ReasonOf(RawStream(address, {}).status), Reason::INVALID_REQUEST);
  auto long_metadata = Handshake();
  long_metadata.emplace_back("x", std::string(2 * limits::kMaxMetadataBytes, 'x'));
  EXPECT_EQ(ReasonOf(RawStream(address, long_metadata).status), Reason::OVERLOADED);
  EXPECT_EQ(ReasonOf(RawStream(address, Handshake("varve-peer-version", "2")).status),
            Reason::UNSUPPORTED_FEATURE);
  EXPECT_EQ(ReasonOf(RawStream(address, Handshake("varve-from", "2")).status),
            Reason::PEER_REFUSED);
  EXPECT_EQ(ReasonOf(RawStream(address, Handshake("varve-process-epoch", "0")).status),
            Reason::PEER_REFUSED);
  // Nothing of that disturbed the real one.
  EXPECT_EQ(one_.listener.Of({kTwo, Lane::kBulk}).down, 0);
  one_.transport->Send(kTwo, Lane::kBulk, PacketOf("still there"));
  ASSERT_TRUE(two_.listener.Wait({kOne, Lane::kBulk},
                                 [](const Seen& seen) { return seen.packets.size() == 1; }));
}

TEST_F(PeerTransportTest, TooLargeAndCompressedMessagesAreRefusedUnread) {
  two_.transport->SetPeers({{kOne, "127.0.0.1:1"}});
  const std::string large(limits::kMaxPeerMessageBytes + 1, 'x');
  const RawResult result = RawStream(two_.address(), Handshake(), large);
  EXPECT_TRUE(result.accepted);
  EXPECT_EQ(ReasonOf(result.status), Reason::OVERLOADED) << result.status;
  const RawResult compressed =
      RawStream(two_.address(), Handshake(), std::string(1 << 20, 'x'), true);
  EXPECT_FALSE(compressed.status.ok());
  EXPECT_EQ(ReasonOf(compressed.status), Reason::UNSUPPORTED_FEATURE) << compressed.status;
  EXPECT_TRUE(two_.listener.Of({kOne, Lane::kBulk}).packets.empty());
}

TEST_F(PeerTransportTest, BytesThatAreNotHttpCloseTheirConnection) {
  Connect();
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(two_.door->port()));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const std::string garbage(100'000, '\x55');
  (void)::send(fd, garbage.data(), garbage.size(), MSG_NOSIGNAL);
  std::array<char, 4096> buffer{};
  while (::recv(fd, buffer.data(), buffer.size(), 0) > 0) {
  }
  ::close(fd);
  one_.transport->Send(kTwo, Lane::kBulk, PacketOf("still there"));
  ASSERT_TRUE(two_.listener.Wait({kOne, Lane::kBulk},
                                 [](const Seen& seen) { return seen.packets.size() == 1; }));
}

}  // namespace
}  // namespace varve::server
