// A real Prometheus scrapes the broker; its query API answers what was acknowledged.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include <nlohmann/json.hpp>

#include "tests/integration/support/http_get.h"
#include "tests/integration/support/numbered_records.h"
#include "tests/integration/support/run_program.h"
#include "tests/integration/support/test_broker.h"
#include "tests/integration/support/wait_until.h"
#include "varve/varve.h"

namespace varve::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr char kPrometheus[] = "/usr/bin/prometheus";
constexpr uint64_t kRecords = 12'345;

// The single value of a query; nothing while there is none.
std::optional<double> Query(const std::string& address, const std::string& expression) {
  const auto json =
      nlohmann::json::parse(HttpGet(address, "/api/v1/query?query=" + expression), nullptr, false);
  if (!json.is_object() || json.value("status", "") != "success") return std::nullopt;
  const auto& result = json["data"]["result"];
  if (result.size() != 1) return std::nullopt;
  return std::stod(result[0]["value"][1].get<std::string>());
}

void WriteConfig(const std::string& path, const std::string& target) {
  std::ofstream(path) << "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: varve\n"
                      << "    static_configs:\n      - targets: ['" << target << "']\n";
}

TEST(Prometheus, CountsWhatWasAcknowledged) {
  if (access(kPrometheus, X_OK) != 0) GTEST_SKIP() << "needs Debian's package prometheus";
  TestBroker broker;
  ASSERT_TRUE(broker.Start());
  const std::string config = broker.directory().File("prometheus.yml");
  WriteConfig(config, broker.process().http_address());
  const std::string address = demo::FreeAddress();
  RunResult ended;
  std::thread prometheus([&, store = broker.directory().File("prometheus")] {
    ended = RunProgram({kPrometheus, "--config.file=" + config, "--storage.tsdb.path=" + store,
                        "--web.listen-address=" + address, "--web.enable-lifecycle"},
                       {.timeout = seconds(90)});
  });

  auto client = Client::Create({.bootstrap = {broker.address()}});
  EXPECT_TRUE(Admin(*client).CreateTopic({.name = "counted", .partitions = 4}).ok());
  auto producer = Producer::Create(*client);
  for (uint64_t i = 0; i < kRecords; ++i)
    EXPECT_TRUE(producer->Send({.topic = "counted", .value = EncodeNumbered({0, 0, i})}).ok());
  EXPECT_TRUE(producer->Close(seconds(30)).ok());
  const uint64_t acknowledged = producer->stats().records_delivered;
  EXPECT_EQ(acknowledged, kRecords);

  std::optional<double> records;
  EXPECT_TRUE(WaitUntil(
      [&] {
        records = Query(address, "sum(varve_records_in_total)");
        return records == static_cast<double>(acknowledged);
      },
      seconds(40), milliseconds(200)))
      << "varve_records_in_total is " << records.value_or(-1) << ", expected " << acknowledged;
  const auto batches = Query(address, "sum(varve_produce_seconds_count)");
  EXPECT_GT(batches.value_or(0), 0);
  EXPECT_GT(Query(address, "histogram_quantile(0.99,sum(varve_produce_seconds_bucket)by(le))")
                .value_or(0),
            0);
  EXPECT_EQ(Query(address, "sum(varve_batches_in_total)"), batches);
  EXPECT_EQ(Query(address, "up").value_or(0), 1);
  HttpPost(address, "/-/quit");
  prometheus.join();
  EXPECT_EQ(ended.exit_code, 0) << ended;
  broker.StopCleanly();
}

}  // namespace
}  // namespace varve::testing
