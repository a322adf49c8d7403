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

constexpr uint64_t kRuns = 500;
constexpr uint64_t kSlowDiskRuns = 1000;

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
  if (seeds.to - seeds.from >= kRuns && failures == 0) {
    EXPECT_EQ(counts.kinds.size(), kinds) << "a kind was never reached";
  }
}

TEST(FaultCampaign, CrashesLoseNothingAcknowledged) { Campaign(RunCrash, Seeds(kRuns, 10'000), 4); }

TEST(FaultCampaign, AFailingDiskNeverAcknowledgesWhatItLoses) {
  Campaign(RunFailingDisk, Seeds(kRuns, 50'000), 11);
}

TEST(FaultCampaign, DamageIsToldAndNeverAShorterLog) {
  Campaign(RunDamage, Seeds(kRuns, 50'000), 30);
}

TEST(FaultCampaign, WhatOnlyAChecksumProtectsIsTold) {
  Campaign(RunTargetedDamage, Seeds(kRuns, 50'000), 2);
}

TEST(FaultCampaign, ASlowDiskLosesNothingAcknowledged) {
  Campaign(RunSlowDisk, Seeds(kSlowDiskRuns, 10'000), 2);
}

TEST(FaultCampaign, ASlowPassVouchesForNothingWrittenMeanwhile) {
  Campaign(RunSlowPass, Seeds(kRuns, 10'000), 1);
}

TEST(FaultCampaign, WhatReplacesEntriesIsFoundInTheirPlace) {
  Campaign(RunRewrite, Seeds(kRuns, 10'000), 4);
}

TEST(FaultCampaign, ATornCommitNeverShowsTheFormerLifeOfItsFile) {
  Campaign(RunTornReuse, Seeds(kRuns, 10'000), 1);
}

TEST(FaultCampaign, ADiskThatLiesIsToldAndNeverAShorterLog) {
  Campaign(RunLyingDisk, Seeds(kRuns, 50'000), 32);
}

TEST(FaultCampaign, AStallingDiskFailsNothing) {
  Campaign(RunStallingDisk, Seeds(kRuns, 20'000), 6);
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

// Within the runs of its kind in the default campaign.
TEST_P(PlantedDefect, IsFound) {
  planted_defect = GetParam().defect;
  FaultCounts counts;
  const uint64_t runs = GetParam().finds == RunSlowDisk ? kSlowDiskRuns : kRuns;
  for (uint64_t seed = 0; seed < runs; ++seed) {
    const std::string wrong = GetParam().finds(seed, &counts);
    if (wrong.empty()) continue;
    std::cout << GetParam().name << " is found by run " << seed + 1 << ": " << wrong << '\n';
    return;
  }
  FAIL() << GetParam().name << " is not found by " << runs << " runs";
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
        Planting{Defect::kDamageTakenForTorn, "DamageTakenForTorn", RunDamage},
        Planting{Defect::kSyncPointNotLowered, "SyncPointNotLowered", RunCrash},
        Planting{Defect::kLaterWritesCounted, "LaterWritesCounted", RunSlowPass},
        Planting{Defect::kFileNumberReused, "FileNumberReused", RunRewrite},
        Planting{Defect::kGenerationLeftOut, "GenerationLeftOut", RunTornReuse},
        Planting{Defect::kFramesReordered, "FramesReordered", RunSlowDisk},
        Planting{Defect::kFrameChecksumIgnored, "FrameChecksumIgnored", RunTargetedDamage},
        Planting{Defect::kCheckpointChecksumIgnored, "CheckpointChecksumIgnored",
                 RunTargetedDamage},
        Planting{Defect::kStaleIndexKept, "StaleIndexKept", RunRewrite},
        Planting{Defect::kPinsReleasedEarly, "PinsReleasedEarly", RunSlowDisk}),
    [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace varve::storage
