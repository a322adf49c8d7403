// Clean stops, drains, a fold that is gone, a directory that moves.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include <nlohmann/json.hpp>

#include "tests/integration/support/numbered_records.h"
#include "tests/integration/support/test_broker.h"
#include "tests/integration/support/wait_until.h"
#include "varve/varve.h"

namespace varve::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Compression kCodecs[] = {Compression::kNone, Compression::kGzip, Compression::kSnappy,
                                   Compression::kLz4, Compression::kZstd};

Client Connect(const TestBroker& broker) {
  auto client = Client::Create({.bootstrap = {broker.address()}, .client_id = "restart"});
  EXPECT_TRUE(client.ok());
  return *client;
}

// What a topic holds: for each partition, offsets and values.
using Content = std::map<uint32_t, std::vector<std::string>>;

Content ReadAll(const Client& client, const std::string& topic) {
  Content content;
  auto reader = Reader::Create(client);
  Status status = reader->AssignTopic(topic, StartPosition::Start(), seconds(20));
  if (status.ok()) status = reader->StopAtEnd(seconds(20));
  EXPECT_TRUE(status.ok()) << status.ToString();
  while (status.ok() && !reader->AtStop()) {
    auto records = reader->Poll(seconds(10));
    status = records.status();
    EXPECT_TRUE(status.ok()) << status.ToString();
    for (size_t i = 0; status.ok() && i < records->size(); ++i) {
      const ReadRecord& record = (*records)[i];
      auto& values = content[record.partition];
      EXPECT_EQ(record.offset, static_cast<int64_t>(values.size()));
      values.emplace_back(record.value.value_or("(none)"));
    }
  }
  return content;
}

// Sends `count` numbered records with every codec over all partitions; all must be durable.
void Fill(const Client& client, const std::string& topic, uint32_t partitions, uint64_t count) {
  uint32_t codec = 0;
  for (const Compression compression : kCodecs) {
    auto producer = Producer::Create(client, {.compression = compression});
    ASSERT_TRUE(producer.ok());
    for (uint64_t i = 0; i < count; ++i) {
      const RecordNumber number{codec, static_cast<uint32_t>(i % partitions), i};
      const std::string value = EncodeNumbered(number);
      ASSERT_TRUE(
          producer->Send({.topic = topic, .partition = number.partition, .value = value}).ok());
    }
    ASSERT_TRUE(producer->Close(seconds(30)).ok());
    ASSERT_EQ(producer->stats().records_delivered, count);
    ++codec;
  }
}

void Create(const Client& client, const std::string& topic, uint32_t partitions) {
  const auto created = Admin(client).CreateTopic({.name = topic, .partitions = partitions});
  ASSERT_TRUE(created.ok()) << created.status().ToString();
}

struct Fold {
  std::string hash;
  uint64_t applied = 0;
};

Fold AskFold(const TestBroker& broker) {
  const std::string text = broker.HttpGet("/admin/fold");
  const auto json = nlohmann::json::parse(text, nullptr, false);
  EXPECT_TRUE(json.is_object()) << text;
  if (!json.is_object()) return {};
  return {json.value("hash", ""), json.value("applied", uint64_t{0})};
}

