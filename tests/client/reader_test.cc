// The reader against a broker in memory: positions, credits, resuming, seeks, ends, errors.
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "common/record_batch_builder.h"
#include "tests/client/support/fake_broker.h"
#include "varve/varve.h"

namespace varve::testing {
namespace {

using std::chrono::milliseconds;

class ReaderTest : public ::testing::Test {
 protected:
  ReaderTest() { broker_.AddTopic("t", 3); }
  Reader Make(ReaderOptions options = {}) {
    return *Reader::Create(*Client::Create({.bootstrap = {broker_.address()},
                                            .retry_backoff = milliseconds(1),
                                            .retry_backoff_max = milliseconds(20)}),
                           options);
  }
  // Values are "<partition>:<offset>".
  void Fill(uint32_t partition, int batches, int records_per_batch, size_t padding = 0) {
    for (int b = 0; b < batches; ++b) {
      RecordBatchBuilder builder(BatchOptions{.codec = static_cast<Codec>(b % kCodecCount)});
      for (int i = 0; i < records_per_batch; ++i) {
        const std::string value =
            std::to_string(partition) + ":" + std::to_string(written_[partition]++);
        const std::string key(padding, 'k');
        ASSERT_TRUE(builder.Add(WallTime{7}, key, value).ok());
      }
      broker_.Append("t", partition, *builder.Build());
    }
  }
  static Assignment At(uint32_t partition, StartPosition from) { return {{"t", partition}, from}; }
  // Reads `count` records of one partition and checks that they are its next ones.
  void ExpectNext(Reader& reader, uint32_t partition, int64_t first, size_t count) {
    int64_t next = first;
    while (next < first + static_cast<int64_t>(count)) {
      const auto records = reader.Poll(kPatience);
      ASSERT_TRUE(records.ok()) << records.status().ToString();
      ASSERT_FALSE(records->empty()) << "stuck at " << next;
      for (const ReadRecord& record : *records) {
        ASSERT_EQ(record.partition, partition);
        ASSERT_EQ(record.offset, next);
        ASSERT_EQ(record.value, std::to_string(partition) + ":" + std::to_string(next));
        ++next;
      }
    }
    EXPECT_EQ(next, first + static_cast<int64_t>(count));
  }

