#include "tests/history/history_reader.h"

#include <algorithm>
#include <array>
#include <functional>
#include <istream>
#include <map>
#include <sstream>
#include <streambuf>
#include <string>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "common/strings.h"
#include "tests/history/json_line.h"

namespace varve::history {
namespace {

absl::Status LineError(uint64_t line, std::string_view what) {
  return absl::InvalidArgumentError(ToAbsl(StrCat("line ", line, ": ", what)));
}

enum Field : uint32_t {
  kOp,
  kProcess,
  kNumber,
  kInvoke,
  kComplete,
  kOutcome,
  kKey,
  kValue,
  kOffset,
  kRepeats,
  kFrom,
  kTo,
  kRecords,
  kHistory,
  kVersion,
  kContiguous,
  kSeed,
  kEnd,
  kOperations,
  kFinal,
  kFields,
};
constexpr std::array<std::string_view, kFields> kFieldNames = {
    "op",      "process",    "number",  "invoke", "complete",   "outcome", "key",
    "value",   "offset",     "repeats", "from",   "to",         "records", "history",
    "version", "contiguous", "seed",    "end",    "operations", "final"};

constexpr uint32_t Bits(std::initializer_list<Field> fields) {
  uint32_t out = 0;
  for (const Field field : fields) out |= 1U << field;
  return out;
}
constexpr uint32_t kCommon = Bits({kOp, kProcess, kNumber, kInvoke, kComplete, kOutcome, kKey});
constexpr uint32_t kHeader = Bits({kHistory, kVersion, kContiguous, kSeed});
constexpr uint32_t kEndFields = Bits({kEnd, kOperations, kFinal});

class Reader {
 public:
  absl::Status Line(std::string_view text);
  absl::StatusOr<History> Finish();

 private:
  struct Parsed {
    uint32_t present = 0;
    Operation operation;
    std::string_view op, outcome, key, history;
    bool contiguous = false, end = false;
    int64_t version = 0, seed = 0, operations = 0;
  };
  bool Object(JsonLine& json, Parsed& out);
  bool FieldValue(JsonLine& json, Field field, Parsed& out);
  bool Records(JsonLine& json, Operation& out);
  bool FinalProcesses(JsonLine& json);
  absl::Status TakeHeader(const Parsed& parsed);
  absl::Status TakeEnd(const Parsed& parsed);
  absl::Status TakeOperation(Parsed& parsed);
  absl::Status CheckOperation(const Parsed& parsed) const;
  [[nodiscard]] absl::Status Wrong(std::string_view what) const { return LineError(line_, what); }
  [[nodiscard]] std::string DifferentFields(uint32_t present, uint32_t wanted) const;
  absl::Status CheckNumbers() const;
  absl::Status CheckValues() const;