TEST(Restart, KeepsRecordsAndTopicsOverACleanStop) {
  TestBroker broker;
  ASSERT_TRUE(broker.Start());
  const Client client = Connect(broker);
  Create(client, "kept", 4);
  Create(client, "gone", 2);
  Fill(client, "kept", 4, 2'000);
  ASSERT_TRUE(Admin(client).DeleteTopic("gone").ok());
  const auto before = Admin(client).GetTopic("kept");
  ASSERT_TRUE(before.ok());
  const Content content = ReadAll(client, "kept");
  ASSERT_EQ(content.size(), 4u);
  broker.StopCleanly();

  ASSERT_TRUE(broker.Start());
  EXPECT_EQ(ReadAll(client, "kept"), content);
  const auto after = Admin(client).GetTopic("kept");
  ASSERT_TRUE(after.ok()) << after.status().ToString();
  EXPECT_EQ(after->id, before->id);
  EXPECT_EQ(after->created_ms, before->created_ms);
  EXPECT_EQ(Admin(client).GetTopic("gone").status().reason(), "UNKNOWN_TOPIC");
  Fill(client, "kept", 4, 100);
  EXPECT_EQ(ReadAll(client, "kept")[0].size(), content.at(0).size() + 125);
  broker.StopCleanly();
}

TEST(Restart, MakesAnEqualFoldWhenItsStoreWasDeleted) {
  TestBroker broker;
  ASSERT_TRUE(broker.Start());
  const Client client = Connect(broker);
  for (int i = 0; i < 30; ++i) Create(client, "topic-" + std::to_string(i), 3);
  for (int i = 0; i < 30; i += 3)
    ASSERT_TRUE(Admin(client).DeleteTopic("topic-" + std::to_string(i)).ok());
  Fold before;
  // Deletion ends in the background: with the marks of removed groups gone.
  ASSERT_TRUE(WaitUntil(
      [&] {
        const Fold now = AskFold(broker);
        const bool still = now.hash == before.hash && now.applied == before.applied;
        before = now;
        return still;
      },
      seconds(20), milliseconds(300)));
  ASSERT_EQ(before.hash.size(), 16u);
  broker.StopCleanly();

  const std::string fold = broker.data_directory() + "/fold";
  ASSERT_TRUE(std::filesystem::is_directory(fold));
  std::filesystem::remove_all(fold);
  ASSERT_TRUE(broker.Start());
  const Fold after = AskFold(broker);
  EXPECT_EQ(after.hash, before.hash);
  EXPECT_GE(after.applied, before.applied);
  const auto topics = Admin(client).ListTopics();
  ASSERT_TRUE(topics.ok()) << topics.status().ToString();
  EXPECT_EQ(topics->size(), 20u);

  // The same after kill -9, and with a store that is rubbish instead of gone.
  broker.process().Kill();
  for (const auto& entry : std::filesystem::directory_iterator(fold))
    if (entry.is_regular_file()) std::ofstream(entry.path(), std::ios::trunc) << "rubbish";
  ASSERT_TRUE(broker.Start());
  EXPECT_EQ(AskFold(broker).hash, before.hash);
  broker.StopCleanly();
}

TEST(Restart, DrainsOnSigterm) {
  TestBroker broker;
  ASSERT_TRUE(broker.Start());
  const Client client = Connect(broker);
  Create(client, "drained", 4);
  // At most once: a batch that the broker took and did not answer would be reported as unknown.
  auto producer = Producer::Create(client, {.batch_bytes = 4096,
                                            .batch_max_bytes = 16 * 1024,
                                            .buffer_bytes = 256 * 1024,
                                            .delivery_timeout = seconds(60),
                                            .retry_unknown = false});
  ASSERT_TRUE(producer.ok());
  std::atomic<uint64_t> delivered{0}, failed{0};
  std::atomic<bool> stop{false};
  std::thread sender([&] {
    for (uint64_t i = 0; !stop.load(); ++i) {
      const std::string value = EncodeNumbered({0, static_cast<uint32_t>(i % 4), i});
      (void)producer->Send({.topic = "drained", .partition = i % 4, .value = value},
                           [&](const DeliveryReport& report) {
                             if (!report.status.ok() && failed.fetch_add(1) == 0)
                               ADD_FAILURE() << report.status.ToString();
                             if (report.status.ok()) delivered.fetch_add(1);
                           });
    }
  });
  EXPECT_TRUE(WaitUntil([&] { return delivered.load() > 3'000; }, seconds(20)));
  broker.StopCleanly();
  EXPECT_TRUE(broker.Start());
  const uint64_t before = delivered.load();
  EXPECT_TRUE(WaitUntil([&] { return delivered.load() > before; }, seconds(20)))
      << "the producer did not come back";
  stop.store(true);
  sender.join();
  ASSERT_TRUE(producer->Close(seconds(30)).ok());
  EXPECT_EQ(failed.load(), 0u) << "a batch under way was cut off instead of answered";
  uint64_t found = 0;
  for (const auto& [partition, values] : ReadAll(client, "drained")) found += values.size();
  EXPECT_EQ(found, delivered.load());
  broker.StopCleanly();
}

TEST(Restart, AnswersHealthWhileItRuns) {
  TestBroker broker;
  ASSERT_TRUE(broker.Start());
  EXPECT_EQ(broker.HttpGet("/readyz"), "ok\n");
  EXPECT_EQ(broker.HttpGet("/healthz"), "ok\n");
  EXPECT_NE(broker.HttpGet("/metrics").find("varve_ready 1"), std::string::npos);
  EXPECT_EQ(broker.HttpGet("/no-such-page"), "");
  broker.StopCleanly();
  EXPECT_EQ(broker.HttpGet("/healthz"), "");
}

TEST(Restart, OpensADirectoryThatWasMoved) {
  TestBroker broker;
  ASSERT_TRUE(broker.Start());
  Content content;
  {
    const Client client = Connect(broker);
    Create(client, "moved", 2);
    Fill(client, "moved", 2, 500);
    content = ReadAll(client, "moved");
  }
  broker.process().Kill();
  broker.MoveDirectory("elsewhere");
  ASSERT_TRUE(broker.Start());
  const Client client = Connect(broker);
  EXPECT_EQ(ReadAll(client, "moved"), content);
  Fill(client, "moved", 2, 10);
  broker.StopCleanly();
}

}  // namespace
}  // namespace varve::testing
