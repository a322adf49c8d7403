// What the command line prints: records, tables, JSON, errors, reports.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "client/cli/cli_error.h"
#include "client/cli/delivery_ledger.h"
#include "client/cli/perf_progress.h"
#include "client/cli/perf_report.h"
#include "client/cli/record_format.h"
#include "client/cli/table.h"
#include "client/cli/topic_output.h"
#include "common/error.h"

namespace varve::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

const HeaderView kHeaders[] = {{"a", "1"}, {"b", std::nullopt}};

ReadRecord SampleRecord() {
  return {.topic = "t",
          .partition = 3,
          .offset = 42,
          .timestamp_ms = 1'714'564'800'250,
          .key = "k",
          .value = "v\n",
          .headers = kHeaders};
}

TEST(RecordFormatTest, PrintsEveryField) {
  const Result<RecordFormat> format =
      RecordFormat::Parse("%t %p %o %k=%v %h %T %D %K %V 100%%\\t\\x41\\n");
  ASSERT_TRUE(format.ok());
  std::string out;
  format->Append(SampleRecord(), out);
  EXPECT_EQ(out, "t 3 42 k=v\n a=1,b 1714564800250 2024-05-01T12:00:00.250Z 1 2 100%\tA\n");
}

TEST(RecordFormatTest, AbsentKeyAndValuePrintNothing) {
  const Result<RecordFormat> format = RecordFormat::Parse("[%k|%v|%h] %K %V %D");
  ASSERT_TRUE(format.ok());
  std::string out;
  format->Append({.topic = "t", .timestamp_ms = -1}, out);
  EXPECT_EQ(out, "[||] -1 -1 ");
}

TEST(RecordFormatTest, RefusesUnknownFieldsAndEscapes) {
  for (const char* text : {"%", "%q", "a%", "\\", "\\q", "\\x1", "\\xg0"})
    EXPECT_FALSE(RecordFormat::Parse(text).ok()) << text;
}

TEST(RecordJsonTest, IsTheDocumentedObject) {
  std::string out;
  AppendJson(SampleRecord(), out);
  EXPECT_EQ(out, R"({"topic":"t","partition":3,"offset":42,"timestamp_ms":1714564800250,"key":"k",)"
                 R"("value":"v\n","headers":[{"key":"a","value":"1"},{"key":"b","value":null}]})");
}

TEST(RecordJsonTest, BytesThatAreNotTextComeInBase64) {
  std::string out;
  AppendJson({.topic = "t", .key = "\xff\xfe", .value = std::nullopt}, out);
  const json object = json::parse(out);
  EXPECT_EQ(object["key_base64"], "//4=");
  EXPECT_FALSE(object.contains("key"));
  EXPECT_TRUE(object["value"].is_null());
}

TEST(RecordJsonTest, AnyTextComesBackThroughAJsonParser) {
  std::string text;
  for (int c = 0; c < 128; ++c) text += static_cast<char>(c);
  text += "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80";
  std::string out;
  AppendJson({.topic = "t", .value = text}, out);
  EXPECT_EQ(json::parse(out)["value"].get<std::string>(), text);
}

