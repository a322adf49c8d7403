// What the command line takes: quantities, positions, records, URLs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/cli/perf_load.h"
#include "client/cli/position.h"
#include "client/cli/process_cpu.h"
#include "client/cli/quantity.h"
#include "client/cli/record_source.h"
#include "client/cli/run_context.h"

namespace varve::cli {
namespace {

using std::chrono::nanoseconds;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(SizeTest, AcceptsBytesAndUnits) {
  const std::pair<const char*, uint64_t> cases[] = {
      {"0", 0},
      {"512", 512},
      {"512B", 512},
      {"4KiB", 4096},
      {"64MiB", 64ull << 20},
      {"1.5GiB", 3ull << 29},
      {"2TiB", 2ull << 40},
      {"4kB", 4000},
      {"64 MB", 64'000'000},
      {"18446744073709551615", UINT64_MAX},
  };
  for (const auto& [text, bytes] : cases) {
    const Result<uint64_t> size = ParseSize(text);
    ASSERT_TRUE(size.ok()) << text;
    EXPECT_EQ(*size, bytes) << text;
  }
}

TEST(SizeTest, RefusesWithAnExample) {
  for (const char* text : {"", "KiB", "-1", "1XiB", "1KiBx", "1e3", "1..5KiB", "0x10",
                           "99999999TiB", "18446744073709551616", " 1", "1KiB2"}) {
    const Result<uint64_t> size = ParseSize(text);
    ASSERT_FALSE(size.ok()) << text;
    EXPECT_THAT(size.status().ToString(), HasSubstr("64MiB")) << text;
  }
}

TEST(DurationTest, AcceptsUnitsAndSums) {
  const std::pair<const char*, int64_t> cases[] = {
      {"0", 0},
      {"250us", 250'000},
      {"10ms", 10'000'000},
      {"1.5s", 1'500'000'000},
      {"2m", 120'000'000'000},
      {"1h30m", 5'400'000'000'000},
      {"7d", 604'800'000'000'000},
      {"7ns", 7},
  };
  for (const auto& [text, ns] : cases) {
    const Result<nanoseconds> duration = ParseDuration(text);
    ASSERT_TRUE(duration.ok()) << text;
    EXPECT_EQ(duration->count(), ns) << text;
  }
}

TEST(DurationTest, RefusesWhatHasNoUnitOrSign) {
  for (const char* text : {"", "10", "s", "-1s", "1x", "1s2", "1 s", "99999999999d"}) {
    EXPECT_FALSE(ParseDuration(text).ok()) << text;
  }
}

TEST(DurationTest, ExactTextIsParsedBackToTheSame) {
  for (int64_t ns : {0LL, 7LL, 2'000LL, 2'000'000LL, 90'000'000'000LL, 1'234'567'891LL}) {
    const std::string text = ExactDuration(nanoseconds(ns));
    const Result<nanoseconds> back = ParseDuration(text);
    ASSERT_TRUE(back.ok()) << text;
    EXPECT_EQ(back->count(), ns) << text;
  }
}

TEST(HumanTextTest, HasThreeSignificantDigits) {
  EXPECT_EQ(HumanSize(0), "0 B");
  EXPECT_EQ(HumanSize(1023), "1023 B");
  EXPECT_EQ(HumanSize(1536), "1.50 KiB");
  EXPECT_EQ(HumanSize(128ull << 20), "128 MiB");
  EXPECT_EQ(HumanSize((1ull << 20) - 1), "1.00 MiB");
  EXPECT_EQ(HumanCount(987), "987");
  EXPECT_EQ(HumanCount(41'234), "41.2k");
  EXPECT_EQ(HumanCount(1'630'000), "1.63M");
  EXPECT_EQ(HumanCount(999'900), "1.00M");
  EXPECT_EQ(HumanDuration(812'000), "812 us");
  EXPECT_EQ(HumanDuration(4.21e6), "4.21 ms");
  EXPECT_EQ(HumanDuration(1.5e9), "1.50 s");
}

TEST(TimeTest, ParsesRfc3339) {
  const std::pair<const char*, int64_t> cases[] = {
      {"1970-01-01", 0},
      {"2024-05-01T12:00:00Z", 1'714'564'800'000},
      {"2024-05-01T12:00:00.25Z", 1'714'564'800'250},
      {"2024-05-01T14:00:00+02:00", 1'714'564'800'000},
      {"2024-05-01 06:30:00-0530", 1'714'564'800'000},
      {"2024-02-29T00:00:00Z", 1'709'164'800'000},
  };
  for (const auto& [text, ms] : cases) {
    const Result<int64_t> time = ParseTime(text);
    ASSERT_TRUE(time.ok()) << text;
    EXPECT_EQ(*time, ms) << text;
  }
  for (const char* text : {"2024", "2024-13-01", "2023-02-29", "2024-05-01T25:00:00Z",
                           "2024-05-01T12:00:00", "2024-05-01T12:00Z", "2024-05-01T12:00:00Zx"})
    EXPECT_FALSE(ParseTime(text).ok()) << text;
}

TEST(TimeTest, FormatIsParsedBack) {
  for (int64_t ms : {int64_t{0}, int64_t{1'714'564'800'250}, int64_t{4'102'444'799'999}}) {
    const Result<int64_t> back = ParseTime(FormatTime(ms));
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(*back, ms) << FormatTime(ms);
  }
}

TEST(PositionTest, TakesEveryForm) {
  constexpr int64_t kNow = 1'714'564'800'000;
  using Kind = StartPosition::Kind;
  struct Case {
    const char* text;
    Kind kind;
    int64_t value;
  };
  const Case cases[] = {
      {"start", Kind::kStart, 0},
      {"end", Kind::kEnd, 0},
      {"0", Kind::kOffset, 0},
      {"1234", Kind::kOffset, 1234},
      {"@2h", Kind::kTime, kNow - 7'200'000},
      {"@0", Kind::kTime, kNow},
      {"@90000d", Kind::kTime, 0},
      {"@1714564800000", Kind::kTime, kNow},
      {"2024-05-01T12:00:00Z", Kind::kTime, kNow},
  };
  for (const Case& c : cases) {
    const Result<FromPosition> from = ParsePosition(c.text, kNow);
    ASSERT_TRUE(from.ok()) << c.text;
    EXPECT_EQ(from->kind, FromPosition::Kind::kAbsolute) << c.text;
    EXPECT_EQ(from->position.kind, c.kind) << c.text;
    EXPECT_EQ(from->position.value, c.value) << c.text;
  }
  const Result<FromPosition> last = ParsePosition("-100", kNow);
  ASSERT_TRUE(last.ok());
  EXPECT_EQ(last->kind, FromPosition::Kind::kBeforeEnd);
  EXPECT_EQ(last->records_before_end, 100);
}

TEST(PositionTest, RefusesTheRestWithTheForms) {
  for (const char* text : {"", "-", "--5", "@", "@-2h", "@2", "begin", "9223372036854775808", "1.5",
                           "1969-12-31T00:00:00Z"}) {
    const Result<FromPosition> from = ParsePosition(text, 1000);
    if (std::string_view(text) == "@2") {  // milliseconds since the epoch
      EXPECT_TRUE(from.ok());
      continue;
    }
    ASSERT_FALSE(from.ok()) << text;
    EXPECT_THAT(from.status().ToString(), HasSubstr("@2h")) << text;
  }
}

// Yields the bytes in pieces of `step`, so that every boundary falls everywhere.
ByteReader Pieces(std::string bytes, size_t step) {
  auto at = std::make_shared<size_t>(0);
  return [bytes = std::move(bytes), step, at](char* buffer, size_t size) -> Result<size_t> {
    const size_t n = std::min({size, step, bytes.size() - *at});
    bytes.copy(buffer, n, *at);
    *at += n;
    return n;
  };
}

std::vector<std::string> All(RecordSource& source, Status* error = nullptr) {
  std::vector<std::string> records;
  while (true) {
    const auto next = source.Next();
    if (!next.ok()) {
      if (error != nullptr) *error = next.status();
      return records;
    }
    if (!next->has_value()) return records;
    records.emplace_back(**next);
  }
}

TEST(RecordSourceTest, LinesWithAndWithoutALastLineEnd) {
  for (size_t step : {1, 2, 3, 100}) {
    RecordSource ended(*ParseRecordCut("lines"), Pieces("a\n\nbcd\n", step));
    EXPECT_THAT(All(ended), ElementsAre("a", "", "bcd")) << step;
    RecordSource open(*ParseRecordCut("lines"), Pieces("a\nbcd", step));
    EXPECT_THAT(All(open), ElementsAre("a", "bcd")) << step;
    RecordSource empty(*ParseRecordCut("lines"), Pieces("", step));
    EXPECT_THAT(All(empty), ElementsAre()) << step;
  }
}

TEST(RecordSourceTest, LengthPrefixedRecordsMayHoldAnything) {
  const std::string input("\0\0\0\3a\nb\0\0\0\0\0\0\0\1x", 16);
  for (size_t step : {1, 3, 5, 100}) {
    RecordSource source(*ParseRecordCut("length-prefixed"), Pieces(input, step));
    EXPECT_THAT(All(source), ElementsAre("a\nb", "", "x")) << step;
  }
}

TEST(RecordSourceTest, CutOffAndOversizedRecordsSayWhere) {
  const std::pair<std::string, const char*> cases[] = {
      {std::string("\0\0\0\1x\0\0", 7), "at its byte 5"},
      {std::string("\0\0\0\5abc", 7), "at its byte 0"},
      {std::string("\xff\xff\xff\xff", 4), "longer than 64.0 MiB"},
  };
  for (const auto& [input, text] : cases) {
    RecordSource source(*ParseRecordCut("length-prefixed"), Pieces(input, 2));
    Status error;
    All(source, &error);
    EXPECT_THAT(error.ToString(), HasSubstr(text));
  }
}

TEST(RecordSourceTest, ChunksAreOfOneSizeButTheLast) {
  RecordSource source(*ParseRecordCut("whole-file-chunks:4"), Pieces("abcdefghij", 3));
  EXPECT_THAT(All(source), ElementsAre("abcd", "efgh", "ij"));
}

TEST(RecordSourceTest, UnknownCutsAreRefused) {
  for (const char* text :
       {"", "line", "whole-file-chunks:", "whole-file-chunks:0", "whole-file-chunks:1TiB"})
    EXPECT_FALSE(ParseRecordCut(text).ok()) << text;
}

TEST(SplitKeyTest, SplitsAtTheFirstSeparator) {
  EXPECT_EQ(SplitKey("a:b:c", ":").key, "a");
  EXPECT_EQ(SplitKey("a:b:c", ":").value, "b:c");
  EXPECT_EQ(SplitKey(":b", ":").key, "");
  EXPECT_EQ(SplitKey("plain", ":").key, std::nullopt);
  EXPECT_EQ(SplitKey("plain", "").value, "plain");
}

TEST(MetricTest, FindsTheValueOfAPlainMetric) {
  const std::string page =
      "# HELP process_cpu_seconds_total x\nprocess_cpu_seconds_total_more 9\n"
      "process_cpu_seconds_total 1.25e1\n";
  EXPECT_EQ(MetricIn(page, "process_cpu_seconds_total"), 12.5);
  EXPECT_EQ(MetricIn(page, "absent"), std::nullopt);
}

TEST(CpuTicksTest, ToleratesAnyProcessName) {
  EXPECT_EQ(CpuTicksIn("7 (a) b) S 1 2 3 4 5 6 7 8 9 10 40 2 0 0"), 42u);
  EXPECT_EQ(CpuTicksIn("7 (a) S 1"), std::nullopt);
  EXPECT_EQ(CpuTicksIn(""), std::nullopt);
}

TEST(HttpUrlTest, TakesHostPortAndPath) {
  const auto plain = ParseHttpUrl("http://localhost:9644/metrics");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->host + "|" + plain->port + "|" + plain->path, "localhost|9644|/metrics");
  const auto v6 = ParseHttpUrl("http://[::1]:80");
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->host + "|" + v6->port + "|" + v6->path, "::1|80|/");
  for (const char* url : {"", "https://a/", "http://", "http://[::1", "http://a:/", "http://a/ b"})
    EXPECT_FALSE(ParseHttpUrl(url)) << url;
}

TEST(RunContextTest, ReadsModelAndMount) {
  EXPECT_EQ(CpuModelIn("processor\t: 0\nmodel name\t: Some CPU\n"), "Some CPU");
  EXPECT_EQ(CpuModelIn(""), "unknown");
  const std::string mounts = "/dev/a / ext4 rw 0 0\n/dev/b /data xfs rw 0 0\n";
  EXPECT_EQ(MountIn(mounts, "/data/x"), "xfs on /dev/b");
  EXPECT_EQ(MountIn(mounts, "/database"), "ext4 on /dev/a");
  EXPECT_EQ(MountIn("", "/x"), "unknown");
}

TEST(PerfLoadTest, PayloadKeepsItsSizeAndGoesRound) {
  Result<PerfPayload> payload = PerfPayload::Make(5 * 1024 * 1024, 2, "");
  ASSERT_TRUE(payload.ok());
  std::set<std::string> keys;
  const std::string first(payload->NextValue());
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(payload->NextValue().size(), 5u * 1024 * 1024);
    keys.emplace(payload->NextKey());
  }
  EXPECT_THAT(keys, ElementsAre("key-0000000000", "key-0000000001"));
  EXPECT_FALSE(PerfPayload::Make(0, 0, "").ok());
  EXPECT_FALSE(PerfPayload::Make(1ull << 40, 0, "").ok());
}

TEST(PerfLoadTest, OpenLoopKeepsItsSchedule) {
  const OpenLoop schedule(2000, 1'000);
  EXPECT_TRUE(schedule.scheduled());
  EXPECT_EQ(schedule.DueAt(0), 1'000);
  EXPECT_EQ(schedule.DueAt(1), 501'000);
  EXPECT_EQ(schedule.DueAt(2'000'000), 1'000'000'001'000);
  EXPECT_FALSE(OpenLoop(0, 0).scheduled());
}

}  // namespace
}  // namespace varve::cli
