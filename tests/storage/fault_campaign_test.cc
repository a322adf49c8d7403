#include "tests/storage/fault_campaign.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "storage/defect.h"

namespace varve::storage {
namespace {

struct Range {
  uint64_t from, to;
};

// VARVE_SEED_FROM and VARVE_SEED_TO choose a range of a long campaign, or one run to repeat.
Range Seeds(uint64_t by_default, uint64_t slow) {
  const char* from = std::getenv("VARVE_SEED_FROM");
  const char* to = std::getenv("VARVE_SEED_TO");
  const uint64_t first = from == nullptr ? 0 : std::strtoull(from, nullptr, 10);
  if (to != nullptr) return {first, std::strtoull(to, nullptr, 10)};
  return {first, first + (std::getenv("VARVE_SLOW") == nullptr ? by_default : slow)};
}

using RunFunction = std::string (*)(uint64_t, FaultCounts*);

void Campaign(RunFunction run, Range seeds, size_t kinds) {
  FaultCounts counts;
  int failures = 0;
  for (uint64_t seed = seeds.from; seed < seeds.to && failures < 5; ++seed) {
    const std::string wrong = run(seed, &counts);
    if (wrong.empty()) continue;
    ++failures;
    ADD_FAILURE() << "VARVE_SEED_FROM=" << seed << " VARVE_SEED_TO=" << seed + 1 << ": " << wrong;
  }
  std::cout << counts.Text();
  if (seeds.to - seeds.from >= 500 && failures == 0) {
    EXPECT_EQ(counts.kinds.size(), kinds) << "a kind was never reached";
  }
}

TEST(FaultCampaign, CrashesLoseNothingAcknowledged) { Campaign(RunCrash, Seeds(500, 10'000), 4); }

TEST(FaultCampaign, AFailingDiskNeverAcknowledgesWhatItLoses) {
  Campaign(RunFailingDisk, Seeds(500, 50'000), 11);
}

TEST(FaultCampaign, DamageIsToldAndNeverAShorterLog) {
  Campaign(RunDamage, Seeds(500, 50'000), 30);
}

struct Planting {
  Defect defect;
  const char* name;
  RunFunction finds;
};

class PlantedDefect : public testing::TestWithParam<Planting> {
 protected:
  void TearDown() override { planted_defect = Defect::kNone; }
};

TEST_P(PlantedDefect, IsFound) {
  planted_defect = GetParam().defect;
  FaultCounts counts;
  for (uint64_t seed = 0; seed < 2000; ++seed)
    if (!GetParam().finds(seed, &counts).empty()) return;
  FAIL() << GetParam().name << " is not found by 2,000 runs";
}

INSTANTIATE_TEST_SUITE_P(
    All, PlantedDefect,
    testing::Values(
        Planting{Defect::kAcknowledgedBeforeSync, "AcknowledgedBeforeSync", RunCrash},
        Planting{Defect::kDurableThroughAhead, "DurableThroughAhead", RunCrash},
        Planting{Defect::kRecycledBeforeSegmentSync, "RecycledBeforeSegmentSync", RunCrash},
        Planting{Defect::kSegmentDirectoryNotSynced, "SegmentDirectoryNotSynced", RunCrash},
        Planting{Defect::kJournalDirectoryNotSynced, "JournalDirectoryNotSynced", RunCrash},
        Planting{Defect::kEarlierFilesNotListed, "EarlierFilesNotListed", RunCrash},
        Planting{Defect::kNameSyncErrorIgnored, "NameSyncErrorIgnored", RunFailingDisk},
        Planting{Defect::kEntryChecksumIgnored, "EntryChecksumIgnored", RunDamage},
        Planting{Defect::kFailedSyncRetried, "FailedSyncRetried", RunFailingDisk},
        Planting{Defect::kWriteErrorIgnored, "WriteErrorIgnored", RunFailingDisk},
        Planting{Defect::kReserveIgnored, "ReserveIgnored", RunFailingDisk},
        Planting{Defect::kSealLeftOut, "SealLeftOut", RunDamage},
        Planting{Defect::kDamageTakenForTorn, "DamageTakenForTorn", RunDamage}),
    [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace varve::storage
