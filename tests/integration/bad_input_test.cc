// Hostile requests through the gRPC door: each is refused with a clear error, nothing is lost, and
// the broker goes on serving.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "common/bytes.h"
#include "common/crc32c.h"
#include "common/record_batch_builder.h"
#include "common/record_batch_layout.h"
#include "tests/integration/support/raw_client.h"
#include "tests/integration/support/test_broker.h"
#include "tests/integration/support/wait_until.h"

namespace varve::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using ::testing::HasSubstr;
namespace layout = batch_layout;

constexpr char kTopic[] = "sound";
constexpr int64_t kNow = 1'700'000'000'000;

std::string Batch(const std::vector<std::string>& values, Codec codec = Codec::kNone,
                  int64_t timestamp = kNow) {
  RecordBatchBuilder builder({.codec = codec});
  for (const std::string& value : values)
    EXPECT_TRUE(builder.Add(WallTime(timestamp), std::nullopt, value).ok());
  return builder.Build().value();
}

// So that a wrong field is found for itself and not by the checksum.
std::string WithRightCrc(std::string batch) {
  StoreBig(batch.data() + layout::kCrcAt,
           Crc32c(std::string_view(batch).substr(layout::kAttributesAt)));
  return batch;
}

template <class Int>
std::string Patched(std::string batch, size_t at, Int value) {
  StoreBig(batch.data() + at, value);
  return batch;
}

class BadInput : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    broker_ = new TestBroker;
    ASSERT_TRUE(broker_->Start());
    client_ = new RawClient(broker_->address());
    ASSERT_EQ(client_->CreateTopic(kTopic, 2).reason, "OK");
    pid_ = broker_->process().pid();
  }
  static void TearDownTestSuite() {
    delete client_;
    if (broker_ != nullptr) broker_->StopCleanly();
    delete broker_;
  }
  void SetUp() override { AppendOne(); }
  // Still there, everything there, and taking more.
  void TearDown() override {
    AppendOne();
    EXPECT_EQ(broker_->HttpGet("/readyz"), "ok\n");
    EXPECT_EQ(kill(pid_, 0), 0) << "the broker is not the same process any more";
    v1::FetchResult result;
    ASSERT_EQ(client_->Fetch(kTopic, 0, 0, &result).reason, "OK");
    ASSERT_EQ(result.records_size(), static_cast<int>(kept_.size()));
    for (int i = 0; i < result.records_size(); ++i) {
      EXPECT_EQ(result.records(i).value(), kept_[i]);
      EXPECT_EQ(result.records(i).offset(), i);
    }
  }
  static void AppendOne() {
    const std::string value = "kept " + std::to_string(kept_.size());
    int64_t offset = -1;
    const Answer answer = client_->Produce(kTopic, 0, Batch({value}), &offset);
    ASSERT_EQ(answer.reason, "OK") << answer.message;
    ASSERT_EQ(offset, static_cast<int64_t>(kept_.size()));
    kept_.push_back(value);
  }
  static void ExpectRefused(const Answer& answer, const std::string& reason,
                            const std::string& text) {
    EXPECT_EQ(answer.reason, reason) << answer.message;
    EXPECT_THAT(answer.message, HasSubstr(text));
    EXPECT_EQ(answer.outcome, "NOT_APPLIED");
    EXPECT_NE(answer.advice, "");
  }

  static TestBroker* broker_;
  static RawClient* client_;
  static pid_t pid_;
  static std::vector<std::string> kept_;
};
TestBroker* BadInput::broker_ = nullptr;
RawClient* BadInput::client_ = nullptr;
pid_t BadInput::pid_ = 0;
std::vector<std::string> BadInput::kept_;

struct DamagedBatch {
  const char* name;
  std::string batch;
  const char* reason;
  const char* text;
};

