#include "tests/integration/recorder/recorded_writer.h"

#include <charconv>
#include <utility>

namespace varve::testing {

using history::Operation;
using history::OperationKind;
using history::Outcome;

std::string EncodeValue(int64_t value, size_t bytes) {
  std::string out = std::to_string(value);
  if (out.size() < bytes) out.resize(bytes, ' ');
  return out;
}

int64_t DecodeValue(std::string_view bytes) {
  int64_t value = 0;
  const char* end = bytes.data() + bytes.size();
  const auto [digits_end, error] = std::from_chars(bytes.data(), end, value);
  if (error != std::errc() || value < 0 || value > history::kMaxNumber)
    return history::kForeignValue;
  for (const char* at = digits_end; at != end; ++at) {
    if (*at != ' ') return history::kForeignValue;
  }
  return value;
}

RecordedWriter::RecordedWriter(RecordedRun& run, const WriterOptions& options)
    : run_(run), options_(options), process_(run.NewProcess()) {}

RecordedWriter::~RecordedWriter() {
  Stop();
  Close(std::chrono::milliseconds(0));
}

Status RecordedWriter::Start() {
  ProducerOptions options;
  options.retry_unknown = options_.retry_unknown;
  options.delivery_timeout = options_.delivery_timeout;
  options.when_full = WhenFull::kFail;
  Result<Producer> producer = Producer::Create(run_.client, options);
  if (!producer.ok()) return producer.status();
  producer_ = *std::move(producer);
  thread_ = std::thread([this] { Run(); });
  return Status();
}

void RecordedWriter::Stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stopped_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void RecordedWriter::Close(std::chrono::milliseconds patience) {
  if (!producer_) return;
  (void)producer_->Close(patience);
  producer_.reset();
}

void RecordedWriter::Run() {
  const auto begin = std::chrono::steady_clock::now();
  uint64_t sent = 0;
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
    const auto due = static_cast<uint64_t>(elapsed.count() * options_.records_per_second);
    // What could not be sent in its time is left out: a backlog would hide how long writes stood.
    lock.unlock();
    for (; sent < due; ++sent) {
      if (pending_ < kMaxPending && !SendNext()) break;
    }
    lock.lock();
    stopped_.wait_for(lock, std::chrono::milliseconds(2), [this] { return stop_; });
  }
}

bool RecordedWriter::SendNext() {
  Operation operation;
  operation.kind = OperationKind::kProduce;
  operation.process = process_;
  operation.number = next_number_;
  operation.repeats = options_.retry_unknown;
  operation.value = (int64_t{process_} << 32) | static_cast<int64_t>(next_number_);
  operation.invoke_ns = HistoryNow();
  const std::string value = EncodeValue(operation.value, options_.record_bytes);
  ++pending_;
  const Status status = producer_->Send(
      {.topic = run_.topic, .partition = options_.partition, .value = value},
      [this, operation](const DeliveryReport& report) { Report(operation, report); });
  if (status.ok()) {
    ++next_number_;
    return true;
  }
  --pending_;
  if (status.reason() != "OVERLOADED") run_.Problem("send: " + status.ToString());
  return false;
}

void RecordedWriter::Report(Operation operation, const DeliveryReport& report) {
  operation.complete_ns = HistoryNow();
  if (report.status.ok()) {
    operation.offset = report.offset;
    ++run_.acknowledged[options_.partition];
  } else if (report.status.outcome() == RequestOutcome::kNotApplied) {
    operation.outcome = Outcome::kFail;
    ++run_.failed;
  } else {
    operation.outcome = Outcome::kUnknown;
    ++run_.unknown;
  }
  run_.sink.Add(operation, run_.keys[options_.partition]);
  --pending_;
}

}  // namespace varve::testing
