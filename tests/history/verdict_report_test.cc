#include "tests/history/verdict_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/history/history_reader.h"
#include "tests/history/history_script.h"

namespace varve::history {
namespace {

TEST(VerdictReportTest, ProgramsGetTheProof) {
  const auto history = ReadHistory(HistoryScript().Ok(1, 10, 0).Final(9, {}).Text());
  ASSERT_TRUE(history.ok()) << history.status();
  std::ostringstream out;
  WriteJson(*history, Check(*history), out);
  const auto json = nlohmann::json::parse(out.str());
  EXPECT_EQ(json["clean"], false);
  EXPECT_EQ(json["counts"]["unseen"], 1);
  EXPECT_EQ(json["counts"]["duplicate"], 0);
  EXPECT_EQ(json["figures"]["acknowledged"], 1);
  ASSERT_EQ(json["anomalies"].size(), 1U);
  EXPECT_EQ(json["anomalies"][0]["kind"], "unseen");
  EXPECT_EQ(json["anomalies"][0]["key"], "t/0");
  EXPECT_EQ(json["anomalies"][0]["operations"][0]["line"], 2);
  EXPECT_EQ(json["anomalies"][0]["operations"][0]["value"], 10);
}

TEST(VerdictReportTest, PeopleGetATable) {
  const auto broken = ReadHistory(HistoryScript().Ok(1, 10, 0).Final(9, {}).Text());
  ASSERT_TRUE(broken.ok()) << broken.status();
  std::ostringstream out;
  WriteTable(*broken, Check(*broken), out);
  EXPECT_THAT(out.str(), testing::HasSubstr("ANOMALY            unseen: 1"));
  EXPECT_THAT(out.str(),
              testing::HasSubstr("line 2: process 1 produce t/0 value 10 at offset 0, ok"));

  const auto clean = ReadHistory(HistoryScript().Ok(1, 10, 0).Text());
  ASSERT_TRUE(clean.ok()) << clean.status();
  std::ostringstream table;
  WriteTable(*clean, Check(*clean), table);
  EXPECT_TRUE(table.str().ends_with("clean\n")) << table.str();
  EXPECT_THAT(table.str(), testing::HasSubstr("not judged"));
}

}  // namespace
}  // namespace varve::history
