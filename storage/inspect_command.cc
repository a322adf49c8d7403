// The command around the inspection: arguments, output, exit code.
#include <ostream>

#include "common/error.h"
#include "storage/inspect.h"

namespace varve::storage {
namespace {

constexpr std::string_view kUsage =
    R"(usage: varved inspect DIR [--json | --entries] [--commits] [--no-verify]

Dumps and verifies a data directory. Reads only; the broker may run.

  --json       one JSON object, every commit included
  --entries    one JSON object a line for each entry of each replica's segments, instead
  --commits    one line per journal commit and frame
  --no-verify  headers and structure only; payloads are not read

exit code: 0 no damage (torn ends that recovery cuts included), 10 damage found, 2 wrong usage,
3 no such directory or no data directory, 5 not permitted, 78 written by a newer varve, 1 otherwise
)";

struct Arguments {
  std::string path;
  bool json = false;
  bool commits = false;
  bool entries = false;
  bool help = false;
  InspectOptions options;
};

// The text says what is wrong; empty when nothing is.
std::string ParseArguments(std::span<const std::string> arguments, Arguments* out) {
  for (const std::string& argument : arguments) {
    if (argument == "--json") {
      out->json = true;
    } else if (argument == "--commits") {
      out->commits = true;
    } else if (argument == "--entries") {
      out->entries = true;
    } else if (argument == "--no-verify") {
      out->options.verify = false;
    } else if (argument == "--help" || argument == "-h") {
      out->help = true;
    } else if (argument.starts_with("-")) {
      return StrCat("unknown option ", argument);
    } else if (!out->path.empty()) {
      return StrCat("one directory at a time, not ", out->path, " and ", argument);
    } else {
      out->path = argument;
    }
  }
  if (out->entries && (out->json || !out->options.verify))
    return "--entries stands alone: it reads every payload and prints nothing else";
  return out->path.empty() && !out->help ? "which directory?" : "";
}

int ExitCodeOf(const absl::Status& status) {
  if (ReasonOf(status) != Reason::INTERNAL) return InfoOf(ReasonOf(status)).exit_code;
  if (absl::IsNotFound(status)) return InfoOf(Reason::UNKNOWN_TOPIC).exit_code;
  if (absl::IsPermissionDenied(status)) return InfoOf(Reason::PERMISSION_DENIED).exit_code;
  return InfoOf(Reason::INTERNAL).exit_code;
}

}  // namespace

int RunInspect(FileSystem& files, std::span<const std::string> arguments, std::ostream& out,
               std::ostream& err) {
  Arguments parsed;
  if (const std::string wrong = ParseArguments(arguments, &parsed); !wrong.empty()) {
    err << "varved inspect: " << wrong << '\n' << kUsage;
    return kInspectUsage;
  }
  if (parsed.help) {
    out << kUsage;
    return kInspectClean;
  }
  if (parsed.entries)
    parsed.options.on_entry = [&out](const InspectedEntry& entry) { WriteEntryJson(entry, out); };
  const absl::StatusOr<InspectReport> report = InspectDirectory(files, parsed.path, parsed.options);
  if (!report.ok()) {
    err << "varved inspect: " << MessageOf(report.status()) << '\n';
    return ExitCodeOf(report.status());
  }
  if (parsed.json) {
    WriteInspectJson(*report, out);
  } else if (!parsed.entries) {
    WriteInspectText(*report, parsed.commits, out);
  }
  if (report->CountDamage() != 0) return kInspectDamage;
  return report->recovery.starts ? kInspectClean : report->recovery.refusal_exit_code;
}

}  // namespace varve::storage
