#include "tests/history/history_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "common/random.h"
#include "common/strings.h"
#include "tests/history/checker.h"
#include "tests/history/history_script.h"

namespace varve::history {
namespace {

const std::string& Header() {
  static const std::string header = HeaderLine(true, 7);
  return header;
}

constexpr std::string_view kProduce =
    R"({"op":"produce","process":1,"number":0,"invoke":5,"complete":9,"outcome":"ok","key":"t/0","value":3,"offset":8})"
    "\n";

std::string Replaced(std::string text, std::string_view what, std::string_view by) {
  const size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return at == std::string::npos ? text : text.replace(at, what.size(), by);
}

TEST(HistoryReaderTest, ReadsWhatIsWritten) {
  const auto history = ReadHistory(HistoryScript()
                                       .Repeats()
                                       .Ok(4, 30, 7)
                                       .Unknown(4, 31)
                                       .Key("t/1")
                                       .Assign(5, kNone)
                                       .With(Outcome::kFail)
                                       .Fetch(5, {{7, 30}, {8, kForeignValue}})
                                       .Final(6, {})
                                       .Text());
  ASSERT_TRUE(history.ok()) << history.status();
  EXPECT_EQ(history->keys, (std::vector<std::string>{"t/0", "t/1"}));
  ASSERT_EQ(history->operations.size(), 6U);
  const Operation& produce = history->operations[0];
  EXPECT_EQ(produce.line, 2U);
  EXPECT_EQ(produce.process, 4U);
  EXPECT_EQ(produce.value, 30);
  EXPECT_EQ(produce.offset, 7);
  EXPECT_TRUE(produce.repeats);
  EXPECT_EQ(history->operations[1].outcome, Outcome::kUnknown);
  EXPECT_EQ(history->operations[1].number, 1U);
  EXPECT_EQ(history->operations[2].from, kNone);
  const Operation& fetch = history->operations[3];
  EXPECT_EQ(fetch.outcome, Outcome::kFail);
  EXPECT_EQ(fetch.to, 9);
  EXPECT_THAT(history->RecordsOf(fetch),
              testing::ElementsAre(SeenRecord{7, 30}, SeenRecord{8, kForeignValue}));
  EXPECT_THAT(history->final_processes, testing::ElementsAre(6U));
  EXPECT_EQ(history->seed, 1U);
}

TEST(HistoryReaderTest, NamesLineAndFault) {
  const std::string produce(kProduce);
  const std::string end = EndLine(1, {});
  struct Row {
    std::string text;
    std::string error;
  };
  const std::vector<Row> rows = {
      {"", "line 1: the history has no end"},
      {Header() + produce, "line 3: the history has no end"},
      {Header() + produce.substr(0, 40), "line 2: cut off"},
      {produce, "line 1: field \"op\" does not belong here"},
      {Replaced(Header(), "varve", "other"), "line 1: not a history of varve"},
      {Replaced(Header(), ":1,", ":2,"), "line 1: version 2"},
      {Header() + EndLine(0, {}) + "{}\n", "line 3: something follows the end"},
      {Header() + produce + EndLine(2, {}), "line 3: says that there are 2 operations"},
      {Header() + "\n", "line 2: column 1: expected '{'"},
      {Header() + Replaced(produce, ",\"offset\":8", "") + end, "field \"offset\" is missing"},
      {Header() + Replaced(produce, "\"ok\"", "\"fail\"") + end, "\"offset\" does not belong"},
      {Header() + Replaced(produce, "\"ok\"", "\"maybe\"") + end, "no outcome is called \"maybe\""},
      {Header() + Replaced(produce, "\"produce\"", "\"send\"") + end, "no operation is called"},
      {Header() + Replaced(produce, "number", "process") + end, "field \"process\" stands twice"},
      {Header() + Replaced(produce, "number", "speed") + end, "unknown field \"speed\""},
      {Header() + Replaced(produce, ":3,", ":-3,") + end, "expected a whole number from 0"},
      {Header() + Replaced(produce, ":3,", ":3.5,") + end, "not a whole number"},
      {Header() + Replaced(produce, ":3,", ":03,") + end, "leading zero"},
      {Header() + Replaced(produce, ":3,", ":9007199254740992,") + end, "expected a whole number"},
      {Header() + Replaced(produce, ":3,", ":99999999999999999999,") + end, "expected a whole"},
      {Header() + Replaced(produce, "t/0", "t\\n") + end, "without escapes"},
      {Header() + Replaced(produce, "t/0", std::string(300, 'k')) + end, "255 characters"},
      {Header() + Replaced(produce, "\"t/0\"", "\"\"") + end, "an empty key"},
      {Header() + Replaced(produce, "}\n", "}}\n") + end, "something follows the object"},
      {Header() + Replaced(produce, "\"invoke\":5", "\"invoke\":10") + end,
       "completed before it was invoked"},
      {Header() + produce + produce + EndLine(2, {}),
       "line 3: process 1 has its operation 0 in line 2"},
      {Header() + produce + Replaced(produce, "\"number\":0", "\"number\":1") + EndLine(2, {}),
       "line 3: value 3 of key t/0 is produced in line 2"},
      {Header() + produce +
           Replaced(Replaced(produce, "\"number\":0,\"invoke\":5", "\"number\":1,\"invoke\":4"),
                    ":3,", ":4,") +
           EndLine(2, {}),
       "line 3: process 1 invoked its operation 1 before number 0"},
  };
  for (const Row& row : rows) {
    const auto history = ReadHistory(row.text);
    ASSERT_FALSE(history.ok()) << row.text;
    EXPECT_THAT(std::string(MessageOf(history.status())), testing::HasSubstr(row.error));
    EXPECT_THAT(std::string(MessageOf(history.status())), testing::StartsWith("line "));
  }
}

TEST(HistoryReaderTest, SpacesAndOrderOfFieldsAreFree) {
  const auto history = ReadHistory(
      "{ \"seed\" : 0, \"version\": 1, \"contiguous\": false, \"history\": \"varve\" }\n" +
      Replaced(std::string(kProduce), "{\"op\":\"produce\",\"process\":1",
               "{ \"process\" : 1 , \"op\":\t\"produce\"") +
      EndLine(1, {}));
  EXPECT_TRUE(history.ok()) << history.status();
}

TEST(HistoryReaderTest, ALineWithoutEndIsNotRead) {
  const auto history = ReadHistory(Header() + std::string(kMaxLineBytes + 10, ' '));
  ASSERT_FALSE(history.ok());
  EXPECT_THAT(std::string(MessageOf(history.status())), testing::HasSubstr("line 2: longer than"));
}

// Whatever is done to a good history: an error that names a line, or a history that can be judged.
TEST(HistoryReaderTest, SurvivesMutations) {
  const std::string good = HistoryScript()
                               .Ok(1, 10, 0)
                               .Unknown(1, 11)
                               .Assign(2, 0)
                               .Fetch(2, {{0, 10}, {1, 11}})
                               .Final(9, {{0, 10}, {1, 11}})
                               .Text();
  const char* given = std::getenv("VARVE_SEED");
  const uint64_t seed = given == nullptr ? 1 : std::strtoull(given, nullptr, 10);
  SCOPED_TRACE(StrCat("VARVE_SEED=", seed));
  const std::unique_ptr<Random> draw = SeededRandom(seed);
  Random& random = *draw;
  size_t read = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = good;
    for (uint64_t edits = 1 + random.Below(3); edits > 0; --edits) {
      const size_t at = random.Below(text.size());
      switch (random.Below(4)) {
        case 0:
          text[at] = static_cast<char>(random.Below(256));
          break;
        case 1:
          text.erase(at, 1 + random.Below(20));
          break;
        case 2:
          text.insert(at, text.substr(random.Below(text.size()), random.Below(40)));
          break;
        default:
          text[at] = static_cast<char>('0' + random.Below(10));
          break;
      }
    }
    const auto history = ReadHistory(text);
    if (history.ok()) {
      ++read;
      (void)Check(*history);
    } else {
      ASSERT_TRUE(MessageOf(history.status()).starts_with("line ")) << history.status();
    }
  }
  EXPECT_GT(read, 100U);
}

}  // namespace
}  // namespace varve::history
