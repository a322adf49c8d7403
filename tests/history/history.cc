#include "tests/history/history.h"

#include "common/strings.h"

namespace varve::history {

std::string_view NameOf(OperationKind kind) {
  switch (kind) {
    case OperationKind::kAssign:
      return "assign";
    case OperationKind::kProduce:
      return "produce";
    case OperationKind::kFetch:
      break;
  }
  return "fetch";
}

std::string_view NameOf(Outcome outcome) {
  switch (outcome) {
    case Outcome::kOk:
      return "ok";
    case Outcome::kFail:
      return "fail";
    case Outcome::kUnknown:
      break;
  }
  return "unknown";
}

std::string HeaderLine(bool contiguous, uint64_t seed) {
  return StrCat(R"({"history":"varve","version":1,"contiguous":)", contiguous, R"(,"seed":)", seed,
                "}\n");
}

std::string OperationLine(const Operation& operation, std::string_view key,
                          std::span<const SeenRecord> records) {
  std::string out = StrCat(R"({"op":")", NameOf(operation.kind), R"(","process":)",
                           operation.process, R"(,"number":)", operation.number, R"(,"invoke":)",
                           operation.invoke_ns, R"(,"complete":)", operation.complete_ns);
  out += StrCat(R"(,"outcome":")", NameOf(operation.outcome), R"(","key":")", key, "\"");
  if (operation.kind == OperationKind::kProduce) {
    out += StrCat(R"(,"value":)", operation.value);
    if (operation.outcome == Outcome::kOk) out += StrCat(R"(,"offset":)", operation.offset);
    if (operation.repeats) out += R"(,"repeats":true)";
    return out + "}\n";
  }
  out += StrCat(R"(,"from":)", operation.from);
  if (operation.kind == OperationKind::kAssign) return out + "}\n";
  out += StrCat(R"(,"to":)", operation.to, R"(,"records":[)");
  for (const SeenRecord& record : records)
    out += StrCat("[", record.offset, ",", record.value, "],");
  if (!records.empty()) out.pop_back();
  return out + "]}\n";
}

std::string EndLine(uint64_t operations, std::span<const uint32_t> final_processes) {
  std::string out = StrCat(R"({"end":true,"operations":)", operations, R"(,"final":[)");
  for (const uint32_t process : final_processes) out += StrCat(process, ",");
  if (!final_processes.empty()) out.pop_back();
  return out + "]}\n";
}

}  // namespace varve::history
