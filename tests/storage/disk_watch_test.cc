#include "storage/disk_watch.h"

#include <gtest/gtest.h>

#include "common/sim/sim_scheduler.h"
#include "common/strings.h"

namespace varve::storage {
namespace {

class DiskWatchTest : public ::testing::Test {
 protected:
  DiskWatchTest() { Listen(&heard); }
  void Listen(std::vector<std::string>* into) {
    watch->AddListener([into](const DiskEvent& event) {
      EXPECT_EQ(event.directory, "data");
      into->push_back(StrCat(event.kind == DiskEvent::Kind::kSlow ? "slow " : "ok ",
                             event.duration / kMillisecond));
    });
    scheduler.RunFor(kMillisecond);
  }

  SimScheduler scheduler{1};
  std::unique_ptr<Executor> executor = scheduler.NewExecutor("watch");
  std::shared_ptr<DiskWatch> watch =
      std::make_shared<DiskWatch>("data", executor.get(), scheduler.clock(), kSecond);
  std::vector<std::string> heard;
};

TEST_F(DiskWatchTest, TellsOfAStallWhileItLastsAndOfItsEnd) {
  watch->Begin();
  scheduler.RunFor(999 * kMillisecond);
  EXPECT_EQ(heard, std::vector<std::string>{});
  scheduler.RunFor(2 * kMillisecond);
  EXPECT_EQ(heard, std::vector<std::string>{"slow 1000"});
  scheduler.RunFor(3 * kSecond);
  EXPECT_EQ(heard.size(), 1u);
  EXPECT_TRUE(watch->stats().slow);
  EXPECT_EQ(watch->stats().stalled, 4001 * kMillisecond);
  watch->End();
  scheduler.RunFor(kMillisecond);
  EXPECT_EQ(heard, (std::vector<std::string>{"slow 1000", "ok 4001"}));
  EXPECT_FALSE(watch->stats().slow);
  EXPECT_EQ(watch->stats().stalls, 1u);
  EXPECT_EQ(watch->stats().stalled, 4001 * kMillisecond);
}

TEST_F(DiskWatchTest, ABusyDiskThatAnswersIsNotSlowAndAnIdleOneArmsNothing) {
  for (int i = 0; i < 100; ++i) {
    watch->Begin();
    scheduler.RunFor(900 * kMillisecond);
    EXPECT_LE(scheduler.events_waiting(), 1u);
    watch->End();
  }
  EXPECT_TRUE(scheduler.RunUntilIdle(2 * kSecond));
  EXPECT_EQ(heard, std::vector<std::string>{});
  EXPECT_EQ(watch->stats().stalls, 0u);
  // And the next stall is seen in its time.
  watch->Begin();
  scheduler.RunFor(1001 * kMillisecond);
  EXPECT_EQ(heard, std::vector<std::string>{"slow 1000"});
}

TEST_F(DiskWatchTest, EveryStallIsToldOnceAlsoToWhoComesLate) {
  for (int i = 0; i < 3; ++i) {
    const DiskWatch::Scope watched(watch.get());
    scheduler.RunFor(1500 * kMillisecond);
  }
  watch->Begin();
  scheduler.RunFor(2 * kSecond);
  EXPECT_EQ(heard.size(), 7u);
  EXPECT_EQ(watch->stats().stalls, 4u);
  std::vector<std::string> late;
  Listen(&late);
  ASSERT_EQ(late.size(), 1u);
  EXPECT_TRUE(late[0].starts_with("slow"));
  watch->Detach();
  watch->End();
  scheduler.RunFor(kSecond);
  EXPECT_EQ(late.size(), 1u);
}

}  // namespace
}  // namespace varve::storage
