// Messages that no replica sends, in any order: the core neither crashes nor forgets what is
// committed.
#include <gtest/gtest.h>

#include <random>

#include "tests/raft/core_cluster.h"
#include "tests/raft/core_harness.h"

namespace varve::raft {
namespace {

class Mischief {
 public:
  explicit Mischief(uint64_t seed) : random_(seed) {}

  Message Draw() {
    Message message;
    message.group = Below(50) == 0 ? GroupId{5} : kGroup;
    message.from = {NodeId{static_cast<uint32_t>(Below(5))},
                    ReplicaEpoch{static_cast<uint32_t>(1 + Below(2))}};
    message.to = {NodeId{static_cast<uint32_t>(1 + Below(3))}, ReplicaEpoch{1}};
    message.term = Below(100) == 0 ? kMaxTerm + Below(2) : Term{Below(7)};
    message.body = Body();
    return message;
  }

 private:
  uint64_t Below(uint64_t n) { return random_() % n; }
  Index AnyIndex() { return Below(60) == 0 ? Index{UINT64_MAX - Below(3)} : Index{Below(14)}; }
  Term AnyTerm() { return Term{Below(7)}; }

  FollowerReport Report() {
    return {AnyIndex(), AnyIndex(), AnyIndex(), AnyIndex(), Below(5) == 0};
  }

  std::vector<Entry> Entries() {
    std::vector<Entry> entries;
    uint64_t index = 1 + Below(12);
    uint64_t term = 1 + Below(6);
    int64_t base = static_cast<int64_t>(Below(10));
    for (uint64_t n = Below(4); n > 0; --n) {
      EntryHeader header;
      header.group = kGroup;
      header.first_index = header.last_index = Index{index};
      header.term = Term{term};
      header.base_offset = Offset{base};
      const bool barrier = Below(3) == 0;
      const bool config = !barrier && Below(4) == 0;
      header.kind =
          barrier ? EntryKind::kBarrier : (config ? EntryKind::kConfig : EntryKind::kData);
      header.last_offset = Offset{barrier || config ? base - 1 : base};
      FrameBuffer payload = barrier ? FrameBuffer(0) : Batch();
      if (config && Below(3) != 0) {
        payload =
            FrameBuffer::Copy(EncodeConfiguration(Voters({ReplicaOf(1), ReplicaOf(2 + Below(3))})));
      }
      entries.push_back(std::move(payload).Seal(header));
      index += Below(8) == 0 ? 2 : 1;
      term += Below(3) == 0 ? 1 : 0;
      base = header.last_offset.value() + (Below(8) == 0 ? 2 : 1);
    }
    return entries;
  }

  InstallPoint Point() {
    InstallPoint point;
    point.start = {AnyIndex(), Offset{static_cast<int64_t>(Below(10))}, AnyTerm()};
    point.end = {AnyIndex(), AnyTerm(), Offset{static_cast<int64_t>(Below(10))}, WallTime{1}};
    point.configuration = {AnyIndex(), Voters({ReplicaOf(1), ReplicaOf(2), ReplicaOf(3)})};
    if (Below(2) == 0) point.epochs = {{AnyTerm(), AnyIndex(), Offset{0}}};
    return point;
  }

  MessageBody Body() {
    switch (Below(11)) {
      case 0:
        return VoteRequest{Below(2) == 0, Below(3) == 0, AnyIndex(), AnyTerm()};
      case 1:
        return VoteReply{Below(2) == 0, Below(2) == 0, AnyTerm()};
      case 2:
      case 3:
        return AppendRequest{AnyIndex(), AnyTerm(), AnyIndex(), Index{Below(3)}, Entries()};
      case 4:
        return AppendReply{Below(2) == 0, Report(), AnyIndex(), AnyIndex(), AnyTerm()};
      case 5:
        return Heartbeat{AnyIndex(), Index{Below(3)}, Below(2) == 0};
      case 6:
        return HeartbeatReply{Report()};
      case 7:
        return InstallRequest{Point()};
      case 8:
        return InstallReply{Report()};
      case 9:
        return Below(2) == 0 ? MessageBody(ReadProbe{Below(9)})
                             : MessageBody(ReadProbeReply{Below(9)});
      default:
        return TimeoutNow{};
    }
  }

  std::mt19937_64 random_;
};

TEST(CoreHostileTest, NothingThatIsSentBreaksAnInvariant) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    Mischief mischief(seed);
    std::mt19937_64 random(seed * 7);
    CoreState state = StateWithEnd({Index{6}, Term{2}, Offset{5}, WallTime{1}}, 2);
    state.configurations.committed = {Index{0}, Voters({kSelf, kPeer, kOther})};
    CoreHarness h(state);
    Index commit = h.core.commit_index();
    SCOPED_TRACE("seed " + std::to_string(seed));
    for (int step = 0; step < 400; ++step) {
      const Effects effects = h.Step(Receive{mischief.Draw()});
      if (effects.stage_install && random() % 2 == 0) {
        h.Step(InstallStaged{effects.stage_install->point});
      }
      for (const LoadEntries& load : effects.loads) h.Step(EntriesLoaded{load.peer, load.from, {}});
      if (random() % 3 == 0 && !h.disk.empty()) h.CompleteOne();
      if (random() % 10 == 0) h.Step(Campaign{});
      if (random() % 10 == 0) h.Step(Tick{1 + random() % 20});
      if (random() % 10 == 0) h.Step(h.Data());
      ASSERT_GE(h.core.commit_index(), commit);
      commit = h.core.commit_index();
      ASSERT_LE(h.core.durable_index(), h.core.end().last_index);
    }
  }
}

}  // namespace
}  // namespace varve::raft
