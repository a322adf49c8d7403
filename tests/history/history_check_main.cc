// varve-history-check: judges a recorded history.
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>

#include "common/strings.h"
#include "tests/history/checker.h"
#include "tests/history/history_reader.h"
#include "tests/history/verdict_report.h"

namespace {

constexpr std::string_view kUsage =
    "usage: varve-history-check [--json] FILE\n"
    "\n"
    "Judges a history of JSON lines; FILE - is standard input. Writes a table, or one JSON "
    "object.\n"
    "exit code: 0 clean, 1 anomalies, 2 bad input or wrong usage\n";

constexpr int kClean = 0;
constexpr int kAnomalies = 1;
constexpr int kBadInput = 2;

int Judge(std::istream& in, bool json) {
  const auto history = varve::history::ReadHistory(in);
  if (!history.ok()) {
    std::cerr << "varve-history-check: " << varve::MessageOf(history.status()) << '\n';
    return kBadInput;
  }
  const varve::history::Verdict verdict = varve::history::Check(*history);
  if (json) {
    WriteJson(*history, verdict, std::cout);
  } else {
    WriteTable(*history, verdict, std::cout);
  }
  return verdict.total() == 0 ? kClean : kAnomalies;
}

}  // namespace

int main(int argc, char** argv) {
  bool json = false;
  std::string path;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--json") {
      json = true;
    } else if (argument == "--help") {
      std::cout << kUsage;
      return kClean;
    } else if (path.empty() && (argument == "-" || !argument.starts_with("-"))) {
      path = argument;
    } else {
      std::cerr << "varve-history-check: unexpected argument " << argument << '\n' << kUsage;
      return kBadInput;
    }
  }
  if (path.empty()) {
    std::cerr << kUsage;
    return kBadInput;
  }
  if (path == "-") return Judge(std::cin, json);
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::cerr << "varve-history-check: " << path << " cannot be read\n";
    return kBadInput;
  }
  return Judge(file, json);
}
