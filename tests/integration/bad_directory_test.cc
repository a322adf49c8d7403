// Directories and configurations that varved must refuse: what it says, its exit code, and that it
// leaves everything as it was.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/bytes.h"
#include "common/crc32c.h"
#include "tests/integration/support/raw_client.h"
#include "tests/integration/support/run_program.h"
#include "tests/integration/support/test_broker.h"

namespace varve::testing {
namespace {

using ::testing::HasSubstr;

constexpr size_t kHeaderBytes = 4096;  // docs/formats.md, "File header"
constexpr size_t kVersionAt = 8;
constexpr size_t kCrcAt = kHeaderBytes - 4;

RunResult Varved(const std::string& data, std::vector<std::string> more, bool as_nobody = false) {
  std::vector<std::string> arguments = {VarvedPath(), "--data_dir=" + data,
                                        "--grpc.address=127.0.0.1:0", "--http.address=127.0.0.1:0"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return RunProgram(arguments, {.as_nobody = as_nobody});
}

void ExpectRefused(const RunResult& result, int exit_code, const std::string& text) {
  EXPECT_EQ(result.exit_code, exit_code) << result;
  EXPECT_THAT(result.err, HasSubstr("varved: error: "));
  EXPECT_THAT(result.err, HasSubstr(text));
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream all;
  all << in.rdbuf();
  return all.str();
}

// A broker with a topic and a record in it, stopped or running.
class BadDirectory : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(broker_.Start());
    RawClient client(broker_.address());
    ASSERT_EQ(client.CreateTopic("kept", 1).reason, "OK");
    v1::ProduceRequest request;
    request.set_topic("kept");
    request.add_items()->mutable_records()->add_records()->set_value("still here");
    v1::ProduceReply reply;
    ASSERT_TRUE(client.log().Produce(RawClient::Context().get(), request, &reply).ok());
    ASSERT_EQ(AnswerOf(reply.results(0).error()).reason, "OK");
  }
  // The refused start took nothing away.
  void TearDown() override {
    if (!broker_.process().running()) {
      ASSERT_TRUE(broker_.Start());
    }
    v1::FetchResult result;
    // The connection ends first: a client that is idle and blocking does not hear a broker's
    // farewell, which waits for it.
    ASSERT_EQ(RawClient(broker_.address()).Fetch("kept", 0, 0, &result).reason, "OK");
    ASSERT_EQ(result.records_size(), 1);
    EXPECT_EQ(result.records(0).value(), "still here");
    broker_.StopCleanly();
  }
  TestBroker broker_;
};

TEST_F(BadDirectory, IsInUse) {
  ExpectRefused(Varved(broker_.data_directory(), {}), 4, "Another varved runs");
  EXPECT_EQ(broker_.HttpGet("/readyz"), "ok\n");
}

TEST_F(BadDirectory, BelongsToAnotherNodeOrCluster) {
  broker_.StopCleanly();
  ExpectRefused(Varved(broker_.data_directory(), {"--node_id=7"}), 78, "node");
  ExpectRefused(
      Varved(broker_.data_directory(), {"--cluster_id=01234567-89ab-4def-8123-456789abcdef"}), 78,
      "cluster");
}

TEST_F(BadDirectory, IsOfANewerFormat) {
  broker_.StopCleanly();
  const std::string path = broker_.data_directory() + "/identity";
  const std::string before = ReadFile(path);
  ASSERT_GE(before.size(), kHeaderBytes);
  std::string newer = before;
  StoreLittle(newer.data() + kVersionAt, uint16_t{2});
  StoreLittle(newer.data() + kCrcAt, Crc32c(std::string_view(newer).substr(0, kCrcAt)));
  std::ofstream(path, std::ios::binary | std::ios::trunc) << newer;
  ExpectRefused(Varved(broker_.data_directory(), {}), 78, "upgrade");
  EXPECT_EQ(ReadFile(path), newer) << "a file of a newer version was touched";
  std::ofstream(path, std::ios::binary | std::ios::trunc) << before;
}

TEST_F(BadDirectory, MayNotBeRead) {
  broker_.StopCleanly();
  const std::string data = broker_.data_directory();
  std::filesystem::permissions(data, std::filesystem::perms::none);
  ExpectRefused(Varved(data, {}, true), 5, "ermission denied");
  std::filesystem::permissions(data, std::filesystem::perms::owner_all);
}

TEST(BadConfiguration, NamesTheNearestKeyOfATypo) {
  TempDirectory directory;
  const std::string file = directory.File("varved.yaml");
  std::ofstream(file) << "journal:\n  fil_bytes: 64MiB\n";
  const RunResult result = Varved(directory.File("data"), {"--config=" + file});
  ExpectRefused(result, 78, "unknown key \"journal.fil_bytes\"");
  EXPECT_THAT(result.err, HasSubstr("varved.yaml:2"));
  EXPECT_THAT(result.err, HasSubstr("the nearest is \"journal.file_bytes\""));
  ExpectRefused(Varved(directory.File("data"), {"--jurnal.file_bytes=1MiB"}), 78,
                "journal.file_bytes");
  EXPECT_FALSE(std::filesystem::exists(directory.File("data")));
}

TEST(BadConfiguration, NamesAPortThatIsInUse) {
  TestBroker broker;
  ASSERT_TRUE(broker.Start());
  TempDirectory directory;
  for (const std::string door : {"grpc", "http"}) {
    const std::string& address =
        door == "grpc" ? broker.address() : broker.process().http_address();
    ExpectRefused(Varved(directory.File("data"), {"--" + door + ".address=" + address}), 4,
                  address);
  }
  EXPECT_EQ(broker.HttpGet("/readyz"), "ok\n");
  broker.StopCleanly();
}

}  // namespace
}  // namespace varve::testing
