// Packets: what is encoded is read back, and nothing else is believed.
#include "raft/shell/packet.h"

#include <gtest/gtest.h>

#include "common/error.h"
#include "common/random.h"
#include "common/record_batch_builder.h"

namespace varve::raft {
namespace {

constexpr NodeId kFrom{3}, kTo{7};

Entry SomeEntry(GroupId group, Index index, Random& random) {
  EntryHeader header;
  header.group = group;
  header.first_index = header.last_index = index;
  header.term = Term{4};
  header.append_time = WallTime{1'700'000'000'000};
  if (random.Below(2) == 0) {
    header.kind = EntryKind::kBarrier;
    header.base_offset = Offset{10};
    header.last_offset = Offset{9};
    return FrameBuffer::Copy("").Seal(header);
  }
  RecordBatchBuilder builder;
  EXPECT_TRUE(builder.Add(WallTime{5}, "key", std::string(random.Below(300), 'v')).ok());
  header.base_offset = header.last_offset = Offset{10};
  return FrameBuffer::Copy(*builder.Build()).Seal(header);
}

FollowerReport SomeReport(Random& random) {
  return {Index{random.Below(100)}, Index{random.Below(100)}, Index{random.Below(100)},
          Index{random.Below(100)}, random.Below(2) == 0};
}

InstallPoint SomePoint(Random& random) {
  InstallPoint point;
  point.start = {Index{random.Below(50) + 1}, Offset{3}, Term{2}};
  point.end = {Index{200}, Term{5}, Offset{190}, WallTime{77}};
  point.configuration.index = Index{12};
  point.configuration.configuration.voters = {{NodeId{1}, ReplicaEpoch{1}},
                                              {NodeId{3}, ReplicaEpoch{2}}};
  point.epochs = {{Term{1}, Index{1}, Offset{0}}, {Term{5}, Index{90}, Offset{80}}};
  point.consistent_from = Index{random.Below(50)};
  return point;
}

MessageBody SomeBody(size_t which, GroupId group, Random& random) {
  const auto flag = [&] { return random.Below(2) == 0; };
  switch (which) {
    case 0:
      return VoteRequest{flag(), flag(), Index{9}, Term{3}};
    case 1:
      return VoteReply{flag(), flag(), Term{8}};
    case 2: {
      AppendRequest append{Index{5}, Term{2}, Index{4}, Index{1}, {}};
      for (uint64_t n = random.Below(4); n > 0; --n)
        append.entries.push_back(SomeEntry(group, Index{9 - n}, random));
      return append;
    }
    case 3:
      return AppendReply{flag(), SomeReport(random), Index{3}, Index{2}, Term{1}};
    case 4:
      return Heartbeat{Index{5}, Index{2}, flag()};
    case 5:
      return HeartbeatReply{SomeReport(random)};
    case 6:
      return InstallRequest{SomePoint(random)};
    case 7:
      return InstallReply{SomeReport(random)};
    case 8:
      return ReadProbe{random.Below(1000)};
    case 9:
      return ReadProbeReply{random.Below(1000)};
    default:
      return TimeoutNow{};
  }
}

Packet SomePacket(Random& random) {
  Packet packet{kFrom, kTo, std::nullopt, {}, {}};
  if (random.Below(2) == 0) {
    NodeHeartbeat& heartbeat = packet.heartbeat.emplace();
    heartbeat.newest = {7, 30};
    heartbeat.base = random.Below(20);
    heartbeat.through = 20 + random.Below(10);
    heartbeat.known = {9, 4};
    heartbeat.note = std::string(random.Below(50), 'n');
    heartbeat.clock = WallTime{1'700'000'000'123};
    heartbeat.recovery_number = 2;
    for (uint64_t i = random.Below(5); i > 0; --i)
      heartbeat.led.push_back({GroupId{100 - i}, Term{i}, i % 2 == 0});
    for (uint64_t i = random.Below(5); i > 0; --i) heartbeat.not_led.push_back(GroupId{200 - i});
  }
  for (uint64_t n = random.Below(12); n > 0; --n) {
    const GroupId group{random.Below(3) + 65'536};
    packet.messages.push_back({group,
                               {kFrom, ReplicaEpoch{1}},
                               {kTo, ReplicaEpoch{2}},
                               Term{random.Below(9)},
                               SomeBody(random.Below(11), group, random)});
  }
  for (uint64_t n = random.Below(4); n > 0; --n) {
    const GroupId group{random.Below(3) + 65'536};
    const ReplicaId from{kFrom, ReplicaEpoch{1}}, to{kTo, ReplicaEpoch{4}};
    if (random.Below(2) == 0) {
      packet.pieces.emplace_back(PieceRequest{group, from, to, 7, Index{n}, Index{90}, 1000});
      continue;
    }
    Piece piece{group, from, to, 8, Index{n}, {}};
    for (uint64_t e = random.Below(3); e > 0; --e)
      piece.entries.push_back(SomeEntry(group, Index{9 - e}, random));
    packet.pieces.emplace_back(std::move(piece));
  }
  return packet;
}

std::string BytesOf(const OutgoingPacket& packet) {
  std::string out = packet.head;
  for (const SharedBytes& part : packet.parts) out.append(part.view());
  return out;
}

TEST(PacketTest, IsReadBackAsItWasWritten) {
  constexpr uint64_t kSeed = 5;
  const auto random = SeededRandom(kSeed);
  for (int i = 0; i < 2'000; ++i) {
    SCOPED_TRACE(testing::Message() << "seed " << kSeed << " packet " << i);
    const Packet packet = SomePacket(*random);
    const std::string bytes = BytesOf(EncodePacket(packet));
    const auto read = DecodePacket(SharedBytes::Copy(bytes));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->from, kFrom);
    EXPECT_EQ(read->to, kTo);
    EXPECT_EQ(read->heartbeat, packet.heartbeat);
    ASSERT_EQ(read->messages.size(), packet.messages.size());
    for (size_t m = 0; m < packet.messages.size(); ++m) {
      EXPECT_EQ(TypeOf(read->messages[m]), TypeOf(packet.messages[m]));
      EXPECT_EQ(EntryBytes(read->messages[m]), EntryBytes(packet.messages[m]));
    }
    ASSERT_EQ(read->pieces.size(), packet.pieces.size());
    // Everything that was written is in what was read.
    EXPECT_EQ(BytesOf(EncodePacket(*read)), bytes);
  }
}

TEST(PacketTest, SharesTheFramesOfItsEntries) {
  const auto random = SeededRandom(1);
  AppendRequest append;
  append.entries.push_back(SomeEntry(GroupId{9}, Index{1}, *random));
  const char* frame = append.entries[0].frame.view().data();
  Packet packet{kFrom, kTo, std::nullopt, {}, {}};
  packet.messages.push_back(
      {GroupId{9}, {kFrom, ReplicaEpoch{1}}, {kTo, ReplicaEpoch{1}}, Term{4}, std::move(append)});
  const OutgoingPacket out = EncodePacket(packet);
  ASSERT_EQ(out.parts.size(), 1u);
  EXPECT_EQ(out.parts[0].view().data(), frame);
  const SharedBytes bytes = SharedBytes::Take(BytesOf(out));
  const auto read = DecodePacket(bytes);
  ASSERT_TRUE(read.ok()) << read.status();
  const auto& entry = std::get<AppendRequest>(read->messages[0].body).entries[0];
  EXPECT_EQ(entry.frame.view().data(), bytes.view().data() + out.head.size());
}

TEST(PacketTest, CutOrChangedAnywhereIsRefused) {
  constexpr uint64_t kSeed = 11;
  const auto random = SeededRandom(kSeed);
  for (int i = 0; i < 20; ++i) {
    SCOPED_TRACE(testing::Message() << "seed " << kSeed << " packet " << i);
    const std::string bytes = BytesOf(EncodePacket(SomePacket(*random)));
    for (size_t at = 0; at < bytes.size(); ++at) {
      EXPECT_FALSE(DecodePacket(SharedBytes::Copy(bytes.substr(0, at))).ok()) << at;
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ (1 << random->Below(8)));
      const auto read = DecodePacket(SharedBytes::Copy(changed));
      EXPECT_FALSE(read.ok()) << at;
      EXPECT_EQ(ReasonOf(read.status()), Reason::DATA_LOSS);
    }
    EXPECT_FALSE(DecodePacket(SharedBytes::Copy(bytes + '\0')).ok());
  }
}

TEST(PacketTest, AnEntryOfAnotherGroupIsRefused) {
  const auto random = SeededRandom(1);
  AppendRequest append;
  append.entries.push_back(SomeEntry(GroupId{9}, Index{1}, *random));
  Packet packet{kFrom, kTo, std::nullopt, {}, {}};
  packet.messages.push_back(
      {GroupId{8}, {kFrom, ReplicaEpoch{1}}, {kTo, ReplicaEpoch{1}}, Term{4}, std::move(append)});
  const auto read = DecodePacket(SharedBytes::Take(BytesOf(EncodePacket(packet))));
  ASSERT_FALSE(read.ok());
  EXPECT_NE(read.status().message().find("group 9"), absl::string_view::npos) << read.status();
}

}  // namespace
}  // namespace varve::raft