TEST(Utf8Test, TellsTextFromBytes) {
  for (const char* good :
       {"", "abc", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xed\x9f\xbf"})
    EXPECT_TRUE(IsUtf8(good)) << good;
  for (const char* bad : {"\x80", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80",
                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "a\xe2\x82", "\xc3("})
    EXPECT_FALSE(IsUtf8(bad)) << bad;
}

TEST(Base64Test, MatchesTheVectorsOfRfc4648) {
  const std::pair<const char*, const char*> cases[] = {{"", ""},
                                                       {"f", "Zg=="},
                                                       {"fo", "Zm8="},
                                                       {"foo", "Zm9v"},
                                                       {"foob", "Zm9vYg=="},
                                                       {"fooba", "Zm9vYmE="},
                                                       {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : cases) {
    std::string out;
    AppendBase64(bytes, out);
    EXPECT_EQ(out, text);
  }
}

TEST(TableTest, AlignsAndKeepsControlCharactersOut) {
  Table table({{"NAME"}, {"N", Align::kRight}, {"END"}});
  table.AddRow({"a", "1", ""});
  table.AddRow({"long\033[31m", "1000", "x"});
  EXPECT_EQ(table.Render(false),
            "NAME          N  END\n"
            "a             1\n"
            "long?[31m  1000  x\n");
  EXPECT_THAT(table.Render(true), HasSubstr("\033[1mNAME"));
}

TopicDescription SampleTopic() {
  TopicDescription topic;
  topic.name = "orders";
  topic.id = std::string(32, 'a');
  topic.replication_factor = 1;
  topic.settings = {.max_batch_bytes = 1 << 20, .segment_bytes = 128 << 20};
  topic.created_ms = 1'714'564'800'000;
  topic.partition_count = 1;
  topic.state = "ready";
  topic.partitions = {{.partition = 0,
                       .group_id = 7,
                       .leader_node = 1,
                       .leader_epoch = 2,
                       .replica_nodes = {1, 2},
                       .log_start = 5,
                       .high_watermark = 15,
                       .size_bytes = 4096}};
  return topic;
}

TEST(TopicOutputTest, ListIsATable) {
  EXPECT_EQ(RenderTopicList({SampleTopic()}, OutputFormat::kTable, false),
            "NAME    PARTITIONS  REPLICATION  CREATED\n"
            "orders           1            1  2024-05-01T12:00:00.000Z\n");
}

TEST(TopicOutputTest, JsonHoldsTheSameObjectsInArrayAndLines) {
  const json array =
      json::parse(RenderTopicList({SampleTopic(), SampleTopic()}, OutputFormat::kJson, false));
  ASSERT_EQ(array.size(), 2u);
  const std::string lines = RenderTopicList({SampleTopic()}, OutputFormat::kJsonLines, false);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 1);
  EXPECT_EQ(json::parse(lines), array[0]);
  EXPECT_EQ(array[0]["name"], "orders");
  EXPECT_EQ(array[0]["created"], "2024-05-01T12:00:00.000Z");
  EXPECT_FALSE(array[0].contains("partitions"));
  EXPECT_EQ(RenderTopicList({}, OutputFormat::kJson, false), "[]\n");
}

TEST(TopicOutputTest, DescriptionsShowPartitions) {
  const std::string table =
      RenderTopicDescriptions({SampleTopic()}, nullptr, OutputFormat::kTable, false);
  EXPECT_THAT(table,
              HasSubstr("PARTITION  LEADER  EPOCH  START  END  RECORDS      SIZE  REPLICAS"));
  EXPECT_THAT(table, HasSubstr("        0       1      2      5   15       10  4.00 KiB  1,2"));
  TopicDescription leaderless = SampleTopic();
  leaderless.partitions[0].leader_node = 0;
  const json array =
      json::parse(RenderTopicDescriptions({leaderless}, nullptr, OutputFormat::kJson, false));
  EXPECT_TRUE(array[0]["partitions"][0]["leader_node"].is_null());
  EXPECT_EQ(array[0]["partitions"][0]["high_watermark"], 15);
}

TEST(CliErrorTest, SaysWhatAndWhatToDo) {
  const Status status({.reason = "UNKNOWN_TOPIC",
                       .message = "topic \"x\" does not exist",
                       .advice = "Create it.",
                       .retryable = false,
                       .outcome = RequestOutcome::kNotApplied,
                       .details = {{"topic", "x"}}});
  EXPECT_EQ(ErrorText(status), "error: topic \"x\" does not exist. Create it.");
  const json error = json::parse(ErrorJson(status))["error"];
  EXPECT_EQ(error["reason"], "UNKNOWN_TOPIC");
  EXPECT_EQ(error["outcome"], "not_applied");
  EXPECT_EQ(error["retryable"], false);
  EXPECT_EQ(error["details"]["topic"], "x");
}

TEST(CliErrorTest, ExitCodesFollowTheErrorTable) {
  for (const ErrorInfo& row : AllErrors()) {
    EXPECT_EQ(ExitCodeOf(Status({.reason = std::string(row.name)})), row.exit_code) << row.name;
  }
  // Nothing was sent: exit code 7 and its advice would say that something may have been.
  const Status never_sent({.reason = "DEADLINE_EXCEEDED",
                           .message = "not delivered",
                           .advice = "It may or may not be in the log.",
                           .outcome = RequestOutcome::kNotApplied});
  EXPECT_EQ(ExitCodeOf(never_sent), InfoOf(Reason::UNAVAILABLE).exit_code);
  EXPECT_EQ(ErrorText(never_sent).find("may or may not"), std::string::npos);
  EXPECT_EQ(ErrorJson(never_sent).find("may or may not"), std::string::npos);
  EXPECT_EQ(ExitCodeOf(Status()), 0);
  EXPECT_EQ(ExitCodeOf(UsageError("x", "y")), 2);
  EXPECT_EQ(ExitCodeOf(LocalError("x", 2, "y")), 1);
  EXPECT_EQ(ExitCodeOf(Status({.reason = "FROM_A_NEWER_BROKER"})), 1);
}

DeliveryReport Delivered(uint32_t partition, int64_t offset) {
  return {.topic = "t", .partition = partition, .offset = offset};
}

TEST(DeliveryLedgerTest, SumsUpByPartition) {
  DeliveryLedger ledger("t");
  ledger.Add(Delivered(1, 9), 10);
  ledger.Add(Delivered(0, 6), 10);
  ledger.Add(Delivered(0, 5), 10);
  EXPECT_EQ(ledger.Text(),
            "delivered 3 records, 30 B, to t: partition 0 offsets 5..6, partition 1 offset 9");
  EXPECT_EQ(ledger.End().exit_code, 0);
  const json object = json::parse(ledger.Json());
  EXPECT_EQ(object["records"], 3);
  EXPECT_EQ(object["partitions"][0]["last_offset"], 6);
}

TEST(DeliveryLedgerTest, SomeFailedIsPartialSuccess) {
  const Status unavailable({.reason = "UNAVAILABLE", .message = "gone"});
  DeliveryLedger ledger("t");
  ledger.Add({.status = unavailable}, 1);
  EXPECT_EQ(ledger.End().exit_code, 6);
  ledger.Add(Delivered(0, 1), 1);
  EXPECT_EQ(ledger.End().exit_code, kExitPartial);
  EXPECT_EQ(ledger.End().error.reason(), "UNAVAILABLE");
  EXPECT_THAT(ledger.Text(), HasSubstr("failed: 1 record"));
}

TEST(PerfReportTest, JsonHasFiguresAndContext) {
  PerfReport report;
  report.benchmark = "produce";
  report.command = "varve perf produce";
  report.seconds = 2;
  report.records = 1000;
  report.bytes = 1'000'000;
  report.latency_meaning = "of a test";
  for (uint64_t i = 1; i <= 100; ++i) report.latency.Record(i * 1000);
  report.settings["batch_bytes"] = 131072;
  report.context = {.cpu_model = "CPU", .cores = 2, .kernel = "Linux"};
  const json object = json::parse(RenderPerfReport(report, OutputFormat::kJson, false));
  EXPECT_EQ(object["records_per_second"], 500.0);
  EXPECT_EQ(object["bytes_per_second"], 500'000.0);
  EXPECT_NEAR(object["latency_us"]["p50"].get<double>(), 50, 0.5);
  EXPECT_EQ(object["latency_us"]["max"], 100.0);
  EXPECT_TRUE(object["cpu"]["broker_seconds"].is_null());
  EXPECT_EQ(object["settings"]["batch_bytes"], 131072);
  EXPECT_EQ(object["hardware"]["cpu"], "CPU");
  const std::string table = RenderPerfReport(report, OutputFormat::kTable, false);
  EXPECT_THAT(table, HasSubstr("produce     1000       0     2.00        500   0.5"));
  EXPECT_THAT(table, HasSubstr("p99.9"));
  EXPECT_THAT(table, HasSubstr("batch bytes"));
}

TEST(PerfReportTest, WithoutLatencyThereIsNone) {
  PerfReport report;
  report.benchmark = "consume";
  EXPECT_TRUE(
      json::parse(RenderPerfReport(report, OutputFormat::kJson, false))["latency_us"].is_null());
  EXPECT_THAT(RenderPerfReport(report, OutputFormat::kTable, false), Not(HasSubstr("LATENCY")));
}

TEST(PerfProgressTest, TellsOfTheLastIntervalOnly) {
  PerfSample before;
  before.records = 1000;
  before.latency.Record(9'000'000'000);
  PerfSample now = before;
  now.records = 3000;
  now.bytes = 4'000'000;
  now.latency.Record(2'000'000);
  const std::string text =
      ProgressText("rec", std::chrono::seconds(12), std::chrono::seconds(2), before, now);
  EXPECT_EQ(text, "12.0 s  1.00k rec/s  2.0 MB/s  p50 2.01 ms  p99 2.01 ms  max 2.01 ms  failed 0");
}

}  // namespace
}  // namespace varve::cli
