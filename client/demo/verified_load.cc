#include "client/demo/verified_load.h"

#include <utility>

#include "varve/reader.h"

namespace varve::demo {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kTick{5};

Status Wrong(std::string what) {
  return Status({.reason = "DATA_LOSS",
                 .message = std::move(what),
                 .advice = "Please report this as a defect of varve.",
                 .retryable = false,
                 .outcome = RequestOutcome::kNotApplied});
}

}  // namespace

VerifiedLoad::VerifiedLoad(const Client& client, std::string topic, uint32_t partitions,
                           uint64_t records_per_second)
    : client_(client),
      topic_(std::move(topic)),
      partitions_(partitions),
      records_per_second_(records_per_second),
      ledger_(std::make_shared<LoadLedger>(partitions)) {}

VerifiedLoad::~VerifiedLoad() {
  stop_.store(true);
  if (sender_.joinable()) sender_.join();
}

Status VerifiedLoad::Begin() {
  ProducerOptions options;
  options.delivery_timeout = std::chrono::minutes(2);
  auto producer = Producer::Create(client_, options);
  if (!producer.ok()) return producer.status();
  producer_ = std::make_unique<Producer>(std::move(*producer));
  sender_ = std::thread([this] { Run(); });
  return {};
}

// An open loop: what is due is sent, whatever became of what was sent before.
void VerifiedLoad::Run() {
  const auto begin = steady_clock::now();
  uint64_t sent = 0;
  while (!stop_.load()) {
    const double seconds = std::chrono::duration<double>(steady_clock::now() - begin).count();
    const auto due = static_cast<uint64_t>(seconds * static_cast<double>(records_per_second_));
    for (; sent < due && !stop_.load(); ++sent) {
      const auto partition = static_cast<uint32_t>(sent % partitions_);
      const uint64_t number = ledger_->Send(partition);
      const std::string value = LoadLedger::ValueOf(number);
      ProducerRecord record;
      record.topic = topic_;
      record.partition = partition;
      record.value = value;
      const Status status = producer_->Send(
          record, [ledger = ledger_, partition, number](const DeliveryReport& report) {
            if (!report.status.ok()) return ledger->Fail();
            ledger->Acknowledge(partition, number, steady_clock::now());
          });
      if (!status.ok()) ledger_->Fail();
    }
    std::this_thread::sleep_for(kTick);
  }
}

Status VerifiedLoad::End(milliseconds timeout) {
  stop_.store(true);
  if (sender_.joinable()) sender_.join();
  return producer_->Flush(timeout);
}

Status VerifiedLoad::Verify(milliseconds timeout) {
  const auto give_up = steady_clock::now() + timeout;
  auto reader = Reader::Create(client_);
  if (!reader.ok()) return reader.status();
  Status status = reader->AssignTopic(topic_, StartPosition::Start(), timeout);
  if (!status.ok()) return status;
  if (status = reader->StopAtEnd(timeout); !status.ok()) return status;
  while (!reader->AtStop()) {
    auto records = reader->Poll(std::chrono::seconds(1));
    if (!records.ok() && (!records.status().retryable() || steady_clock::now() > give_up))
      return records.status();
    if (!records.ok()) continue;
    for (const ReadRecord& record : *records) {
      const auto number = LoadLedger::ParseValue(record.value.value_or(""));
      if (!number || !ledger_->Read(record.partition, *number))
        return Wrong("offset " + std::to_string(record.offset) + " of partition " +
                     std::to_string(record.partition) + " holds what was never sent");
    }
    if (records->empty() && steady_clock::now() > give_up)
      return Wrong("the topic could not be read to its end in time");
  }
  return {};
}

}  // namespace varve::demo
