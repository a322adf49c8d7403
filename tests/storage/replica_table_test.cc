#include <gtest/gtest.h>

#include "common/error.h"
#include "storage/replica_state.h"
#include "tests/storage/journal_script.h"

namespace varve::storage {
namespace {

constexpr GroupId kGroup{70000};
constexpr FileNumber kFile{5};

class ReplicaTableTest : public testing::Test {
 protected:
  void Apply(const JournalFrame& frame) {
    const absl::Status status = table_.Apply(frame);
    ASSERT_TRUE(status.ok()) << status;
  }
  // DATA_LOSS, and nothing changed.
  void ExpectMisfit(const JournalFrame& frame, const std::string& what) {
    const auto before = table_.records();
    const absl::Status status = table_.Apply(frame);
    EXPECT_EQ(ReasonOf(status), Reason::DATA_LOSS) << what << ": " << status;
    EXPECT_EQ(table_.records(), before) << what;
  }
  const ReplicaRecord& record() const { return *table_.Find(kGroup); }

  GroupScript script_{kGroup, kFile};
  ReplicaTable table_;
};

TEST_F(ReplicaTableTest, FollowsCreateAppendVoteTruncateAndRemove) {
  Apply(script_.Create());
  Apply(script_.Append(3, 10));
  EXPECT_EQ(record().scalars.end.last_index, Index{3});
  EXPECT_EQ(record().segments.size(), 1u);
  EXPECT_EQ(record().configurations.committed.configuration.voters.size(), 1u);
  Apply(script_.Vote(Term{7}, NodeId{2}));
  EXPECT_EQ(record().scalars.hard_state.term, Term{7});
  Apply(script_.Truncate(Index{2}));
  EXPECT_EQ(record().scalars.end.last_index, Index{1});
  Apply(script_.Append(1, 10));
  EXPECT_EQ(record().last_frame, FrameSequence{5});
  Apply(script_.Remove());
  EXPECT_EQ(table_.Find(kGroup), nullptr);
  GroupScript again(kGroup, FileNumber{9}, ReplicaEpoch{2});
  Apply(again.Create());
  EXPECT_EQ(record().last_frame, FrameSequence{1});
}

TEST_F(ReplicaTableTest, TruncationLowersTheSyncPointAndNothingElseDoes) {
  Apply(script_.Create());
  Apply(script_.Append(2, 10));
  const SyncPoint two = script_.End();
  Apply(script_.Append(2, 10));
  const SyncPoint four = script_.End();
  SyncPoint beyond = four;
  ++beyond.index;
  table_.RaiseSyncPoint(kGroup, beyond);
  EXPECT_EQ(record().sync_point, SyncPoint{});
  table_.RaiseSyncPoint(kGroup, four);
  EXPECT_EQ(record().sync_point, four);
  table_.RaiseSyncPoint(kGroup, two);
  EXPECT_EQ(record().sync_point, four);
  table_.RaiseSyncPoint(GroupId{1}, four);
  Apply(script_.Truncate(Index{3}));
  EXPECT_EQ(record().sync_point, two);
}

TEST_F(ReplicaTableTest, FramesThatDoNotFitAreRefused) {
  ExpectMisfit(GroupScript(script_).Append(1, 10), "group without create");
  Apply(script_.Create());
  Apply(script_.Append(4, 10));
  Apply(script_.Vote(Term{5}, NodeId{2}));
  ExpectMisfit(GroupScript(kGroup, kFile).Create(), "create of what exists");

  const auto changed = [&](auto change) {
    GroupScript copy = script_;
    JournalFrame frame = copy.Append(2, 10);
    change(frame);
    return frame;
  };
  const auto append = [](JournalFrame& f) -> AppendStep& {
    return std::get<AppendStep>(f.steps[0]);
  };
  ExpectMisfit(changed([](auto& f) { ++f.sequence; }), "gap");
  ExpectMisfit(changed([](auto& f) { f.sequence = f.sequence - 1; }), "repeated");
  ExpectMisfit(changed([](auto& f) { ++f.replica_epoch; }), "epoch");
  ExpectMisfit(changed([](auto& f) { f.scalars.hard_state.term = Term{4}; }), "lower term");
  ExpectMisfit(changed([](auto& f) { f.scalars.hard_state.vote.node = NodeId{9}; }), "second vote");
  ExpectMisfit(changed([](auto& f) { ++f.scalars.end.last_index; }), "other end");
  ExpectMisfit(changed([](auto& f) { ++f.scalars.end.append_time; }), "other time");
  ExpectMisfit(changed([](auto& f) { f.steps.clear(); }), "end without append");
  ExpectMisfit(changed([&](auto& f) { append(f).file = FileNumber{6}; }), "file not in the set");
  ExpectMisfit(changed([&](auto& f) { append(f).position = 0; }), "position in the header");
  ExpectMisfit(changed([&](auto& f) { append(f).entries.clear(); }), "no entries");
  ExpectMisfit(changed([&](auto& f) { append(f).entries.erase(append(f).entries.begin()); }),
               "hole");
  ExpectMisfit(changed([&](auto& f) {
                 append(f).entries[1] = TestEntry(GroupId{1}, Index{6}, Term{5}, 10);
               }),
               "another group's entry");
  ExpectMisfit(changed([](auto& f) { f.steps.emplace_back(CreateReplicaStep{}); }), "late create");
  ExpectMisfit(changed([](auto& f) { f.steps.emplace(f.steps.begin(), RemoveReplicaStep{}); }),
               "early remove");
  ExpectMisfit(changed([](auto& f) {
                 f.steps.emplace_back(SegmentSetStep{{FileNumber{8}}, {}});
               }),
               "removal of an unknown file");
  ExpectMisfit(
      changed([](auto& f) {
        f.steps.emplace_back(SegmentSetStep{{}, {{FileNumber{8}, Offset{0}, Index{3}, 0}}});
      }),
      "two active segments");
  ExpectMisfit(changed([](auto& f) {
                 f.steps.emplace_back(SegmentSetStep{{kFile}, {}});
               }),
               "entries without a segment");
}

TEST_F(ReplicaTableTest, TruncationMustMeetTheLog) {
  Apply(script_.Create());
  JournalFrame committed = script_.Append(4, 10);
  committed.scalars.commit_index = Index{2};
  Apply(committed);
  for (const uint64_t from : {1, 2, 5, 9}) {
    JournalFrame frame = committed;
    ++frame.sequence;
    frame.scalars.end.last_index = Index{from - 1};
    frame.steps = {TruncateStep{Index{from}, kFile, 4096}};
    ExpectMisfit(frame, StrCat("from ", from));
  }
  JournalFrame frame = committed;
  ++frame.sequence;
  frame.scalars.end.last_index = Index{2};
  frame.steps = {TruncateStep{Index{3}, FileNumber{99}, 4096}};
  ExpectMisfit(frame, "file not in the set");
}

TEST_F(ReplicaTableTest, RollOfASegmentAndRetention) {
  Apply(script_.Create());
  Apply(script_.Append(4, 10));
  const SyncPoint end = script_.End();
  JournalFrame roll = GroupScript(script_).Vote(Term{1}, NodeId{});
  roll.scalars.hard_state = record().scalars.hard_state;
  const Entry entry = TestEntry(kGroup, Index{5}, Term{1}, 30);
  roll.steps = {SegmentSetStep{{},
                               {{kFile, Offset{0}, Index{1}, end.position},
                                {FileNumber{6}, Offset{0}, Index{5}, 0}}},
                AppendStep{FileNumber{6}, 4096, {entry}}};
  roll.scalars.end = {Index{5}, Term{1}, Offset{0}, entry.header.append_time};
  Apply(roll);
  ASSERT_EQ(record().segments.size(), 2u);

  JournalFrame trim = roll;
  ++trim.sequence;
  trim.scalars.start.index = Index{5};
  trim.steps = {SegmentSetStep{{kFile}, {}}};
  JournalFrame too_early = trim;
  too_early.scalars.start.index = Index{4};
  ExpectMisfit(too_early, "a segment that is still needed");
  Apply(trim);
  EXPECT_EQ(record().segments.front().file, FileNumber{6});
}

}  // namespace
}  // namespace varve::storage
