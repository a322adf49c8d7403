#include "client/core/reader_inbox.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "common/record_batch_builder.h"

namespace varve::client {
namespace {

using std::chrono::milliseconds;

const TopicPartition kFirst{"t", 0};

class ReaderInboxTest : public ::testing::Test {
 protected:
  ReaderInboxTest() {
    inbox_.OnBadData([this](ReadEpoch epoch) { bad_ = epoch; });
    epoch_ = inbox_.Assign({{kFirst, StartPosition::Start()}})[0];
  }
  static std::string Batch(int64_t base, int records, Codec codec = Codec::kNone) {
    RecordBatchBuilder builder(BatchOptions{.codec = codec});
    for (int i = 0; i < records; ++i) {
      EXPECT_TRUE(builder.Add(WallTime{1}, std::nullopt, std::to_string(base + i)).ok());
    }
    std::string batch = *builder.Build();
    StampBatch(batch.data(), Offset{base}, 1);
    return batch;
  }
  void Opened(int64_t offset) { inbox_.Push({epoch_, nullptr, 0, offset, Status(), ""}); }
  void Push(const std::string& batches, int64_t next, uint32_t records = 10) {
    inbox_.Push(
        {epoch_, std::make_shared<const std::string>(batches), records, next, Status(), "b"});
  }
  Result<Records> Poll() { return inbox_.Poll(milliseconds(0)); }

  int64_t returned_bytes_ = 0;
  ReadEpoch bad_ = 0;
  ReaderInbox inbox_{
      1 << 20, [this](const std::string&, int64_t bytes, int64_t) { returned_bytes_ += bytes; }};
  ReadEpoch epoch_ = 0;
};

TEST_F(ReaderInboxTest, RecordsBeforeThePositionAskedForAreLeftOut) {
  Opened(13);
  Push(Batch(10, 10), 20);
  const auto records = Poll();
  ASSERT_TRUE(records.ok());
  ASSERT_EQ(records->size(), 7u);
  EXPECT_EQ((*records)[0].offset, 13);
  EXPECT_EQ((*records)[0].value, "13");
  EXPECT_EQ((*records)[0].topic, "t");
  EXPECT_EQ(inbox_.positions()[0].next_offset, 20);
}

TEST_F(ReaderInboxTest, EveryCodecIsRead) {
  Opened(0);
  int64_t base = 0;
  for (const Codec codec :
       {Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd}) {
    Push(Batch(base, 10, codec), base + 10);
    base += 10;
  }
  const auto records = Poll();
  ASSERT_TRUE(records.ok());
  ASSERT_EQ(records->size(), 50u);
  for (size_t i = 0; i < 50; ++i) EXPECT_EQ((*records)[i].value, std::to_string(i));
}

TEST_F(ReaderInboxTest, CreditComesBackOnceForWhatWasPolledAndForWhatASeekDropped) {
  Opened(10);
  const std::string batch = Batch(10, 10);
  Push(batch, 20);
  EXPECT_EQ(returned_bytes_, 0);
  ASSERT_EQ(Poll()->size(), 10u);
  EXPECT_EQ(returned_bytes_, static_cast<int64_t>(batch.size()));
  Push(Batch(20, 10), 30);
  const auto moved = inbox_.Restart(kFirst);
  ASSERT_TRUE(moved);
  EXPECT_EQ(returned_bytes_, 2 * static_cast<int64_t>(batch.size()));
  EXPECT_EQ(Poll()->size(), 0u);
  Push(Batch(30, 10), 40);  // still of the old epoch
  EXPECT_EQ(returned_bytes_, 3 * static_cast<int64_t>(batch.size()));
  EXPECT_EQ(Poll()->size(), 0u);
}

TEST_F(ReaderInboxTest, ADamagedBatchIsReportedAfterTheRecordsBeforeIt) {
  Opened(0);
  std::string bad = Batch(10, 10);
  bad.back() ^= 1;
  Push(Batch(0, 10) + bad, 20);
  auto records = Poll();
  ASSERT_TRUE(records.ok());
  EXPECT_EQ(records->size(), 10u);
  records = Poll();
  ASSERT_FALSE(records.ok());
  EXPECT_EQ(records.status().reason(), "CORRUPT_BATCH");
  EXPECT_EQ(records.status().Detail("topic"), "t");
  EXPECT_EQ(records.status().Detail("partition"), "0");
  EXPECT_EQ(bad_, epoch_);
  EXPECT_EQ(inbox_.positions()[0].next_offset, 10);
  EXPECT_TRUE(Poll().ok()) << "reported once";
}

TEST_F(ReaderInboxTest, NothingAtOrBehindTheStopIsReturned) {
  Opened(0);
  inbox_.StopAt(kFirst, 7);
  EXPECT_FALSE(inbox_.AtStop());
  Push(Batch(0, 10), 10);
  EXPECT_EQ(Poll()->size(), 7u);
  EXPECT_TRUE(inbox_.AtStop());
  EXPECT_EQ(inbox_.positions()[0].next_offset, 7);
}

TEST_F(ReaderInboxTest, NewsOfASilentStreamDoesNotPileUpAndMovesThePosition) {
  for (int i = 0; i < 1'000; ++i) Opened(i);
  EXPECT_EQ(Poll()->size(), 0u);
  EXPECT_EQ(inbox_.positions()[0].next_offset, 999);
}

TEST_F(ReaderInboxTest, TroubleIsToldOnlyWhenNothingCame) {
  Opened(0);
  inbox_.SetTrouble(Status(StatusParts{.reason = "UNAVAILABLE", .retryable = true}));
  Push(Batch(0, 1), 1);
  EXPECT_TRUE(Poll().ok());
  EXPECT_EQ(Poll().status().reason(), "UNAVAILABLE");
}

TEST_F(ReaderInboxTest, AClosedInboxSaysSo) {
  inbox_.Close();
  EXPECT_EQ(inbox_.Poll(std::chrono::seconds(20)).status().reason(), "SHUTTING_DOWN");
}

}  // namespace
}  // namespace varve::client
