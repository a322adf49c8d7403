#include "storage/space_reserve.h"

#include <gtest/gtest.h>

#include "common/error.h"
#include "common/sim/sim_file_system.h"
#include "common/sim/sim_scheduler.h"

namespace varve::storage {
namespace {

constexpr uint64_t kBlock = 4096;

class SpaceReserveTest : public ::testing::Test {
 protected:
  // Room for 40 blocks of data, 12 and 4 of the other classes, 16 of replicas.
  static constexpr uint64_t kWhole = (40 + 16 + 16) * kBlock;

  void Make(SpaceReserve::Sizes sizes = {40 * kBlock, 16 * kBlock}) {
    if (reserve) reserve->Detach();
    reserve = std::make_shared<SpaceReserve>(disk, "reserve", sizes, *executor, scheduler.clock());
    ASSERT_TRUE(reserve->Open().ok());
    reserve->Start(1);
    scheduler.RunFor(kMillisecond);
  }
  ~SpaceReserveTest() override {
    if (reserve) reserve->Detach();
    reserve.reset();
  }
  uint64_t OnDisk() { return disk.Stat("reserve")->size; }
  void Fill() { disk.SetCapacity(disk.used_bytes()); }
  bool Admits(SpaceClass wanted, uint64_t dirty = 0) {
    const absl::Status status = reserve->Admit(wanted, dirty);
    EXPECT_TRUE(status.ok() || ReasonOf(status) == Reason::NO_SPACE) << status;
    return status.ok();
  }

  SimScheduler scheduler{1};
  SimFileSystem disk{&scheduler};
  std::unique_ptr<Executor> executor = scheduler.NewExecutor("sync");
  std::shared_ptr<SpaceReserve> reserve;
};

TEST_F(SpaceReserveTest, HoldsItsRoomAndGivesItBlockByBlock) {
  Make();
  EXPECT_EQ(OnDisk(), kWhole);
  EXPECT_TRUE(Admits(SpaceClass::kData));
  Fill();
  ASSERT_TRUE(reserve->Draw(1).ok());
  EXPECT_EQ(OnDisk(), kWhole - kBlock);
  ASSERT_TRUE(reserve->Draw(kBlock + 1).ok());
  EXPECT_EQ(OnDisk(), kWhole - 3 * kBlock);
  EXPECT_EQ(reserve->stats().draws, 2u);
  ASSERT_TRUE(reserve->Draw(2 * kWhole).ok());
  EXPECT_EQ(OnDisk(), 0u);
  EXPECT_EQ(ReasonOf(reserve->Draw(1)), Reason::NO_SPACE);
}

TEST_F(SpaceReserveTest, EachClassEndsAtItsOwnPart) {
  Make();
  Fill();
  ASSERT_TRUE(reserve->Draw(kBlock).ok());
  EXPECT_FALSE(Admits(SpaceClass::kData));
  EXPECT_TRUE(Admits(SpaceClass::kSystem));
  // What is under way has its room before anything new.
  const uint64_t left = reserve->stats().reserve;
  reserve->Charge(left - 5 * kBlock);
  EXPECT_TRUE(Admits(SpaceClass::kSystem));
  reserve->Charge(kBlock);
  EXPECT_FALSE(Admits(SpaceClass::kSystem));
  EXPECT_TRUE(Admits(SpaceClass::kVital));
  reserve->Charge(4 * kBlock);
  EXPECT_FALSE(Admits(SpaceClass::kVital));
  reserve->Return(left);
  // So has what the dirty budget has admitted.
  EXPECT_TRUE(Admits(SpaceClass::kSystem, left - 5 * kBlock));
  EXPECT_FALSE(Admits(SpaceClass::kSystem, left - 4 * kBlock));
  EXPECT_TRUE(Admits(SpaceClass::kVital, left - kBlock));
  EXPECT_FALSE(Admits(SpaceClass::kVital, left));
}

TEST_F(SpaceReserveTest, BecomesWholeByItselfAndOnlyThenAdmitsData) {
  Make();
  Fill();
  ASSERT_TRUE(reserve->Draw(10 * kBlock).ok());
  // The room is gone to others.
  auto other = disk.Open("other", OpenMode::kCreate);
  ASSERT_TRUE((*other)->Allocate(10 * kBlock, false).ok());
  scheduler.RunFor(5 * kSecond);
  EXPECT_EQ(OnDisk(), kWhole - 10 * kBlock);
  ASSERT_TRUE((*other)->Truncate(2 * kBlock).ok());
  scheduler.RunFor(kSecond);
  EXPECT_GE(OnDisk(), kWhole - 6 * kBlock);  // half of the room is left to others
  EXPECT_LT(OnDisk(), kWhole);
  EXPECT_FALSE(Admits(SpaceClass::kData));
  ASSERT_TRUE((*other)->Truncate(0).ok());
  scheduler.RunFor(kSecond);
  EXPECT_EQ(OnDisk(), kWhole);
  EXPECT_TRUE(Admits(SpaceClass::kData));
  EXPECT_TRUE(scheduler.RunUntilIdle());  // it asks no more
}

TEST_F(SpaceReserveTest, ADirectoryThatNeverHadRoomForItTakesNoData) {
  disk.SetCapacity(30 * kBlock);
  Make();
  EXPECT_FALSE(Admits(SpaceClass::kData));
  EXPECT_TRUE(Admits(SpaceClass::kVital));
  EXPECT_GE(OnDisk(), 15 * kBlock);
  disk.SetCapacity(1 << 30);
  scheduler.RunFor(kSecond);
  EXPECT_TRUE(Admits(SpaceClass::kData));
}

TEST_F(SpaceReserveTest, GrowsWithTheReplicasAndFollowsItsSettings) {
  Make();
  reserve->SetReplicas(100);
  scheduler.RunFor(kMillisecond);
  EXPECT_EQ(OnDisk(), kWhole + 96 * kBlock);
  Make({8 * kBlock, 8 * kBlock});
  EXPECT_EQ(OnDisk(), 32 * kBlock);
  Make();
  EXPECT_EQ(OnDisk(), kWhole);
}

TEST_F(SpaceReserveTest, NothingIsHeldBackWithoutOne) {
  Make({40 * kBlock, 0});
  EXPECT_TRUE(absl::IsNotFound(disk.Stat("reserve").status()));
  EXPECT_EQ(ReasonOf(reserve->Draw(1)), Reason::NO_SPACE);
  EXPECT_TRUE(Admits(SpaceClass::kData));
}

}  // namespace
}  // namespace varve::storage
