#include "storage/recover_command.h"

#include <ostream>

#include "common/error.h"
#include "storage/accept_loss.h"

namespace varve::storage {
namespace {

constexpr int kClean = 0;
constexpr int kUsageError = 2;
constexpr int kLossRemains = 10;

constexpr std::string_view kUsage = R"(usage: varved recover DIR [--only-survivor] [--accept-loss]

Says which replicas of a data directory are damaged or suspect, and what may be lost. The broker
must be stopped. Without --accept-loss nothing is changed.

  --accept-loss  lets suspect replicas that are the sole voter of their partition go on with what
                 verifies; what is lost then is lost for good
  --only-survivor  all other voters of the partitions of this directory are lost for good, so that
                 no majority is left: with --accept-loss this broker decides alone from then on.
                 The lost brokers must not start again before their directories are emptied

exit code: 0 no replica is suspect, or none is any more; 10 some are, and stay so; 2 wrong usage,
3 no such directory or no data directory, 4 a broker runs on it, 5 not permitted, 78 written by a
newer varve, 1 otherwise: damage that concerns the whole directory, for example
)";

struct Arguments {
  std::string path;
  bool accept = false;
  LossScope scope = LossScope::kSoleVoters;
  bool help = false;
};

// The text says what is wrong; empty when nothing is.
std::string ParseArguments(std::span<const std::string> arguments, Arguments* out) {
  for (const std::string& argument : arguments) {
    if (argument == "--accept-loss") {
      out->accept = true;
    } else if (argument == "--only-survivor") {
      out->scope = LossScope::kOnlySurvivor;
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
  return out->path.empty() && !out->help ? "which directory?" : "";
}

int Fail(const absl::Status& status, std::ostream& err) {
  err << "varved recover: " << MessageOf(status) << '\n';
  if (ReasonOf(status) != Reason::INTERNAL) return InfoOf(ReasonOf(status)).exit_code;
  if (absl::IsNotFound(status)) return InfoOf(Reason::UNKNOWN_TOPIC).exit_code;
  if (absl::IsPermissionDenied(status)) return InfoOf(Reason::PERMISSION_DENIED).exit_code;
  return InfoOf(Reason::INTERNAL).exit_code;
}

void PrintEnd(const ReplicaLoss& loss, std::ostream& out) {
  if (!loss.end_after) {
    out << "  nothing of the log verifies: restore its files, or delete the topic\n";
    return;
  }
  const LogEnd& after = *loss.end_after;
  if (after.last_index < loss.end.last_index) {
    out << "  lost: entries " << after.last_index + 1 << " to " << loss.end.last_index
        << ", offsets " << after.next_offset << " to " << loss.end.next_offset - 1
        << "; these offsets will be given to other records\n";
  }
  out << "  may be lost besides: a vote, and entries that were acknowledged behind entry "
      << loss.end.last_index << '\n';
}

void Print(const ReplicaLoss& loss, std::ostream& out) {
  out << "group " << loss.group
      << (loss.suspect()          ? ": suspect\n"
          : !loss.damaged.empty() ? ": damaged, and goes on\n"
                                  : ": sound\n");
  if (loss.suspect()) out << "  " << loss.why << '\n';
  for (const DamagedRange& range : loss.damaged) {
    if (range.first > range.last) continue;
    out << "  entries " << range.first << " to " << range.last << " cannot be read: " << range.why
        << '\n';
  }
  if (!loss.suspect() && !loss.survives()) return;
  out << "  term " << loss.term << ", committed up to entry " << loss.commit_index
      << " as far as is known, log up to entry " << loss.end.last_index << '\n';
  PrintEnd(loss, out);
  for (const ReplicaId lost : loss.lost_voters) {
    out << "  the voter on node " << lost.node
        << " is given up: it must not start again before its "
        << "directory is emptied\n";
  }
  if (!loss.sole_voter && !loss.survives())
    out << "  it is not the sole voter: the other replicas of the partition decide\n";
  if (loss.acceptable()) {
    out << "  with --accept-loss: the log ends at entry " << loss.end_after->last_index
        << ", the term becomes " << loss.term.value() + kTermsSkippedByLoss << '\n';
  }
}

size_t Count(const LossReport& report, bool (ReplicaLoss::*which)() const) {
  size_t count = 0;
  for (const ReplicaLoss& loss : report.losses) count += (loss.*which)() ? 1 : 0;
  return count;
}

}  // namespace

int RunRecover(FileSystem& files, std::span<const std::string> arguments, std::ostream& out,
               std::ostream& err) {
  Arguments parsed;
  if (const std::string wrong = ParseArguments(arguments, &parsed); !wrong.empty()) {
    err << "varved recover: " << wrong << '\n' << kUsage;
    return kUsageError;
  }
  if (parsed.help) {
    out << kUsage;
    return kClean;
  }
  const auto report = ExamineLoss(files, parsed.path, parsed.scope);
  if (!report.ok()) return Fail(report.status(), err);
  for (const ReplicaLoss& loss : report->losses) Print(loss, out);
  const size_t suspect = Count(*report, &ReplicaLoss::suspect);
  const size_t survivors = Count(*report, &ReplicaLoss::survives);
  const size_t acceptable = Count(*report, &ReplicaLoss::acceptable);
  const size_t damaged = Count(*report, &ReplicaLoss::damaged_only);
  out << report->replicas << " replicas, " << damaged << " damaged, " << suspect << " suspect\n";
  if (!parsed.accept || acceptable == 0) {
    if (suspect + survivors > 0) out << "nothing was changed\n";
    return suspect + survivors > 0 ? kLossRemains : kClean;
  }
  out.flush();  // before anything is changed
  if (const absl::Status status = AcceptLoss(files, parsed.path, *report); !status.ok())
    return Fail(status, err);
  size_t left = 0;
  for (const ReplicaLoss& loss : report->losses)
    left += (loss.suspect() || loss.survives()) && !loss.acceptable() ? 1 : 0;
  if (survivors > 0)
    out << "accepted: " << acceptable << " of " << acceptable + left
        << " replicas go on, with this broker alone\n";
  else
    out << "accepted: " << acceptable << " of " << suspect << " suspect replicas go on\n";
  return left == 0 ? kClean : kLossRemains;
}

}  // namespace varve::storage