  uint64_t line_ = 0;
  bool ended_ = false;
  History history_;
  std::map<std::string, uint32_t, std::less<>> key_numbers_;
};

bool Reader::Records(JsonLine& json, Operation& out) {
  out.first_record = history_.records.size();
  if (!json.Expect('[')) return false;
  if (json.Take(']')) return true;
  do {
    SeenRecord record;
    if (!json.Expect('[') || !json.Integer(0, kMaxNumber, &record.offset) || !json.Expect(',') ||
        !json.Integer(kForeignValue, kMaxNumber, &record.value) || !json.Expect(']'))
      return false;
    history_.records.push_back(record);
    ++out.records;
  } while (json.Take(','));
  return json.Expect(']');
}

bool Reader::FinalProcesses(JsonLine& json) {
  if (!json.Expect('[')) return false;
  if (json.Take(']')) return true;
  do {
    int64_t process = 0;
    if (!json.Integer(0, UINT32_MAX, &process)) return false;
    history_.final_processes.push_back(static_cast<uint32_t>(process));
  } while (json.Take(','));
  std::sort(history_.final_processes.begin(), history_.final_processes.end());
  return json.Expect(']');
}

bool Reader::FieldValue(JsonLine& json, Field field, Parsed& out) {
  Operation& operation = out.operation;
  int64_t number = 0;
  switch (field) {
    case kOp:
      return json.String(&out.op);
    case kOutcome:
      return json.String(&out.outcome);
    case kKey:
      return json.String(&out.key);
    case kHistory:
      return json.String(&out.history);
    case kRepeats:
      return json.Boolean(&operation.repeats);
    case kContiguous:
      return json.Boolean(&out.contiguous);
    case kEnd:
      return json.Boolean(&out.end);
    case kInvoke:
      return json.Integer(0, kMaxNumber, &operation.invoke_ns);
    case kComplete:
      return json.Integer(0, kMaxNumber, &operation.complete_ns);
    case kValue:
      return json.Integer(0, kMaxNumber, &operation.value);
    case kOffset:
      return json.Integer(0, kMaxNumber, &operation.offset);
    case kFrom:
      return json.Integer(kNone, kMaxNumber, &operation.from);
    case kTo:
      return json.Integer(kNone, kMaxNumber, &operation.to);
    case kVersion:
      return json.Integer(0, kMaxNumber, &out.version);
    case kSeed:
      return json.Integer(0, kMaxNumber, &out.seed);
    case kOperations:
      return json.Integer(0, kMaxNumber, &out.operations);
    case kRecords:
      return Records(json, operation);
    case kFinal:
      return FinalProcesses(json);
    case kNumber:
      if (!json.Integer(0, kMaxNumber, &number)) return false;
      operation.number = static_cast<uint64_t>(number);
      return true;
    case kProcess:
      if (!json.Integer(0, UINT32_MAX, &number)) return false;
      operation.process = static_cast<uint32_t>(number);
      return true;
    case kFields:
      break;
  }
  return json.Fail("no such field");
}

bool Reader::Object(JsonLine& json, Parsed& out) {
  if (!json.Expect('{')) return false;
  do {
    std::string_view name;
    if (!json.String(&name)) return false;
    const auto* found = std::find(kFieldNames.begin(), kFieldNames.end(), name);
    if (found == kFieldNames.end()) return json.Fail(StrCat("unknown field \"", name, "\""));
    const auto field = static_cast<Field>(found - kFieldNames.begin());
    if ((out.present & Bits({field})) != 0)
      return json.Fail(StrCat("field \"", name, "\" stands twice"));
    out.present |= Bits({field});
    if (!json.Expect(':') || !FieldValue(json, field, out)) return false;
  } while (json.Take(','));
  return json.Expect('}') && json.End();
}

std::string Reader::DifferentFields(uint32_t present, uint32_t wanted) const {
  for (uint32_t field = 0; field < kFields; ++field) {
    const uint32_t bit = 1U << field;
    if ((present & bit) == (wanted & bit)) continue;
    return StrCat("field \"", kFieldNames[field],
                  (present & bit) != 0 ? "\" does not belong here" : "\" is missing");
  }
  return "";
}

absl::Status Reader::TakeHeader(const Parsed& parsed) {
  if (parsed.present != kHeader) return Wrong(DifferentFields(parsed.present, kHeader));
  if (parsed.history != "varve") return Wrong("not a history of varve");
  if (parsed.version != 1) return Wrong(StrCat("version ", parsed.version, ", this reads 1"));
  history_.contiguous = parsed.contiguous;
  history_.seed = static_cast<uint64_t>(parsed.seed);
  return absl::OkStatus();
}

absl::Status Reader::TakeEnd(const Parsed& parsed) {
  if (parsed.present != kEndFields) return Wrong(DifferentFields(parsed.present, kEndFields));
  if (!parsed.end) return Wrong("\"end\" is true or absent");
  if (static_cast<uint64_t>(parsed.operations) != history_.operations.size())
    return Wrong(StrCat("says that there are ", parsed.operations, " operations, there are ",
                        history_.operations.size()));
  ended_ = true;
  return absl::OkStatus();
}

absl::Status Reader::CheckOperation(const Parsed& parsed) const {
  const Operation& operation = parsed.operation;
  uint32_t wanted = kCommon;
  if (operation.kind == OperationKind::kProduce) {
    wanted |= Bits({kValue}) | (parsed.present & Bits({kRepeats}));
    if (operation.outcome == Outcome::kOk) wanted |= Bits({kOffset});
  } else {
    wanted |= Bits({kFrom});
    if (operation.kind == OperationKind::kFetch) wanted |= Bits({kTo, kRecords});
  }
  if (parsed.present != wanted) return Wrong(DifferentFields(parsed.present, wanted));
  if (parsed.key.empty()) return Wrong("an empty key");
  if (operation.complete_ns < operation.invoke_ns) return Wrong("completed before it was invoked");
  if (operation.kind == OperationKind::kAssign && operation.outcome != Outcome::kOk)
    return Wrong("an assign is always ok");
  return absl::OkStatus();
}

absl::Status Reader::TakeOperation(Parsed& parsed) {
  Operation& operation = parsed.operation;
  const std::array kinds = {OperationKind::kAssign, OperationKind::kProduce, OperationKind::kFetch};
  const auto* kind = std::find_if(kinds.begin(), kinds.end(),
                                  [&](OperationKind k) { return NameOf(k) == parsed.op; });
  if (kind == kinds.end()) return Wrong(StrCat("no operation is called \"", parsed.op, "\""));
  const std::array outcomes = {Outcome::kOk, Outcome::kFail, Outcome::kUnknown};
  const auto* outcome = std::find_if(outcomes.begin(), outcomes.end(),
                                     [&](Outcome o) { return NameOf(o) == parsed.outcome; });
  if (outcome == outcomes.end())
    return Wrong(StrCat("no outcome is called \"", parsed.outcome, "\""));
  operation.kind = *kind;
  operation.outcome = *outcome;
  operation.line = line_;
  if (absl::Status status = CheckOperation(parsed); !status.ok()) return status;
  auto found = key_numbers_.find(parsed.key);
  if (found == key_numbers_.end()) {
    if (history_.keys.size() >= kMaxKeys) return Wrong(StrCat("more than ", kMaxKeys, " keys"));
    found = key_numbers_.emplace(parsed.key, static_cast<uint32_t>(history_.keys.size())).first;
    history_.keys.emplace_back(parsed.key);
  }
  operation.key = found->second;
  history_.operations.push_back(operation);
  return absl::OkStatus();
}

absl::Status Reader::Line(std::string_view text) {
  ++line_;
  if (ended_) return Wrong("something follows the end");
  JsonLine json(text);
  Parsed parsed;
  if (!Object(json, parsed)) return Wrong(json.error());
  if (line_ == 1) return TakeHeader(parsed);
  return (parsed.present & Bits({kEnd})) != 0 ? TakeEnd(parsed) : TakeOperation(parsed);
}

absl::Status Reader::CheckNumbers() const {
  std::vector<const Operation*> order;
  order.reserve(history_.operations.size());
  for (const Operation& operation : history_.operations) order.push_back(&operation);
  std::sort(order.begin(), order.end(), [](const Operation* a, const Operation* b) {
    return std::tie(a->process, a->number, a->line) < std::tie(b->process, b->number, b->line);
  });
  for (size_t i = 1; i < order.size(); ++i) {
    const Operation& before = *order[i - 1];
    const Operation& now = *order[i];
    if (before.process != now.process) continue;
    if (before.number == now.number)
      return LineError(now.line, StrCat("process ", now.process, " has its operation ", now.number,
                                        " in line ", before.line));
    if (now.invoke_ns < before.invoke_ns)
      return LineError(now.line,
                       StrCat("process ", now.process, " invoked its operation ", now.number,
                              " before number ", before.number, " in line ", before.line));
  }
  return absl::OkStatus();
}

absl::Status Reader::CheckValues() const {
  std::vector<const Operation*> order;
  order.reserve(history_.operations.size());
  for (const Operation& operation : history_.operations) {
    if (operation.kind == OperationKind::kProduce) order.push_back(&operation);
  }
  std::sort(order.begin(), order.end(), [](const Operation* a, const Operation* b) {
    return std::tie(a->key, a->value, a->line) < std::tie(b->key, b->value, b->line);
  });
  for (size_t i = 1; i < order.size(); ++i) {
    if (order[i]->key != order[i - 1]->key || order[i]->value != order[i - 1]->value) continue;
    return LineError(order[i]->line,
                     StrCat("value ", order[i]->value, " of key ",
                            std::string_view(history_.keys[order[i]->key]), " is produced in line ",
                            order[i - 1]->line, " already; values are unique"));
  }
  return absl::OkStatus();
}

absl::StatusOr<History> Reader::Finish() {
  if (!ended_) return LineError(line_ + 1, "the history has no end: its recorder did not finish");
  if (absl::Status status = CheckNumbers(); !status.ok()) return status;
  if (absl::Status status = CheckValues(); !status.ok()) return status;
  return std::move(history_);
}

enum class Next { kLine, kTooLong, kCut, kEnd };

// Up to the newline, which is not part of the line.
Next NextLine(std::streambuf& in, std::string& line) {
  constexpr int kEof = std::streambuf::traits_type::eof();
  line.clear();
  for (int c = in.sbumpc(); c != kEof; c = in.sbumpc()) {
    if (c == '\n') return Next::kLine;
    if (line.size() >= kMaxLineBytes) return Next::kTooLong;
    line += static_cast<char>(c);
  }
  return line.empty() ? Next::kEnd : Next::kCut;
}

}  // namespace

absl::StatusOr<History> ReadHistory(std::istream& in) {
  Reader reader;
  std::string line;
  Next next = NextLine(*in.rdbuf(), line);
  for (uint64_t number = 1; next != Next::kEnd; ++number, next = NextLine(*in.rdbuf(), line)) {
    if (next == Next::kTooLong)
      return LineError(number, StrCat("longer than ", kMaxLineBytes, " bytes"));
    if (next == Next::kCut) return LineError(number, "cut off: no newline ends it");
    if (absl::Status status = reader.Line(line); !status.ok()) return status;
  }
  return reader.Finish();
}

absl::StatusOr<History> ReadHistory(std::string_view text) {
  std::istringstream in{std::string(text)};
  return ReadHistory(in);
}

}  // namespace varve::history
