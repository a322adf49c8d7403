#include "storage/journal_queue.h"

#include <gtest/gtest.h>

#include "tests/storage/journal_script.h"

namespace varve::storage {
namespace {

class JournalQueueTest : public testing::Test {
 protected:
  void Push(uint64_t group, bool urgent = false, size_t payload = 100) {
    auto [at, fresh] = scripts_.try_emplace(GroupId{group}, GroupId{group}, FileNumber{group});
    WaitingFrame waiting{
        fresh ? at->second.Create() : at->second.Append(1, payload), {}, urgent, nullptr};
    waiting.image = FrameImage::Of(waiting.frame);
    queue_.Push(std::move(waiting));
  }
  // "group:sequence ..." of one commit.
  std::string Take(size_t max_bytes = 1 << 20) {
    std::string out;
    for (const WaitingFrame& waiting : queue_.Take(0, max_bytes)) {
      out += StrCat(out.empty() ? "" : " ", waiting.frame.group, ":", waiting.frame.sequence);
    }
    return out;
  }

  std::map<GroupId, GroupScript> scripts_;
  JournalQueue queue_;
};

TEST_F(JournalQueueTest, GroupsTakeTurnsAndKeepTheirOrder) {
  for (int i = 0; i < 3; ++i) Push(1);
  Push(2);
  Push(3);
  Push(3);
  EXPECT_EQ(Take(), "1:1 2:1 3:1 1:2 3:2 1:3");
  EXPECT_TRUE(queue_.empty());
  EXPECT_EQ(Take(), "");
}

TEST_F(JournalQueueTest, UrgentGroupsGoFirstUpToTheirLastUrgentFrame) {
  Push(1);
  Push(2);
  Push(2, /*urgent=*/true);
  Push(2);
  EXPECT_EQ(Take(), "2:1 2:2 1:1 2:3");
}

TEST_F(JournalQueueTest, TurnGoesOnWhereTheLastCommitEnded) {
  for (uint64_t group = 1; group <= 3; ++group) Push(group);
  EXPECT_EQ(Take(), "1:1 2:1 3:1");
  for (int round = 0; round < 2; ++round)
    for (uint64_t group = 1; group <= 3; ++group) Push(group, false, 3000);
  // Two frames of 3,000 bytes fit, a third does not.
  EXPECT_EQ(Take(8192), "1:2 2:2");
  EXPECT_EQ(Take(8192), "3:2 1:3");
  EXPECT_EQ(Take(8192), "2:3 3:3");
}

TEST_F(JournalQueueTest, LargerFrameGoesAlone) {
  Push(1);
  Push(2);
  EXPECT_EQ(Take(), "1:1 2:1");
  Push(1, false, 100'000);
  Push(2);
  EXPECT_EQ(Take(8192), "1:2");
  EXPECT_EQ(Take(8192), "2:2");
}

TEST_F(JournalQueueTest, TellsHowMuchWaits) {
  Push(1);
  Push(2);
  EXPECT_EQ(queue_.frames(), 2);
  Take();
  EXPECT_EQ(queue_.frames(), 0);
  EXPECT_EQ(queue_.bytes(), 0);
  Push(1, false, 3000);
  const size_t one = queue_.bytes();
  EXPECT_GE(one, 3000);
  Push(2, false, 3000);
  EXPECT_EQ(queue_.bytes(), 2 * one);
  Take(4096);
  EXPECT_EQ(queue_.frames(), 1);
  EXPECT_EQ(queue_.bytes(), one);
  Take();
  EXPECT_EQ(queue_.bytes(), 0);
}

TEST_F(JournalQueueTest, UrgentFloodStarvesNobody) {
  Push(1);
  Push(2);
  Take();
  Push(2, false, 3000);
  for (int i = 0; i < 9; ++i) Push(1, true, 3000);
  EXPECT_EQ(Take(8192), "1:2 1:3");
  EXPECT_EQ(Take(8192), "2:2 1:4");
}

}  // namespace
}  // namespace varve::storage
