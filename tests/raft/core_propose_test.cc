#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/record_batch.h"
#include "tests/raft/core_harness.h"

namespace varve::raft {
namespace {

using ::testing::ElementsAre;
using Log = std::vector<std::string>;

TEST(CoreProposeTest, IsAcceptedThenCommittedWhenDurable) {
  CoreHarness h;
  h.Lead();
  const Effects accepted = h.Step(h.Data(3));
  EXPECT_EQ(h.log, Log{"1: accepted 3"});
  const auto& result = std::get<ProposalAccepted>(accepted.results[0].result);
  EXPECT_EQ(result.term, Term{1});
  EXPECT_EQ(result.base_offset, Offset{0});
  EXPECT_EQ(h.core.high_watermark(), Offset{0});
  const Effects committed = h.CompleteOne();
  EXPECT_EQ(committed.committed, Index{3});
  EXPECT_FALSE(committed.leadership_confirmed) << "said once per leadership";
  EXPECT_EQ(h.log, (Log{"1: accepted 3", "1: committed 3"}));
  EXPECT_EQ(h.core.high_watermark(), Offset{3});
}

TEST(CoreProposeTest, SealsFramesThatVerify) {
  CoreHarness h;
  h.Lead();
  const Effects effects = h.Step(h.Data(3));
  const Entry& entry = effects.disk[0].write.entries[0];
  const auto header = VerifyEntryFrame(entry.frame.view());
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(*header, entry.header);
  EXPECT_EQ(header->last_offset, Offset{2});
  EXPECT_EQ(header->term, h.core.term());
}

TEST(CoreProposeTest, ABurstSharesOneDiskOperation) {
  CoreHarness h;
  h.Lead();
  for (int i = 0; i < 5; ++i) h.core.Step(h.Data(2));
  const Effects effects = h.Take();
  ASSERT_EQ(effects.disk.size(), 1u);
  EXPECT_EQ(effects.disk[0].write.entries.size(), 5u);
  EXPECT_EQ(effects.disk[0].write.commit_index, Index{2});
  h.CompleteOne();
  EXPECT_EQ(h.log.size(), 10u);
  EXPECT_THAT(Log(h.log.begin() + 5, h.log.end()),
              ElementsAre("1: committed 3", "2: committed 4", "3: committed 5", "4: committed 6",
                          "5: committed 7"));
  EXPECT_EQ(h.core.high_watermark(), Offset{10});
}

TEST(CoreProposeTest, SharedOperationsAreBoundedAndALargeEntryTravelsAlone) {
  CoreHarness h(FreshState(), 1 << 20, 1'000);
  h.Lead();
  for (const size_t value_bytes : {200, 200, 200, 5'000, 200}) h.core.Step(h.Data(1, value_bytes));
  std::vector<size_t> entries;
  for (const DiskOperation& operation : h.Take().disk) {
    entries.push_back(operation.write.entries.size());
  }
  EXPECT_THAT(entries, ElementsAre(2, 1, 1, 1));
  h.CompleteAll();
  EXPECT_EQ(h.core.commit_index(), Index{7});
}

TEST(CoreProposeTest, NothingSharesAnOperationThatWasTaken) {
  CoreHarness h;
  h.Lead();
  EXPECT_EQ(h.Step(h.Data()).disk.at(0).sequence, DiskSequence{3});
  EXPECT_EQ(h.Step(h.Data()).disk.at(0).sequence, DiskSequence{4});
}

TEST(CoreProposeTest, ALeaderAcceptsBehindItsBarrier) {
  CoreHarness h;
  h.Step(Tick{});
  h.CompleteOne();
  h.Step(h.Data());
  EXPECT_EQ(h.log, Log{"1: accepted 3"});
  h.CompleteOne();
  EXPECT_EQ(h.core.commit_index(), Index{2});
  h.CompleteOne();
  EXPECT_EQ(h.core.commit_index(), Index{3});
}

TEST(CoreProposeTest, IsFencedByTheExpectedTerm) {
  CoreHarness h;
  h.Lead();
  for (const uint64_t term : {0, 2, 1}) {
    Propose propose = h.Data();
    propose.expected_term = Term{term};
    h.Step(std::move(propose));
  }
  EXPECT_EQ(h.log, (Log{"1: refused NOT_LEADER", "2: refused NOT_LEADER", "3: accepted 3"}));
}

TEST(CoreProposeTest, RefusesWhatIsNoEntry) {
  struct Case {
    const char* name;
    EntryKind kind;
    std::optional<size_t> payload_bytes;
    uint32_t records;
    const char* reason;
  };
  const Case cases[] = {
      {"no payload", EntryKind::kData, std::nullopt, 1, "INVALID_REQUEST"},
      {"shorter than a batch header", EntryKind::kData, kBatchHeaderBytes - 1, 1,
       "INVALID_REQUEST"},
      {"data without records", EntryKind::kData, kBatchHeaderBytes, 0, "INVALID_REQUEST"},
      {"more records than a batch can count", EntryKind::kData, kBatchHeaderBytes, 0x80000000,
       "INVALID_REQUEST"},
      {"meta with records", EntryKind::kMeta, 8, 1, "INVALID_REQUEST"},
      {"meta without a type", EntryKind::kMeta, 3, 0, "INVALID_REQUEST"},
      {"a barrier from outside", EntryKind::kBarrier, 0, 0, "INVALID_REQUEST"},
      {"not a configuration", EntryKind::kConfig, 20, 0, "INVALID_REQUEST"},
      {"unknown kind", static_cast<EntryKind>(9), 100, 0, "INVALID_REQUEST"},
      {"too large", EntryKind::kData, limits::kMaxEntryPayloadBytes + 1, 1, "BATCH_TOO_LARGE"},
  };
  for (const Case& c : cases) {
    CoreHarness h;
    h.Lead();
    const LogEnd end = h.core.end();
    Propose propose;
    propose.id = ProposalId{1};
    propose.kind = c.kind;
    if (c.payload_bytes) propose.payload = FrameBuffer::Copy(std::string(*c.payload_bytes, '\xff'));
    propose.records = c.records;
    EXPECT_TRUE(h.Step(std::move(propose)).disk.empty()) << c.name;
    EXPECT_EQ(h.log, Log{StrCat("1: refused ", c.reason)}) << c.name;
    EXPECT_EQ(h.core.end(), end) << c.name;
  }
}

TEST(CoreProposeTest, RefusesOffsetsBeyondTheLast) {
  CoreState state = FreshState();
  state.end.next_offset = Offset{std::numeric_limits<int64_t>::max() - 3};
  CoreHarness h(state);
  h.Lead();
  h.Step(h.Data(3));
  h.Step(h.Data(2));
  EXPECT_EQ(h.log, (Log{"1: refused INVALID_REQUEST", "2: accepted 3"}));
}

TEST(CoreProposeTest, LimitsUncommittedBytesButAlwaysTakesTheFirst) {
  const size_t frame_bytes = kEntryHeaderBytes + Batch(1, 500).payload_bytes();
  CoreHarness h(FreshState(), 2 * frame_bytes);
  h.Lead();
  for (int i = 0; i < 3; ++i) h.Step(h.Data(1, 500));
  EXPECT_EQ(h.log, (Log{"1: accepted 3", "2: accepted 4", "3: refused OVERLOADED"}));
  h.log.clear();
  h.CompleteOne();
  h.Step(h.Data(1, 500));
  EXPECT_EQ(h.log, (Log{"1: committed 3", "4: accepted 5"}));
  h.CompleteAll();
  h.log.clear();
  h.Step(h.Data(1, 50'000));
  h.Step(h.Data(1, 1));
  EXPECT_EQ(h.log, (Log{"5: accepted 6", "6: refused OVERLOADED"}));
}

TEST(CoreProposeTest, TheUncommittedBytesReturnToZero) {
  const size_t frame_bytes = kEntryHeaderBytes + Batch(1, 500).payload_bytes();
  CoreHarness h(FreshState(), 3 * frame_bytes);
  h.Lead();
  for (int round = 0; round < 1'000; ++round) {
    for (int i = 0; i < 3; ++i) h.core.Step(h.Data(1, 500));
    h.Take();
    h.CompleteAll();
  }
  EXPECT_EQ(h.core.commit_index(), Index{2 + 3'000});
}

TEST(CoreProposeTest, AppendTimesNeverGoBack) {
  CoreHarness h;
  h.Lead();
  std::vector<int64_t> times;
  for (const int64_t now : {1'000, 1'500, 900, -5, 1'501}) {
    h.now = WallTime{now};
    const Effects effects = h.Step(h.Data());
    times.push_back(effects.disk[0].write.entries[0].header.append_time.value());
    EXPECT_EQ(std::get<ProposalAccepted>(effects.results[0].result).append_time.value(),
              times.back());
  }
  EXPECT_THAT(times, ElementsAre(1'000, 1'500, 1'500, 1'500, 1'501));
}

TEST(CoreProposeTest, ZeroWidthEntriesTakeNoOffsets) {
  CoreHarness h;
  h.Lead();
  h.Step(h.Data(4));
  Propose meta{ProposalId{50}, EntryKind::kMeta, FrameBuffer::Copy("abcd"), 0, {}, h.now};
  const Effects effects = h.Step(std::move(meta));
  const EntryHeader& header = effects.disk[0].write.entries[0].header;
  EXPECT_EQ(header.base_offset, Offset{4});
  EXPECT_EQ(header.last_offset, Offset{3});
  h.Step(h.Data(1));
  h.CompleteAll();
  EXPECT_EQ(h.core.high_watermark(), Offset{5});
}

}  // namespace
}  // namespace varve::raft
