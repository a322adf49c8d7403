#include "tests/history/verdict_report.h"

#include <iomanip>
#include <nlohmann/json.hpp>
#include <ostream>

#include "common/strings.h"

namespace varve::history {
namespace {

using Json = nlohmann::ordered_json;

double Milliseconds(int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e6; }

std::string Describe(const History& history, const Operation& operation) {
  std::string out = StrCat("line ", operation.line, ": process ", operation.process, " ",
                           NameOf(operation.kind), " ", history.KeyOf(operation));
  if (operation.kind == OperationKind::kProduce) {
    out += StrCat(" value ", operation.value);
    if (operation.outcome == Outcome::kOk) out += StrCat(" at offset ", operation.offset);
  } else {
    out += StrCat(" from ", operation.from);
    if (operation.kind == OperationKind::kFetch)
      out += StrCat(" to ", operation.to, ", ", operation.records, " records");
  }
  return out + StrCat(", ", NameOf(operation.outcome), ", invoked ", operation.invoke_ns,
                      ", completed ", operation.complete_ns);
}

Json Proof(const History& history, const Operation& operation) {
  Json out = {{"line", operation.line},
              {"op", std::string(NameOf(operation.kind))},
              {"process", operation.process},
              {"number", operation.number},
              {"invoke", operation.invoke_ns},
              {"complete", operation.complete_ns},
              {"outcome", std::string(NameOf(operation.outcome))},
              {"key", std::string(history.KeyOf(operation))}};
  if (operation.kind == OperationKind::kProduce) {
    out["value"] = operation.value;
    out["offset"] = operation.offset;
  } else {
    out["from"] = operation.from;
    out["to"] = operation.to;
    out["records"] = operation.records;
  }
  return out;
}

std::string_view KeyName(const History& history, uint32_t key) {
  return key < history.keys.size() ? std::string_view(history.keys[key]) : "";
}

}  // namespace

void WriteTable(const History& history, const Verdict& verdict, std::ostream& out) {
  const Figures& figures = verdict.figures;
  out << "operations         " << history.operations.size() << " on " << history.keys.size()
      << " keys, seed " << history.seed << '\n'
      << "acknowledged       " << figures.produced << ", " << std::fixed << std::setprecision(0)
      << figures.acknowledged_per_second << "/s, longest gap " << std::setprecision(1)
      << Milliseconds(figures.longest_gap_ns) << " ms in "
      << KeyName(history, figures.longest_gap_key) << '\n'
      << "failed, unknown    " << figures.failed << ", " << figures.unknown << " (of these "
      << figures.unknown_seen << " seen)\n"
      << "records read       " << figures.fetched << ", worst lag "
      << Milliseconds(figures.worst_lag_ns) << " ms\n"
      << "of unknown outcome " << figures.duplicates_of_unknown << " duplicates, "
      << figures.late_of_unknown << " late\n";
  if (!figures.final_read)
    out << "not judged         lost-write, unseen, vanished: there is no final read\n";
  for (size_t kind = 0; kind < kAnomalyKinds; ++kind) {
    if (verdict.counts[kind] == 0) continue;
    out << "ANOMALY            " << NameOf(static_cast<AnomalyKind>(kind)) << ": "
        << verdict.counts[kind] << '\n';
  }
  for (const Anomaly& anomaly : verdict.anomalies) {
    out << '\n'
        << NameOf(anomaly.kind) << " in " << KeyName(history, anomaly.key) << ": " << anomaly.what
        << '\n';
    for (const uint64_t operation : anomaly.operations)
      out << "  " << Describe(history, history.operations[operation]) << '\n';
  }
  out << (verdict.total() == 0 ? "clean\n" : "");
}

void WriteJson(const History& history, const Verdict& verdict, std::ostream& out) {
  const Figures& figures = verdict.figures;
  Json json = {{"clean", verdict.total() == 0},
               {"operations", history.operations.size()},
               {"seed", history.seed},
               {"figures",
                {{"acknowledged", figures.produced},
                 {"acknowledged_per_second", figures.acknowledged_per_second},
                 {"failed", figures.failed},
                 {"unknown", figures.unknown},
                 {"unknown_seen", figures.unknown_seen},
                 {"records_read", figures.fetched},
                 {"duplicates_of_unknown", figures.duplicates_of_unknown},
                 {"late_of_unknown", figures.late_of_unknown},
                 {"final_read", figures.final_read},
                 {"longest_gap_ms", Milliseconds(figures.longest_gap_ns)},
                 {"worst_lag_ms", Milliseconds(figures.worst_lag_ns)}}},
               {"counts", Json::object()},
               {"anomalies", Json::array()}};
  for (size_t kind = 0; kind < kAnomalyKinds; ++kind)
    json["counts"][std::string(NameOf(static_cast<AnomalyKind>(kind)))] = verdict.counts[kind];
  for (const Anomaly& anomaly : verdict.anomalies) {
    Json row = {{"kind", std::string(NameOf(anomaly.kind))},
                {"key", std::string(KeyName(history, anomaly.key))},
                {"what", anomaly.what},
                {"operations", Json::array()}};
    for (const uint64_t operation : anomaly.operations)
      row["operations"].push_back(Proof(history, history.operations[operation]));
    json["anomalies"].push_back(std::move(row));
  }
  out << json.dump(2) << '\n';
}

}  // namespace varve::history
