// The rule as a table: what a node is, what is remembered of it, which row that is.
#include <gtest/gtest.h>

#include <set>

#include "storage/restored_image.h"

namespace varve::storage {
namespace {

DirectoryId Directory(uint8_t number) {
  DirectoryId out;
  out.bytes.fill(number);
  return out;
}

PeerMark Mark(uint64_t epoch, uint64_t incarnation, uint64_t durable) {
  return {NodeId{2}, Directory(7), epoch, incarnation, CommitSequence{durable}};
}

// In its sixth life, at commit 120; the fifth ended with commit 100.
NodeMarks Node() { return {Mark(6, 60, 120), Mark(5, 50, 100), 0}; }

struct Case {
  const char* what;
  NodeMarks self;
  PeerMark remembered;
  MarkRow row;
};

std::vector<Case> Cases() {
  PeerMark other_node = Mark(9, 90, 900);
  other_node.node = NodeId{3};
  PeerMark other_directory = Mark(9, 90, 900);
  other_directory.directory = Directory(8);
  PeerMark no_directory = Mark(9, 90, 900);
  no_directory.directory = {};
  NodeMarks settled = Node();
  settled.settled_epoch = 8;
  NodeMarks fresh = Node();
  fresh.now = Mark(1, 10, 3);
  fresh.recovered = Mark(0, 0, 0);
  NodeMarks skipped = Node();
  skipped.now.process_epoch = 9;
  NodeMarks silent = Node();
  silent.recovered.reset();
  NodeMarks former = Node();  // recovered a directory that knew no incarnations
  former.recovered->incarnation = 0;
  using enum MarkRow;
  return {
      {"a peer that knows nothing", Node(), PeerMark{}, kNothingRemembered},
      {"a mark without a directory", Node(), no_directory, kNothingRemembered},
      {"of another node", Node(), other_node, kOtherNode},
      {"of the disk before it was wiped, or of another cluster", Node(), other_directory,
       kOtherDirectory},
      {"of this life", Node(), Mark(6, 60, 120), kThisLife},
      {"of its beginning", Node(), Mark(6, 60, 100), kThisLife},
      {"of this life, from a peer that knows no incarnations", Node(), Mark(6, 0, 120), kThisLife},
      {"of the life before, all of it", Node(), Mark(5, 50, 100), kEarlierLife},
      {"of the life before, when less was durable", Node(), Mark(5, 50, 80), kEarlierLife},
      {"of lives long gone", Node(), Mark(2, 20, 30), kEarlierLife},
      {"after a crash loop that no peer heard of",
       {Mark(40, 1, 101), Mark(39, 2, 100), 0},
       Mark(5, 50, 100),
       kEarlierLife},
      {"a first life", fresh, Mark(1, 10, 3), kThisLife},
      {"no incarnation was stored", former, Mark(5, 50, 100), kEarlierLife},
      {"the node did not say what it recovered", silent, Mark(5, 50, 110), kEarlierLife},
      // Images.
      {"an image of the life before, while it went on", Node(), Mark(5, 50, 101), kBeyondRecovered},
      {"an image from before a restart", Node(), Mark(6, 61, 110), kEpochUsedTwice},
      {"the same, heard of late", Node(), Mark(6, 61, 5), kEpochUsedTwice},
      {"the same, with the present start on top", Node(), Mark(5, 51, 90), kEpochUsedTwice},
      {"an image from before several restarts", Node(), Mark(7, 70, 90), kLaterLife},
      {"an image whose start crashes again and again",
       {Mark(40, 1, 101), Mark(39, 2, 100), 0},
       Mark(6, 60, 150),
       kBeyondRecovered},
      {"the journal was emptied and the identity kept", fresh, Mark(4, 40, 90), kLaterLife},
      {"the same in the first life", fresh, Mark(1, 11, 90), kEpochUsedTwice},
      {"the same, from a peer that knows no incarnations", fresh, Mark(1, 0, 90), kBeyondPresent},
      {"an epoch that no life had", skipped, Mark(8, 80, 90), kUnknownLife},
      {"the node did not say, and has less", silent, Mark(5, 50, 121), kBeyondPresent},
      // What was acted on accuses nobody again, until something newer is lost.
      {"settled", settled, Mark(8, 80, 900), kSettled},
      {"lost once more", settled, Mark(9, 90, 10), kLaterLife},
  };
}

TEST(RestoredImageRule, EachCaseIsItsRow) {
  std::set<MarkRow> reached;
  for (const Case& c : Cases()) {
    const MarkFinding finding = JudgeMark(c.self, c.remembered);
    EXPECT_EQ(NameOf(finding.row), NameOf(c.row)) << c.what;
    EXPECT_EQ(finding.suspect(), !finding.why.empty()) << c.what;
    reached.insert(finding.row);
  }
  EXPECT_EQ(reached.size(), static_cast<size_t>(MarkRow::kLast) + 1);
}

// A node whose directory is never restored: whatever a peer may have seen of it accuses it of
// nothing. Lives with crashes and lost tails of what was never durable, told at any moment.
TEST(RestoredImageRule, AnHonestNodeIsNeverSuspect) {
  std::vector<PeerMark> told;
  uint64_t durable = 0;
  PeerMark recovered = Mark(0, 0, 0);
  for (uint64_t epoch = 1; epoch <= 30; ++epoch) {
    NodeMarks self{Mark(epoch, 1000 + epoch, durable), recovered, 0};
    for (uint64_t step = 0; step < epoch % 5; ++step) {
      self.now.durable = CommitSequence{durable += step};
      for (const PeerMark& mark : told)
        EXPECT_FALSE(JudgeMark(self, mark).suspect()) << JudgeMark(self, mark).why;
      told.push_back(self.now);
      for (const PeerMark& mark : told) EXPECT_FALSE(JudgePeer(self, mark).suspect());
    }
    recovered = Mark(epoch, 1000 + epoch, durable += epoch % 3);  // seals, too
  }
}

TEST(RestoredImageRule, APeerHearsLessThanItHolds) {
  // A message of the same life that another one overtook.
  EXPECT_EQ(JudgePeer({Mark(6, 60, 110), Mark(5, 50, 100), 0}, Mark(6, 60, 120)).row,
            MarkRow::kThisLife);
  // A life that began from less than was seen, an epoch used twice, and one that is to come.
  EXPECT_TRUE(JudgePeer({Mark(6, 60, 120), Mark(5, 50, 100), 0}, Mark(5, 50, 110)).suspect());
  EXPECT_TRUE(JudgePeer({Mark(6, 60, 120), Mark(5, 50, 100), 0}, Mark(6, 61, 90)).suspect());
  EXPECT_TRUE(JudgePeer({Mark(6, 60, 120), Mark(5, 50, 100), 0}, Mark(7, 70, 90)).suspect());
  // It knows, and has acted on it.
  EXPECT_FALSE(JudgePeer({Mark(6, 60, 120), Mark(5, 50, 100), 7}, Mark(7, 70, 90)).suspect());
  // A wiped disk is another directory.
  PeerMark wiped = Mark(1, 10, 0);
  wiped.directory = Directory(8);
  EXPECT_FALSE(JudgePeer({wiped, std::nullopt, 0}, Mark(7, 70, 90)).suspect());
}

}  // namespace
}  // namespace varve::storage
