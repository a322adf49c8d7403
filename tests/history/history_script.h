// Histories written by hand, a call for each operation.
#ifndef VARVE_TESTS_HISTORY_HISTORY_SCRIPT_H_
#define VARVE_TESTS_HISTORY_HISTORY_SCRIPT_H_

#include <map>
#include <string>
#include <vector>

#include "tests/history/history.h"

namespace varve::history {

// Builds the text of a history. Operations take the time [at, at + 5] unless At says otherwise, and
// each begins 10 later than the one before it.
class HistoryScript {
 public:
  HistoryScript& Ok(uint32_t process, int64_t value, int64_t offset) {
    return Produce(process, value, Outcome::kOk, offset);
  }
  HistoryScript& Fail(uint32_t process, int64_t value) {
    return Produce(process, value, Outcome::kFail, kNone);
  }
  HistoryScript& Unknown(uint32_t process, int64_t value) {
    return Produce(process, value, Outcome::kUnknown, kNone);
  }
  HistoryScript& Assign(uint32_t process, int64_t from) {
    Operation operation = Next(process, OperationKind::kAssign);
    operation.from = from;
    return Add(operation);
  }
  HistoryScript& Fetch(uint32_t process, std::vector<SeenRecord> records) {
    Operation operation = Next(process, OperationKind::kFetch);
    if (!records.empty()) operation.to = records.back().offset + 1;
    return Add(operation, std::move(records));
  }
  // Of the next operation.
  HistoryScript& At(int64_t invoke, int64_t complete) {
    now_ = invoke;
    complete_ = complete;
    return *this;
  }
  HistoryScript& Repeats() {
    repeats_ = true;
    return *this;
  }
  HistoryScript& With(Outcome outcome) {
    outcome_ = outcome;
    return *this;
  }
  HistoryScript& Key(std::string key) {
    key_ = std::move(key);
    return *this;
  }
  HistoryScript& Gaps() {
    contiguous_ = false;
    return *this;
  }
  // Assigns `process` at the start and lets it read these; the final read.
  HistoryScript& Final(uint32_t process, std::vector<SeenRecord> records) {
    final_.push_back(process);
    return Assign(process, 0).Fetch(process, std::move(records));
  }
  [[nodiscard]] std::string Text() const {
    return HeaderLine(contiguous_, 1) + body_ + EndLine(count_, final_);
  }

 private:
  HistoryScript& Produce(uint32_t process, int64_t value, Outcome outcome, int64_t offset) {
    Operation operation = Next(process, OperationKind::kProduce);
    operation.value = value;
    operation.outcome = outcome;
    operation.offset = offset;
    return Add(operation);
  }
  Operation Next(uint32_t process, OperationKind kind) {
    Operation operation;
    operation.kind = kind;
    operation.process = process;
    operation.number = numbers_[process]++;
    operation.invoke_ns = now_;
    operation.complete_ns = complete_ >= 0 ? complete_ : now_ + 5;
    operation.repeats = repeats_;
    operation.outcome = outcome_;
    complete_ = -1;
    repeats_ = false;
    outcome_ = Outcome::kOk;
    return operation;
  }
  HistoryScript& Add(const Operation& operation, std::vector<SeenRecord> records = {}) {
    body_ += OperationLine(operation, key_, records);
    now_ += 10;
    ++count_;
    return *this;
  }

  std::string body_;
  std::string key_ = "t/0";
  std::map<uint32_t, uint64_t> numbers_;
  std::vector<uint32_t> final_;
  uint64_t count_ = 0;
  int64_t now_ = 1000;
  int64_t complete_ = -1;
  bool repeats_ = false;
  bool contiguous_ = true;
  Outcome outcome_ = Outcome::kOk;
};

}  // namespace varve::history

#endif  // VARVE_TESTS_HISTORY_HISTORY_SCRIPT_H_
