#include "tests/integration/recorder/recorded_reader.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace varve::testing {

using history::Operation;
using history::OperationKind;
using history::SeenRecord;

namespace {

constexpr std::chrono::milliseconds kPoll{100};
constexpr std::chrono::seconds kLifetime{10};
constexpr int64_t kReadAgain = 500;  // records that the next process reads once more

Reader Make(const Client& client) {
  Result<Reader> reader = Reader::Create(client);
  return *std::move(reader);  // the options are the defaults, which are valid
}

}  // namespace

ReaderProcess::ReaderProcess(RecordedRun& run, std::vector<int64_t> from)
    : run_(run),
      process_(run.NewProcess()),
      positions_(std::move(from)),
      seen_(positions_.size()),
      reader_(Make(run.client)) {}

Status ReaderProcess::Start() {
  std::vector<Assignment> assignments;
  assignments.reserve(positions_.size());
  for (uint32_t partition = 0; partition < positions_.size(); ++partition) {
    Operation assign;
    assign.kind = OperationKind::kAssign;
    assign.process = process_;
    assign.number = next_number_++;
    assign.invoke_ns = assign.complete_ns = HistoryNow();
    assign.from = positions_[partition];
    run_.sink.Add(assign, run_.keys[partition]);
    assignments.push_back({{run_.topic, partition}, StartPosition::Offset(positions_[partition])});
  }
  return reader_.Assign(std::move(assignments));
}

void ReaderProcess::Record(uint32_t partition, int64_t invoke_ns, int64_t to) {
  Operation fetch;
  fetch.kind = OperationKind::kFetch;
  fetch.process = process_;
  fetch.number = next_number_++;
  fetch.invoke_ns = invoke_ns;
  fetch.complete_ns = HistoryNow();
  fetch.from = positions_[partition];
  fetch.to = to;
  run_.sink.Add(fetch, run_.keys[partition], seen_[partition]);
  run_.records_read += seen_[partition].size();
  positions_[partition] = to;
  seen_[partition].clear();
}

void ReaderProcess::OnError(const Status& status) {
  const std::string_view name = status.Detail("partition");
  // Without a partition, the connection is in trouble, and the client is at it.
  if (name.empty()) return;
  uint32_t partition = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), partition);
  if (error != std::errc() || end != name.data() + name.size() || partition >= positions_.size())
    return run_.Problem("poll, of no partition: " + status.ToString());
  run_.Problem("poll: " + status.ToString());
  const Status seek =
      reader_.Seek({run_.topic, partition}, StartPosition::Offset(positions_[partition]));
  if (!seek.ok()) run_.Problem("seek: " + seek.ToString());
}

void ReaderProcess::Poll(std::chrono::milliseconds patience) {
  const int64_t invoke_ns = HistoryNow();
  const Result<Records> records = reader_.Poll(patience);
  if (!records.ok()) return OnError(records.status());
  for (const ReadRecord& record : *records) {
    const int64_t value = record.value ? DecodeValue(*record.value) : history::kForeignValue;
    if (record.partition < seen_.size()) seen_[record.partition].push_back({record.offset, value});
  }
  for (const ReaderPosition& position : reader_.positions()) {
    const uint32_t partition = position.partition.partition;
    if (partition >= seen_.size()) continue;
    if (!seen_[partition].empty() || records->empty())
      Record(partition, invoke_ns, position.next_offset);
  }
}

Status ReaderProcess::ReadToEnd(std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  if (Status status = reader_.StopAtEnd(patience); !status.ok()) return status;
  while (!reader_.AtStop()) {
    if (std::chrono::steady_clock::now() > deadline) {
      return Status({.reason = "DEADLINE_EXCEEDED", .message = "the ends were not reached"});
    }
    Poll(kPoll);
  }
  return Status();
}

void RecordedReader::Start() {
  thread_ = std::thread([this] { Run(); });
}

void RecordedReader::Stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void RecordedReader::Run() {
  std::vector<int64_t> from(run_.keys.size(), 0);
  while (!stop_) {
    ReaderProcess process(run_, from);
    if (const Status status = process.Start(); !status.ok())
      return run_.Problem("assign: " + status.ToString());
    const auto end = std::chrono::steady_clock::now() + kLifetime;
    while (!stop_ && std::chrono::steady_clock::now() < end) process.Poll(kPoll);
    from = process.positions();
    for (int64_t& position : from) position = std::max<int64_t>(0, position - kReadAgain);
  }
}

}  // namespace varve::testing