std::vector<DamagedBatch> DamagedBatches() {
  const std::string good = Batch({"one", "two", "three"});
  const int64_t late =
      std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count() +
      24 * 3'600'000;
  std::string flipped = good;
  flipped.back() = static_cast<char>(flipped.back() ^ 1);
  return {
      {"empty", "", "CORRUPT_BATCH", "shorter than its header"},
      {"crc", Patched<uint32_t>(good, layout::kCrcAt, 1), "CORRUPT_BATCH", "fails its CRC"},
      {"flipped bit", flipped, "CORRUPT_BATCH", "fails its CRC"},
      {"cut short", good.substr(0, good.size() - 5), "CORRUPT_BATCH", "claims"},
      {"length too large", Patched<int32_t>(good, layout::kLengthAt, 1 << 30), "CORRUPT_BATCH",
       "claims 1073741824 bytes"},
      {"negative length", Patched<int32_t>(good, layout::kLengthAt, -1), "CORRUPT_BATCH", "claims"},
      {"two batches", good + good, "CORRUPT_BATCH", "behind it"},
      {"magic", WithRightCrc(Patched<int8_t>(good, layout::kMagicAt, 1)), "INVALID_BATCH",
       "magic 1"},
      {"count too large",
       WithRightCrc(Patched<int32_t>(Patched<int32_t>(good, layout::kRecordCountAt, 4),
                                     layout::kLastOffsetDeltaAt, 3)),
       "INVALID_BATCH", "record 3"},
      {"count too small",
       WithRightCrc(Patched<int32_t>(Patched<int32_t>(good, layout::kRecordCountAt, 2),
                                     layout::kLastOffsetDeltaAt, 1)),
       "INVALID_BATCH", "more bytes than records"},
      {"negative count", WithRightCrc(Patched<int32_t>(good, layout::kRecordCountAt, -7)),
       "INVALID_BATCH", "counts -7"},
      {"count of billions",
       WithRightCrc(Patched<int32_t>(Patched<int32_t>(good, layout::kRecordCountAt, 2'000'000'000),
                                     layout::kLastOffsetDeltaAt, 1'999'999'999)),
       "BATCH_TOO_LARGE", "2000000000 records"},
      {"maximum timestamp", WithRightCrc(Patched<int64_t>(good, layout::kMaxTimestampAt, kNow + 1)),
       "INVALID_TIMESTAMP", "maximum timestamp"},
      {"a day ahead", Batch({"late"}, Codec::kNone, late), "INVALID_TIMESTAMP", "timestamp"},
      {"codec", WithRightCrc(Patched<int16_t>(good, layout::kAttributesAt, 7)),
       "UNSUPPORTED_COMPRESSION", "7"},
      {"not gzip", WithRightCrc(Patched<int16_t>(good, layout::kAttributesAt, 1)), "INVALID_BATCH",
       "gzip"},
      {"producer id", WithRightCrc(Patched<int64_t>(good, layout::kProducerIdAt, 5)),
       "INVALID_BATCH", "producer 5"},
      {"control bit", WithRightCrc(Patched<int16_t>(good, layout::kAttributesAt, 0x20)),
       "INVALID_BATCH", "control"},
  };
}

TEST_F(BadInput, RefusesDamagedBatches) {
  for (const DamagedBatch& damaged : DamagedBatches()) {
    SCOPED_TRACE(damaged.name);
    ExpectRefused(client_->Produce(kTopic, 0, damaged.batch), damaged.reason, damaged.text);
  }
}

TEST_F(BadInput, RefusesACompressionBomb) {
  // 200 MiB of zeroes in a few KiB.
  RecordBatchBuilder builder({.codec = Codec::kZstd});
  const std::string zeroes(10 << 20, '\0');
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(builder.Add(WallTime(kNow), std::nullopt, zeroes).ok());
  const std::string bomb = builder.Build().value();
  ASSERT_LT(bomb.size(), 100u << 10);
  const size_t before = broker_->ResidentBytes();
  for (int i = 0; i < 5; ++i)
    ExpectRefused(client_->Produce(kTopic, 0, bomb), "BATCH_TOO_LARGE", "decompress");
  EXPECT_LT(broker_->ResidentBytes(), before + (16u << 20));
}

TEST_F(BadInput, RefusesWhatIsTooLarge) {
  ExpectRefused(client_->Produce(kTopic, 0, Batch({std::string(2 << 20, 'x')})), "BATCH_TOO_LARGE",
                "at most 1048576 are allowed");
  // Beyond one message: gRPC refuses before anything of ours sees it.
  const Answer answer = client_->Produce(kTopic, 0, std::string(17 << 20, 'x'));
  EXPECT_EQ(answer.reason, "grpc 8") << answer.message;
  EXPECT_THAT(answer.message, HasSubstr("16777216"));
}

TEST_F(BadInput, NamesWhatIsUnknown) {
  const std::string batch = Batch({"x"});
  ExpectRefused(client_->Produce("nowhere", 0, batch), "UNKNOWN_TOPIC", "\"nowhere\"");
  ExpectRefused(client_->Fetch("nowhere", 0, 0), "UNKNOWN_TOPIC", "\"nowhere\"");
  ExpectRefused(client_->Produce(kTopic, 2, batch), "UNKNOWN_PARTITION", "has 2 partitions, not 2");
  ExpectRefused(client_->Fetch(kTopic, 4'000'000'000u, 0), "UNKNOWN_PARTITION", "4000000000");
  ExpectRefused(client_->Fetch(kTopic, 0, 1'000'000), "OFFSET_OUT_OF_RANGE",
                "offset 1000000 is beyond the high watermark");
  ExpectRefused(client_->Fetch(kTopic, 0, -3), "OFFSET_OUT_OF_RANGE", "below the log start 0");
}

TEST_F(BadInput, RefusesIllegalTopics) {
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("a/b"),
        std::string("../../etc"), std::string("with space"), std::string("nul\0byte", 8),
        std::string("umlaut-\xc3\xa4"), std::string(250, 'a')})
    EXPECT_EQ(client_->CreateTopic(name, 1).reason, "INVALID_TOPIC_NAME") << "name: " << name;
  ExpectRefused(client_->CreateTopic("a/b", 1), "INVALID_TOPIC_NAME", "position 1");
  ExpectRefused(client_->CreateTopic("s", 4'000'000'000u), "INVALID_PARTITIONS", "10000");
  ExpectRefused(client_->CreateTopic(kTopic, 1), "TOPIC_EXISTS", kTopic);
  EXPECT_EQ(client_->CreateTopic(std::string(249, 'a'), 1).reason, "OK");
}

// --- Streams
// --------------------------------------------------------------------------------------

// Streams that are opened and left alone are ended, and hold up nobody.
TEST_F(BadInput, EndsStreamsThatSendNothing) {
  RawClient silent(broker_->address());
  const auto produce_context = RawClient::Context(seconds(120));
  const auto subscribe_context = RawClient::Context(seconds(120));
  auto produce = silent.log().ProduceStream(produce_context.get());
  auto subscribe = silent.log().Subscribe(subscribe_context.get());
  const auto begin = steady_clock::now();
  AppendOne();
  std::thread other([&] {
    v1::SubscribeReply reply;
    while (subscribe->Read(&reply)) {
    }
  });
  v1::ProduceStreamReply reply;
  while (produce->Read(&reply)) {
  }
  other.join();
  ExpectRefused(AnswerOf(produce->Finish()), "INVALID_REQUEST", "30 s");
  ExpectRefused(AnswerOf(subscribe->Finish()), "INVALID_REQUEST", "30 s");
  EXPECT_LT(steady_clock::now() - begin, seconds(60));
}

TEST_F(BadInput, EndsStreamsThatBreakTheRules) {
  {
    const auto context = RawClient::Context();
    auto stream = client_->log().Subscribe(context.get());
    v1::SubscribeRequest request;
    request.mutable_credit()->set_bytes(1);
    stream->Write(request);
    v1::SubscribeReply reply;
    EXPECT_FALSE(stream->Read(&reply));
    ExpectRefused(AnswerOf(stream->Finish()), "INVALID_REQUEST", "must be open");
  }
  const auto context = RawClient::Context();
  auto stream = client_->log().ProduceStream(context.get());
  v1::ProduceStreamRequest request;
  request.mutable_batch()->set_request_id(9);
  request.mutable_batch()->set_handle(3);
  request.mutable_batch()->set_batch(Batch({"x"}));
  stream->Write(request);
  stream->WritesDone();
  v1::ProduceStreamReply reply;
  bool answered = false;
  while (stream->Read(&reply)) {
    if (!reply.has_ack()) continue;
    answered = true;
    EXPECT_EQ(reply.ack().request_id(), 9u);
    ExpectRefused(AnswerOf(reply.ack().error()), "INVALID_REQUEST", "handle 3 was not opened");
  }
  EXPECT_TRUE(answered);
  EXPECT_EQ(AnswerOf(stream->Finish()).reason, "OK");
}

// Subscribers with endless credit that never read: the broker holds a window for each, not the log.
TEST_F(BadInput, BoundsTheMemoryOfSubscribersThatDoNotRead) {
  constexpr int kMegabytes = 96;
  constexpr int kSubscribers = 4;
  ASSERT_EQ(client_->CreateTopic("large", 1).reason, "OK");
  const std::string batch = Batch({std::string(1'000'000, 'x')});
  for (int i = 0; i < kMegabytes; ++i) ASSERT_EQ(client_->Produce("large", 0, batch).reason, "OK");
  const size_t before = broker_->ResidentBytes();
  RawClient lazy(broker_->address());
  struct Call {
    std::unique_ptr<grpc::ClientContext> context;
    std::unique_ptr<grpc::ClientReaderWriter<v1::SubscribeRequest, v1::SubscribeReply>> stream;
  };
  std::vector<Call> calls(kSubscribers);
  v1::SubscribeRequest request;
  auto* partition = request.mutable_open()->add_partitions();
  partition->set_topic("large");
  partition->mutable_from()->set_start(true);
  request.mutable_open()->mutable_credit()->set_bytes(int64_t{1} << 40);
  request.mutable_open()->mutable_credit()->set_records(int64_t{1} << 40);
  for (Call& call : calls) {
    call.context = RawClient::Context(seconds(60));
    call.stream = lazy.log().Subscribe(call.context.get());
    ASSERT_TRUE(call.stream->Write(request));
  }
  // Other clients go on meanwhile.
  EXPECT_FALSE(WaitUntil(
      [&] {
        AppendOne();
        return broker_->ResidentBytes() > before + (80u << 20);
      },
      seconds(3), milliseconds(20)))
      << "the broker grew from " << before << " to " << broker_->ResidentBytes() << " bytes";
  for (Call& call : calls) call.context->TryCancel();
  for (Call& call : calls) call.stream->Finish();
}

// A producer that floods and never reads its answers.
TEST_F(BadInput, BoundsTheMemoryOfProducersThatDoNotRead) {
  const size_t before = broker_->ResidentBytes();
  RawClient lazy(broker_->address());
  const auto context = RawClient::Context(seconds(60));
  auto stream = lazy.log().ProduceStream(context.get());
  std::atomic<uint64_t> sent{0};
  std::thread flood([&] {
    v1::ProduceStreamRequest request;
    request.mutable_open()->set_topic(kTopic);
    stream->Write(request);
    request.mutable_batch()->set_batch("x");
    while (stream->Write(request)) ++sent;
  });
  EXPECT_FALSE(WaitUntil(
      [&] {
        AppendOne();
        return broker_->ResidentBytes() > before + (48u << 20);
      },
      seconds(4), milliseconds(20)))
      << "the broker grew from " << before << " to " << broker_->ResidentBytes() << " bytes after "
      << sent << " batches";
  context->TryCancel();
  flood.join();
  stream->Finish();
}

}  // namespace
}  // namespace varve::testing
