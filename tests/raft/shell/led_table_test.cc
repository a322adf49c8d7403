// LedTable and LedView: whatever is lost on the way, the view becomes the table.
#include "raft/shell/led_table.h"

#include <gtest/gtest.h>

#include "common/random.h"

namespace varve::raft {
namespace {

NodeHeartbeat From(const LedTable& table, uint64_t known) {
  NodeHeartbeat heartbeat;
  heartbeat.newest = {5, table.newest()};
  table.WriteChanges(known, &heartbeat);
  return heartbeat;
}

TEST(LedTableTest, TheViewFollowsWhateverIsLost) {
  constexpr uint64_t kSeed = 3;
  const auto random = SeededRandom(kSeed);
  LedTable table;
  LedView view;
  std::map<GroupId, LedGroup> expected;
  std::vector<NodeHeartbeat> late;
  for (int step = 0; step < 5'000; ++step) {
    SCOPED_TRACE(testing::Message() << "seed " << kSeed << " step " << step);
    const GroupId group{random->Below(40)};
    if (random->Below(3) > 0) {
      const LedGroup led{group, Term{random->Below(5)}, random->Below(2) == 0};
      table.Set(led);
      expected[group] = led;
    } else {
      table.Remove(group);
      expected.erase(group);
    }
    if (random->Below(4) > 0) continue;
    NodeHeartbeat heartbeat = From(table, view.known().generation);
    late.push_back(heartbeat);
    if (random->Below(3) == 0) continue;  // lost, or late
    view.Apply(heartbeat);
    table.ForgetRemovedThrough(view.known().generation);
    EXPECT_EQ(view.groups(), expected);
    view.Apply(late[random->Below(late.size())]);
    EXPECT_EQ(view.groups(), expected) << "what is late changes nothing";
  }
}

TEST(LedTableTest, ATableTooLargeForOneHeartbeatComesInParts) {
  LedTable table;
  for (uint64_t i = 0; i < kMaxHeartbeatGroups * 2 + 10; ++i)
    table.Set({GroupId{i}, Term{1}, true});
  LedView view;
  int parts = 0;
  while (view.known().generation < table.newest()) {
    ASSERT_LT(++parts, 5);
    const NodeHeartbeat heartbeat = From(table, view.known().generation);
    EXPECT_LE(heartbeat.led.size(), kMaxHeartbeatGroups);
    view.Apply(heartbeat);
  }
  EXPECT_EQ(parts, 3);
  EXPECT_EQ(view.groups().size(), table.size());
}

TEST(LedTableTest, AnotherProcessBeginsAnewAndAnOlderOneIsNotBelieved) {
  LedTable table;
  table.Set({GroupId{1}, Term{1}, false});
  LedView view;
  view.Apply(From(table, 0));
  NodeHeartbeat next;
  next.newest = {6, 0};
  const LedView::Changes changes = view.Apply(next);
  EXPECT_EQ(changes.not_led, std::vector<GroupId>{GroupId{1}});
  EXPECT_EQ(view.known(), (TableVersion{6, 0}));
  EXPECT_TRUE(view.Apply(From(table, 0)).led.empty());
  EXPECT_TRUE(view.groups().empty());
}

}  // namespace
}  // namespace varve::raft
