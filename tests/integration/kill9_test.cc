// kill -9 at random instants, under load: what was acknowledged is there, intact and in order.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <random>
#include <thread>

#include "tests/integration/ack_ledger.h"
#include "tests/integration/support/test_broker.h"
#include "tests/integration/support/wait_until.h"
#include "varve/varve.h"

namespace varve::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr char kTopic[] = "kill9";
constexpr uint32_t kProducers = 4;
constexpr uint32_t kPartitions = 8;
constexpr Compression kCodecs[kProducers] = {Compression::kNone, Compression::kLz4,
                                             Compression::kZstd, Compression::kSnappy};

ProducerOptions OptionsOf(uint32_t producer) {
  ProducerOptions options;
  options.compression = kCodecs[producer];
  options.batch_bytes = 8 * 1024;
  options.batch_max_bytes = 16 * 1024;
  // Paces the producers: they send no faster than acknowledgements free memory.
  options.buffer_bytes = 64 * 1024;
  options.delivery_timeout = seconds(60);
  return options;
}

// Four producers on threads of their own, sending until told to stop.
class Load {
 public:
  Load(const Client& client, AckLedger& ledger) : ledger_(ledger) {
    for (uint32_t p = 0; p < kProducers; ++p) {
      auto producer = Producer::Create(client, OptionsOf(p));
      EXPECT_TRUE(producer.ok()) << producer.status().ToString();
      producers_.push_back(std::make_unique<Producer>(std::move(*producer)));
    }
    for (uint32_t p = 0; p < kProducers; ++p) threads_.emplace_back([this, p] { Send(p); });
  }
  ~Load() { Finish(); }

  // Stops sending, and waits until everything has been reported.
  void Finish() {
    stop_.store(true);
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    for (auto& producer : producers_) {
      const Status status = producer->Close(seconds(60));
      EXPECT_TRUE(status.ok()) << status.ToString();
    }
  }
  [[nodiscard]] uint64_t failed() const { return failed_.load(); }
  [[nodiscard]] uint64_t possible_duplicates() const {
    uint64_t sum = 0;
    for (const auto& producer : producers_) sum += producer->stats().possible_duplicates;
    return sum;
  }

 private:
  void Send(uint32_t producer) {
    uint64_t sequences[kPartitions] = {};
    for (uint32_t i = producer; !stop_.load(std::memory_order_relaxed); ++i) {
      const uint32_t partition = i % kPartitions;
      const RecordNumber number{producer, partition, sequences[partition]};
      const std::string value = EncodeNumbered(number);
      const Status status = producers_[producer]->Send(
          {.topic = kTopic, .partition = partition, .value = value},
          [this, number](const DeliveryReport& report) { OnReport(number, report); });
      if (status.ok())
        ++sequences[partition];
      else if (!status.retryable())
        return Fail(status);
    }
  }
  void OnReport(const RecordNumber& number, const DeliveryReport& report) {
    if (!report.status.ok()) return Fail(report.status);
    ledger_.Acknowledge(number, report.offset);
  }
  void Fail(const Status& status) {
    if (failed_.fetch_add(1) == 0) ADD_FAILURE() << status.ToString();
    stop_.store(true);
  }

  AckLedger& ledger_;
  std::vector<std::unique_ptr<Producer>> producers_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> failed_{0};
};

class Kill9 : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(broker_.Start());
    auto client = Client::Create({.bootstrap = {broker_.address()}, .client_id = "kill9"});
    ASSERT_TRUE(client.ok());
    client_.emplace(*client);
    const auto topic = Admin(*client_).CreateTopic({.name = kTopic, .partitions = kPartitions});
    ASSERT_TRUE(topic.ok()) << topic.status().ToString();
  }

  // Reads on from where the ledger is, to the end as it is now, and judges. Empty, or what is
  // wrong.
  std::string JudgeLog() {
    const auto known = ledger_.Known();
    auto reader = Reader::Create(*client_);
    std::vector<Assignment> assignments;
    for (uint32_t p = 0; p < kPartitions; ++p)
      assignments.push_back({{kTopic, p}, StartPosition::Offset(ledger_.next_offset(p))});
    if (Status status = reader->Assign(assignments); !status.ok()) return status.ToString();
    if (Status status = reader->StopAtEnd(seconds(30)); !status.ok()) return status.ToString();
    while (!reader->AtStop()) {
      auto records = reader->Poll(seconds(10));
      if (!records.ok()) return records.status().ToString();
      if (records->empty() && !reader->AtStop()) return "the reader got nothing for 10 s";
      for (const ReadRecord& record : *records) {
        std::string wrong =
            ledger_.Read(record.partition, record.offset, record.value.value_or(""), kills_);
        if (!wrong.empty()) return wrong;
      }
    }
    return ledger_.Judge(known);
  }

  // Kills the broker when some more records are acknowledged: a random instant.
  void KillUnderLoad(const Load& load) {
    const uint64_t enough = ledger_.acknowledged() + 1 + random_() % 15'000;
    EXPECT_TRUE(WaitUntil([&] { return ledger_.acknowledged() >= enough || load.failed() > 0; },
                          seconds(60), milliseconds(1)))
        << "no progress: " << ledger_.acknowledged() << " of " << enough << " records";
    broker_.process().Kill();
    ++kills_;
    // Also within recovery, now and then.
    while (random_() % 4 == 0) {
      (void)broker_.process().Start(milliseconds(random_() % 80));
      broker_.process().Kill();
      ++kills_;
    }
  }

  TestBroker broker_{{"--journal.file_bytes=4MiB", "--storage.sync_interval=300ms"}};
  AckLedger ledger_{kProducers, kPartitions};
  std::mt19937_64 random_{TestSeed()};
  uint32_t kills_ = 0;
  std::optional<Client> client_;
};

TEST_F(Kill9, LosesAndTearsNothingAndKeepsTheOrder) {
  const int cycles = SlowTestsWanted() ? 200 : 20;
  const auto begin = steady_clock::now();
  Load load(*client_, ledger_);
  for (int cycle = 0; cycle < cycles && load.failed() == 0; ++cycle) {
    KillUnderLoad(load);
    ASSERT_TRUE(broker_.Start()) << "after kill " << cycle + 1 << ", VARVE_SEED=" << TestSeed();
    ASSERT_EQ(JudgeLog(), "") << "after kill " << cycle + 1 << ", VARVE_SEED=" << TestSeed();
  }
  const double took = std::chrono::duration<double>(steady_clock::now() - begin).count();
  const uint64_t in_time = ledger_.acknowledged();
  load.Finish();
  EXPECT_EQ(load.failed(), 0u);
  EXPECT_EQ(JudgeLog(), "");
  // And once more as a whole: nothing that was judged before went away since.
  ledger_.BeginReading();
  EXPECT_EQ(JudgeLog(), "");
  std::printf(
      "%u kills, %lu records acknowledged in %.1f s (%.0f/s, kills and restarts included), "
      "%lu copies of resent records\n",
      kills_, ledger_.acknowledged(), took, static_cast<double>(in_time) / took, ledger_.copies());
  EXPECT_GE(static_cast<double>(in_time) / took, 2000.0);
  EXPECT_LE(ledger_.copies(), load.possible_duplicates());
  broker_.StopCleanly();
}

}  // namespace
}  // namespace varve::testing