  FakeBroker broker_;
  std::map<uint32_t, int64_t> written_;
};

TEST_F(ReaderTest, ReadsFromStartOffsetAndEnd) {
  Fill(0, 10, 10);
  Reader reader = Make();
  ASSERT_TRUE(reader.Assign({At(0, StartPosition::Start())}).ok());
  ExpectNext(reader, 0, 0, 100);
  ASSERT_TRUE(reader.Assign({At(0, StartPosition::Offset(37))}).ok());
  ExpectNext(reader, 0, 37, 63);
  ASSERT_TRUE(reader.Assign({At(0, StartPosition::End())}).ok());
  ASSERT_TRUE(broker_.Await([](const auto& counters) { return counters.subscribe_streams == 3; }));
  while (reader.positions()[0].next_offset < 100) ASSERT_TRUE(reader.Poll(milliseconds(1)).ok());
  Fill(0, 1, 5);
  ExpectNext(reader, 0, 100, 5);
  EXPECT_EQ(reader.positions()[0].next_offset, 105);
  EXPECT_EQ(reader.positions()[0].high_watermark, 105);
}

TEST_F(ReaderTest, ReadsATopicToItsEndAndNoFurther) {
  for (uint32_t partition = 0; partition < 3; ++partition) Fill(partition, 7, 11 * (1 + partition));
  Reader reader = Make();
  ASSERT_TRUE(reader.AssignTopic("t", StartPosition::Start(), kPatience).ok());
  ASSERT_TRUE(reader.StopAtEnd(kPatience).ok());
  Fill(1, 3, 10);
  std::map<uint32_t, int64_t> next;
  while (!reader.AtStop()) {
    const auto records = reader.Poll(kPatience);
    ASSERT_TRUE(records.ok()) << records.status().ToString();
    for (const ReadRecord& record : *records) ASSERT_EQ(record.offset, next[record.partition]++);
  }
  EXPECT_EQ(next, (std::map<uint32_t, int64_t>{{0, 77}, {1, 154}, {2, 231}}));
  EXPECT_TRUE(reader.Poll(kPatience)->empty()) << "at once";
}

TEST_F(ReaderTest, AnEmptyTopicIsAtItsEnd) {
  Reader reader = Make();
  ASSERT_TRUE(reader.AssignTopic("t", StartPosition::Start(), kPatience).ok());
  ASSERT_TRUE(reader.StopAtEnd(kPatience).ok());
  EXPECT_TRUE(reader.Poll(kPatience)->empty());
  EXPECT_TRUE(reader.AtStop());
}

TEST_F(ReaderTest, ResumesBehindABrokenStreamWithoutGapOrDuplicate) {
  Fill(0, 50, 10);
  Reader reader = Make();
  broker_.PauseDataAfter(20);
  ASSERT_TRUE(reader.Assign({At(0, StartPosition::Start())}).ok());
  ASSERT_TRUE(broker_.Await([](const auto& counters) { return counters.data_messages == 20; }));
  broker_.DropSubscribers();
  ASSERT_TRUE(broker_.Await([](const auto& counters) { return counters.subscribe_streams == 2; }));
  broker_.PauseDataAfter(10);
  ASSERT_TRUE(broker_.Await([](const auto& counters) { return counters.data_messages == 30; }));
  broker_.DropSubscribers();
  broker_.PauseDataAfter(-1);
  ExpectNext(reader, 0, 0, 500);
  EXPECT_EQ(reader.stats().reconnects, 2u);
  EXPECT_EQ(reader.stats().records, 500u);
}

TEST_F(ReaderTest, ASilentBrokerIsLeftForTheLeaderThatTheClusterNames) {
  FakeBroker successor;
  successor.AddTopic("t", 3);
  Reader reader = Make();
  ASSERT_TRUE(reader.Assign({At(0, StartPosition::Start())}).ok());
  for (const std::string value : {"0:0", "0:1"}) {
    RecordBatchBuilder builder(BatchOptions{});
    ASSERT_TRUE(builder.Add(WallTime{7}, "k", value).ok());
    const std::string batch = *builder.Build();
    if (value == "0:0") {
      broker_.Append("t", 0, batch);
      ExpectNext(reader, 0, 0, 1);
    }
    successor.Append("t", 0, batch);
  }
  broker_.Advertise(successor.address());
  ExpectNext(reader, 0, 1, 1);
}

TEST_F(ReaderTest, ASeekDropsWhatWasOnItsWay) {
  Fill(0, 40, 10);
  Reader reader = Make();
  broker_.PauseDataAfter(10);
  ASSERT_TRUE(reader.Assign({At(0, StartPosition::Start())}).ok());
  ASSERT_TRUE(broker_.Await([](const auto& counters) { return counters.data_messages == 10; }));
  broker_.SendStaleDataAfterSeek();
  ASSERT_TRUE(reader.Seek({"t", 0}, StartPosition::Offset(333)).ok());
  ASSERT_TRUE(broker_.Await([](const auto& counters) { return counters.seeks == 1; }));
  broker_.PauseDataAfter(-1);
  ExpectNext(reader, 0, 333, 67);
  EXPECT_GE(reader.stats().stale_messages, 1u);
  ASSERT_TRUE(reader.Seek({"t", 0}, StartPosition::Start()).ok());
  ExpectNext(reader, 0, 0, 400);
  EXPECT_EQ(reader.Seek({"t", 1}, StartPosition::Start()).reason(), "INVALID_REQUEST");
}

TEST_F(ReaderTest, AReaderThatDoesNotPollHoldsNoMoreThanItsWindow) {
  Fill(0, 100, 10, 1'000);
  Reader reader = Make({.window_bytes = 64 * 1024});
  broker_.PauseDataAfter(0);
  ASSERT_TRUE(reader.Assign({At(0, StartPosition::Start())}).ok());
  ASSERT_TRUE(broker_.Await([](const auto& counters) { return counters.subscribe_streams == 1; }));
  broker_.PauseDataAfter(-1);
  ASSERT_TRUE(
      broker_.Await([](const auto& counters) { return counters.granted_read_bytes == 64 * 1024; }));
  ExpectNext(reader, 0, 0, 1'000);
  // Everything that was granted beyond the window had been polled before.
  EXPECT_LE(broker_.counters().granted_read_bytes,
            static_cast<int64_t>(64 * 1024 + reader.stats().batch_bytes));
}

TEST_F(ReaderTest, AnOffsetOutOfRangeIsReportedOnceAndTheOthersGoOn) {
  Fill(0, 10, 10);
  Fill(1, 1, 10);
  broker_.Trim("t", 0, 50);
  Reader reader = Make();
  ASSERT_TRUE(reader.Assign({At(0, StartPosition::Offset(3)), At(1, StartPosition::Start())}).ok());
  Status error;
  size_t records = 0;
  while (error.ok() || records < 10) {
    const auto polled = reader.Poll(kPatience);
    if (!polled.ok()) {
      ASSERT_TRUE(error.ok()) << "reported twice: " << polled.status().ToString();
      error = polled.status();
    } else {
      ASSERT_FALSE(polled->empty());
      records += polled->size();
    }
  }
  EXPECT_EQ(error.reason(), "OFFSET_OUT_OF_RANGE");
  EXPECT_EQ(error.Detail("partition"), "0");
  ASSERT_TRUE(reader.Seek({"t", 0}, StartPosition::Start()).ok()) << "takes it up again";
  ExpectNext(reader, 0, 50, 50);
}

TEST_F(ReaderTest, ADamagedBatchIsNotHandedOut) {
  Fill(0, 3, 10);
  broker_.Damage("t", 0);
  Reader reader = Make();
  ASSERT_TRUE(reader.Assign({At(0, StartPosition::Start())}).ok());
  ExpectNext(reader, 0, 0, 20);
  EXPECT_EQ(reader.Poll(kPatience).status().reason(), "CORRUPT_BATCH");
}

TEST_F(ReaderTest, UnknownTopicsAndPartitionsAreReported) {
  Reader reader = Make();
  ASSERT_TRUE(reader.Assign({{{"nowhere", 0}, StartPosition::Start()}}).ok());
  EXPECT_EQ(reader.Poll(kPatience).status().reason(), "UNKNOWN_TOPIC");
  ASSERT_TRUE(reader.Assign({At(9, StartPosition::Start())}).ok());
  EXPECT_EQ(reader.Poll(kPatience).status().reason(), "UNKNOWN_PARTITION");
  EXPECT_EQ(reader.AssignTopic("nowhere", StartPosition::Start(), kPatience).reason(),
            "UNKNOWN_TOPIC");
  EXPECT_EQ(reader.Assign({At(0, StartPosition::Offset(-1))}).reason(), "INVALID_REQUEST");
}

TEST_F(ReaderTest, TheCallbackFormDeliversTheSame) {
  Fill(0, 20, 10);
  Reader reader = Make();
  std::mutex mutex;
  std::condition_variable changed;
  int64_t next = 0;
  reader.SetCallback([&](Result<Records> records) {
    ASSERT_TRUE(records.ok());
    std::lock_guard lock(mutex);
    for (const ReadRecord& record : *records) ASSERT_EQ(record.offset, next++);
    changed.notify_all();
  });
  ASSERT_TRUE(reader.Assign({At(0, StartPosition::Start())}).ok());
  {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, kPatience, [&] { return next == 200; }));
  }
  reader.Close();
}

TEST_F(ReaderTest, WithoutBrokerAPollSaysWhy) {
  auto client = Client::Create({.bootstrap = {"127.0.0.1:1"},
                                .retry_backoff = milliseconds(1),
                                .retry_backoff_max = milliseconds(5)});
  Reader reader = *Reader::Create(*client);
  ASSERT_TRUE(reader.Assign({At(0, StartPosition::Start())}).ok());
  Status status;
  for (int i = 0; i < 2'000 && status.ok(); ++i) status = reader.Poll(milliseconds(10)).status();
  EXPECT_EQ(status.reason(), "UNAVAILABLE");
  EXPECT_TRUE(status.retryable());
}

TEST_F(ReaderTest, AClosedReaderSaysSoAndClosingDoesNotWait) {
  Fill(0, 1, 1);
  Reader reader = Make();
  ASSERT_TRUE(reader.Assign({At(0, StartPosition::Start())}).ok());
  ExpectNext(reader, 0, 0, 1);
  reader.Close();
  EXPECT_EQ(reader.Poll(kPatience).status().reason(), "SHUTTING_DOWN");
}

TEST_F(ReaderTest, RecordsOutliveTheReader) {
  Fill(0, 5, 10);
  Records kept;
  {
    Reader reader = Make();
    ASSERT_TRUE(reader.Assign({At(0, StartPosition::Start())}).ok());
    kept = *reader.Poll(kPatience);
  }
  ASSERT_GT(kept.size(), 0u);
  for (size_t i = 0; i < kept.size(); ++i) EXPECT_EQ(kept[i].value, "0:" + std::to_string(i));
}

}  // namespace
}  // namespace varve::testing
