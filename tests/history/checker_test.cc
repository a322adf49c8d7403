// Each anomaly: a history that has it, the operations that prove it, and a like one that is clean.
#include "tests/history/checker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/history/history_reader.h"
#include "tests/history/history_script.h"

namespace varve::history {
namespace {

struct Case {
  std::string name;
  AnomalyKind kind;
  HistoryScript broken;
  std::vector<uint64_t> proof;  // lines of the first anomaly of this kind
  HistoryScript clean;
};

using Script = HistoryScript;

std::vector<Case> ContentCases() {
  using enum AnomalyKind;
  return {
      {"two values acknowledged at one offset",
       kInconsistentOffset,
       Script().Ok(1, 10, 0).Ok(2, 20, 0),
       {2, 3},
       Script().Ok(1, 10, 0).Ok(2, 20, 1)},
      {"two readers disagree",
       kInconsistentOffset,
       Script().Unknown(1, 10).Unknown(2, 20).Fetch(3, {{0, 10}}).Fetch(4, {{0, 20}}),
       {4, 5},
       Script().Unknown(1, 10).Unknown(2, 20).Fetch(3, {{0, 10}}).Fetch(4, {{0, 10}})},
      {"a failed fetch counts as well",
       kInconsistentOffset,
       Script().Ok(1, 10, 0).Unknown(2, 20).With(Outcome::kFail).Fetch(3, {{0, 20}}),
       {2, 4},
       Script().Ok(1, 10, 0).Unknown(2, 20).With(Outcome::kFail).Fetch(3, {{0, 10}})},
      {"a record that was sent once lies twice",
       kDuplicate,
       Script().Ok(1, 10, 0).Fetch(2, {{0, 10}, {1, 10}}),
       {2, 3},
       Script().Repeats().Ok(1, 10, 0).Fetch(2, {{0, 10}, {1, 10}})},
      {"acknowledged at one offset, read at another",
       kDuplicate,
       Script().Ok(1, 10, 5).Fetch(2, {{4, 10}}),
       {2, 3},
       Script().Ok(1, 10, 5).Fetch(2, {{5, 10}})},
      {"a value that nobody sent",
       kPhantom,
       Script().Ok(1, 10, 0).Fetch(2, {{0, 10}, {1, 11}}),
       {3},
       Script().Ok(1, 10, 0).Unknown(1, 11).Fetch(2, {{0, 10}, {1, 11}})},
      {"bytes that are no value",
       kPhantom,
       Script().Fetch(2, {{0, kForeignValue}}),
       {2},
       Script().Unknown(1, 0).Fetch(2, {{0, 0}})},
      {"a value of another key",
       kPhantom,
       Script().Ok(1, 10, 0).Key("t/1").Fetch(2, {{0, 10}}),
       {3},
       Script().Ok(1, 10, 0).Key("t/1").Ok(3, 11, 0).Fetch(2, {{0, 11}})},
      {"read before it was sent",
       kFutureRead,
       Script().At(10, 20).Fetch(2, {{0, 10}}).At(30, 40).Ok(1, 10, 0),
       {3, 2},
       Script().At(10, 30).Fetch(2, {{0, 10}}).At(30, 40).Ok(1, 10, 0)},
      {"what failed is read",
       kAbortedRead,
       Script().Fail(1, 10).Fetch(2, {{0, 10}}),
       {2, 3},
       Script().Unknown(1, 10).Fetch(2, {{0, 10}})},
  };
}

std::vector<Case> LossCases() {
  using enum AnomalyKind;
  return {
      {"acknowledged, and readers pass it by",
       kLostWrite,
       Script().Ok(1, 10, 0).Ok(1, 11, 1).Gaps().Final(9, {{1, 11}}),
       {2, 5},
       Script().Ok(1, 10, 0).Ok(1, 11, 1).Gaps().Final(9, {{0, 10}, {1, 11}})},
      {"acknowledged, and the log ends before it",
       kUnseen,
       Script().Ok(1, 10, 0).Ok(1, 11, 1).Final(9, {{0, 10}}),
       {3},
       Script().Ok(1, 10, 0).Unknown(1, 11).Final(9, {{0, 10}})},
      {"nothing is judged lost without a final read",
       kUnseen,
       Script().Ok(1, 10, 0).Final(9, {}),
       {2},
       Script().Ok(1, 10, 0).Assign(9, 0).Fetch(9, {})},
      {"acknowledged and never read by an ok fetch",
       kUnseen,
       Script().Ok(1, 10, 0).With(Outcome::kUnknown).Fetch(2, {{0, 10}}).Final(9, {}),
       {2},
       Script().Ok(1, 10, 0).With(Outcome::kUnknown).Fetch(2, {{0, 10}}).Final(9, {{0, 10}})},
      {"read once, and gone at the end",
       kVanished,
       Script().Unknown(1, 10).Fetch(2, {{0, 10}}).Final(9, {}),
       {3},
       Script().Unknown(1, 10).Fetch(2, {{0, 10}}).Final(9, {{0, 10}})},
  };
}

std::vector<Case> OrderCases() {
  using enum AnomalyKind;
  const auto three = [] { return Script().Ok(1, 10, 0).Ok(1, 11, 1).Ok(1, 12, 2); };
  return {
      {"a fetch leaves out a record",
       kIntPollSkip,
       three().Fetch(2, {{0, 10}, {2, 12}}),
       {5, 3},
       three().Fetch(2, {{0, 10}, {1, 11}, {2, 12}})},
      {"a fetch steps back",
       kIntNonmonotonicPoll,
       three().Fetch(2, {{1, 11}, {0, 10}}),
       {5},
       three().Fetch(2, {{0, 10}, {1, 11}})},
      {"a fetch repeats",
       kIntNonmonotonicPoll,
       three().Fetch(2, {{1, 11}, {1, 11}}),
       {5},
       three().Fetch(2, {{1, 11}}).Fetch(3, {{1, 11}})},
      {"the next fetch leaves out a record",
       kPollSkip,
       three().Fetch(2, {{0, 10}}).Fetch(2, {{2, 12}}),
       {5, 6, 3},
       three().Fetch(2, {{0, 10}}).Assign(2, 2).Fetch(2, {{2, 12}})},
      {"the first fetch begins too late",
       kPollSkip,
       three().Assign(2, 0).Fetch(2, {{1, 11}}),
       {5, 6, 2},
       three().Assign(2, kNone).Fetch(2, {{1, 11}})},
      {"the next fetch steps back",
       kNonmonotonicPoll,
       three().Fetch(2, {{0, 10}, {1, 11}}).Fetch(2, {{1, 11}}),
       {5, 6},
       three().Fetch(2, {{0, 10}, {1, 11}}).With(Outcome::kFail).Fetch(2, {}).Fetch(2, {{2, 12}})},
      {"an offset without a record",
       kOffsetGap,
       Script().Ok(1, 10, 0).Ok(1, 11, 2).Fetch(2, {{0, 10}, {2, 11}}),
       {4},
       Script().Ok(1, 10, 0).Ok(1, 11, 2).Gaps().Fetch(2, {{0, 10}, {2, 11}})},
      {"one process's records change places",
       kNonmonotonicSend,
       Script().Ok(1, 10, 1).Ok(1, 11, 0),
       {2, 3},
       Script().Ok(1, 10, 1).At(990, 995).Ok(2, 11, 0)},
      {"an unknown record lies before what was acknowledged first",
       kNonmonotonicSend,
       Script().Ok(1, 10, 1).Unknown(1, 11).Fetch(2, {{0, 11}, {1, 10}}),
       {2, 3},
       Script().Unknown(1, 11).Ok(1, 10, 1).Fetch(2, {{0, 11}, {1, 10}})},
      {"appended behind what was complete, at a lower offset",
       kRealtimeAppend,
       Script().At(10, 20).Ok(1, 10, 1).At(30, 40).Ok(2, 11, 0),
       {2, 3},
       Script().At(10, 20).Ok(1, 10, 1).At(20, 40).Ok(2, 11, 0)},
      {"appended behind what was read, at a lower offset",
       kRealtimeAppend,
       Script().At(5, 50).Unknown(1, 10).At(10, 20).Fetch(3, {{1, 10}}).At(30, 40).Ok(2, 11, 0),
       {3, 4},
       Script().At(5, 50).Unknown(1, 10).At(10, 20).Fetch(3, {{1, 10}}).At(30, 40).Ok(2, 11, 2)},
  };
}

Case PositionCase() {
  // The script's positions are right; this one is not.
  Case out{"a reader's position is before what it returned",
           AnomalyKind::kWrongPosition,
           Script(),
           {3},
           Script().Ok(1, 10, 0).Fetch(2, {{0, 10}})};
  return out;
}

History Read(const std::string& text) {
  auto history = ReadHistory(text);
  EXPECT_TRUE(history.ok()) << history.status() << '\n' << text;
  return history.ok() ? *std::move(history) : History();
}

std::vector<uint64_t> Lines(const History& history, const Anomaly& anomaly) {
  std::vector<uint64_t> lines;
  lines.reserve(anomaly.operations.size());
  for (const uint64_t operation : anomaly.operations)
    lines.push_back(history.operations[operation].line);
  return lines;
}

void ExpectBroken(const Case& test, const std::string& text) {
  const History history = Read(text);
  const Verdict verdict = Check(history);
  EXPECT_GE(verdict.counts[static_cast<size_t>(test.kind)], 1U) << NameOf(test.kind);
  const auto found =
      std::find_if(verdict.anomalies.begin(), verdict.anomalies.end(),
                   [&](const Anomaly& anomaly) { return anomaly.kind == test.kind; });
  ASSERT_NE(found, verdict.anomalies.end()) << NameOf(test.kind);
  EXPECT_EQ(Lines(history, *found), test.proof) << found->what;
  EXPECT_FALSE(found->what.empty());
}

void ExpectClean(const std::string& text) {
  const Verdict verdict = Check(Read(text));
  EXPECT_EQ(verdict.total(), 0U) << text;
  for (const Anomaly& anomaly : verdict.anomalies)
    ADD_FAILURE() << NameOf(anomaly.kind) << ": " << anomaly.what;
}

TEST(CheckerTest, FindsEachAnomalyAndOnlyIt) {
  std::vector<bool> covered(kAnomalyKinds);
  for (const auto& cases : {ContentCases(), LossCases(), OrderCases()}) {
    for (const Case& test : cases) {
      SCOPED_TRACE(test.name);
      ExpectBroken(test, test.broken.Text());
      ExpectClean(test.clean.Text());
      covered[static_cast<size_t>(test.kind)] = true;
    }
  }
  const Case position = PositionCase();
  std::string text = position.clean.Text();
  ExpectClean(text);
  text.replace(text.find("\"to\":1"), 6, "\"to\":0");
  ExpectBroken(position, text);
  covered[static_cast<size_t>(position.kind)] = true;
  for (size_t kind = 0; kind < kAnomalyKinds; ++kind)
    EXPECT_TRUE(covered[kind]) << NameOf(static_cast<AnomalyKind>(kind));
}

TEST(CheckerTest, CountsWhatProducersWithoutIdempotenceMayDo) {
  const Verdict verdict = Check(Read(Script()
                                         .Repeats()
                                         .Ok(1, 10, 1)
                                         .Unknown(2, 20)
                                         .Ok(2, 21, 2)
                                         .Fail(2, 22)
                                         .Unknown(2, 23)
                                         .Fetch(3, {{0, 10}, {1, 10}, {2, 21}, {3, 20}})
                                         .Text()));
  EXPECT_EQ(verdict.total(), 0U);
  const Figures& figures = verdict.figures;
  EXPECT_EQ(figures.duplicates_of_unknown, 1U);
  EXPECT_EQ(figures.late_of_unknown, 1U);
  EXPECT_EQ(figures.produced, 2U);
  EXPECT_EQ(figures.failed, 1U);
  EXPECT_EQ(figures.unknown, 2U);
  EXPECT_EQ(figures.unknown_seen, 1U);
  EXPECT_EQ(figures.fetched, 4U);
  EXPECT_FALSE(figures.final_read);
}

TEST(CheckerTest, MeasuresLagAndGaps) {
  const History history = Read(Script()
                                   .At(1000, 1100)
                                   .Ok(1, 10, 0)
                                   .At(1200, 1600)
                                   .Ok(1, 11, 1)
                                   .At(1650, 1700)
                                   .Fetch(2, {{0, 10}})
                                   .At(9000, 9100)
                                   .Fetch(2, {{1, 11}})
                                   .Text());
  const Figures figures = Check(history).figures;
  EXPECT_EQ(figures.longest_gap_ns, 500);
  // The first fetch did not bring offset 1, which was proven to be there 50 before it was invoked.
  EXPECT_EQ(figures.worst_lag_ns, 50);
  EXPECT_EQ(history.operations[figures.worst_lag_operation].line, 4U);
}

TEST(CheckerTest, ListsAFewOfManyAndCountsAll) {
  Script script;
  for (int64_t i = 0; i < 100; ++i) script.Fail(1, i).Fetch(2, {{i, i}});
  const Verdict verdict = Check(Read(script.Text()));
  EXPECT_EQ(verdict.counts[static_cast<size_t>(AnomalyKind::kAbortedRead)], 100U);
  EXPECT_EQ(verdict.total(), 100U);
  EXPECT_EQ(verdict.anomalies.size(), kShownPerKind);
}

TEST(CheckerTest, NothingIsClean) { EXPECT_EQ(Check(Read(Script().Text())).total(), 0U); }

}  // namespace
}  // namespace varve::history
