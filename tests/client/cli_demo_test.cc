// What the demonstration counts, and when it fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "client/cli/demo_run.h"
#include "client/demo/load_ledger.h"

namespace varve::cli {
namespace {

using demo::LoadLedger;
using std::chrono::milliseconds;
using testing::HasSubstr;

const LoadLedger::Time kBegin{};

// Two records in each of two partitions, all acknowledged, 50 ms apart.
void Fill(LoadLedger& ledger) {
  for (uint64_t i = 0; i < 2; ++i) {
    for (uint32_t p = 0; p < 2; ++p) {
      EXPECT_EQ(ledger.Send(p), i);
      ledger.Acknowledge(p, i, kBegin + milliseconds(50 * i));
    }
  }
}

TEST(LoadLedgerTest, WhatIsThereOnceIsNeitherLostNorDoubled) {
  LoadLedger ledger(2);
  Fill(ledger);
  for (uint32_t p = 0; p < 2; ++p)
    for (uint64_t i = 0; i < 2; ++i) EXPECT_TRUE(ledger.Read(p, i));
  const demo::LoadSummary summary = ledger.Summary();
  EXPECT_EQ(summary.sent, 4u);
  EXPECT_EQ(summary.acknowledged, 4u);
  EXPECT_EQ(summary.read, 4u);
  EXPECT_EQ(summary.lost, 0u);
  EXPECT_EQ(summary.duplicated, 0u);
  EXPECT_EQ(summary.longest_gap, milliseconds(50));
  EXPECT_EQ(DemoEnd(summary).exit_code, 0);
}

TEST(LoadLedgerTest, ALostRecordIsFoundAndFailsTheDemonstration) {
  LoadLedger ledger(2);
  Fill(ledger);
  EXPECT_TRUE(ledger.Read(0, 0));
  EXPECT_TRUE(ledger.Read(0, 0));
  EXPECT_TRUE(ledger.Read(0, 1));
  EXPECT_TRUE(ledger.Read(1, 0));
  const demo::LoadSummary summary = ledger.Summary();
  EXPECT_EQ(summary.lost, 1u) << "record 1 of partition 1";
  EXPECT_EQ(summary.duplicated, 1u);
  const CommandEnd end = DemoEnd(summary);
  EXPECT_EQ(end.exit_code, 1);
  EXPECT_THAT(std::string(end.error.message()), HasSubstr("1 acknowledged records"));
}

TEST(LoadLedgerTest, WhatWasNotAcknowledgedIsNotLost) {
  LoadLedger ledger(1);
  ledger.Send(0);
  ledger.Fail();
  EXPECT_EQ(ledger.Summary().lost, 0u);
  EXPECT_EQ(ledger.Summary().failed, 1u);
  EXPECT_FALSE(ledger.Read(0, 1)) << "never sent";
  EXPECT_FALSE(ledger.Read(1, 0)) << "no such partition";
}

TEST(LoadLedgerTest, GapsAreThoseOfTheWorstPartition) {
  LoadLedger ledger(2);
  Fill(ledger);
  ledger.Send(0);
  ledger.Acknowledge(0, 2, kBegin + milliseconds(850));
  EXPECT_EQ(ledger.LongestGapSince(kBegin + milliseconds(100)), milliseconds(800));
  EXPECT_EQ(ledger.LongestGapSince(kBegin + milliseconds(900)), milliseconds(0));
  EXPECT_FALSE(ledger.AllAcknowledgedSince(kBegin + milliseconds(100))) << "partition 1 has not";
  EXPECT_TRUE(ledger.AllAcknowledgedSince(kBegin + milliseconds(40)));
}

TEST(LoadLedgerTest, ValuesComeBack) {
  EXPECT_EQ(LoadLedger::ParseValue(LoadLedger::ValueOf(12'345)), 12'345u);
  for (const char* other : {"", "x", "1x", "-1", "99999999999999999999999"})
    EXPECT_EQ(LoadLedger::ParseValue(other), std::nullopt) << other;
}

TEST(DemoSummaryTest, IsATableOrAnObject) {
  const demo::LoadSummary summary{.sent = 10,
                                  .acknowledged = 9,
                                  .failed = 1,
                                  .read = 11,
                                  .lost = 0,
                                  .duplicated = 2,
                                  .longest_gap = milliseconds(812)};
  EXPECT_EQ(RenderDemoSummary(summary, 5, 20, OutputFormat::kTable),
            "SENT  ACKNOWLEDGED  FAILED  READ BACK  LOST  DUPLICATED  LONGEST GAP\n"
            "  10             9       1         11     0           2       812 ms\n");
  const auto json = nlohmann::json::parse(RenderDemoSummary(summary, 5, 20, OutputFormat::kJson));
  EXPECT_EQ(json["kills"], 5);
  EXPECT_EQ(json["lost"], 0);
  EXPECT_EQ(json["longest_gap_ms"], 812);
}

}  // namespace
}  // namespace varve::cli
