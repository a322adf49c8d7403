// The report as tables for people.
#include <algorithm>
#include <ostream>

#include "common/strings.h"
#include "storage/inspect.h"
#include "storage/inspect_text.h"

namespace varve::storage {
namespace {

// Columns as wide as their widest cell, two blanks between them.
class Table {
 public:
  explicit Table(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  void Print(std::ostream& out, std::string_view indent) const {
    std::vector<size_t> widths(rows_.front().size());
    for (const auto& row : rows_)
      for (size_t n = 0; n < row.size(); ++n) widths[n] = std::max(widths[n], row[n].size());
    for (const auto& row : rows_) {
      std::string line(indent);
      for (size_t n = 0; n < row.size(); ++n) {
        line += row[n];
        if (n + 1 < row.size()) line.append(widths[n] - row[n].size() + 2, ' ');
      }
      line.erase(line.find_last_not_of(' ') + 1);
      out << line << '\n';
    }
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

std::string Number(uint64_t v) { return std::to_string(v); }
template <class Tag, class Rep>
std::string Number(StrongInt<Tag, Rep> v) {
  return std::to_string(v.value());
}

std::string State(const FileFinding& finding) {
  if (finding.verdict == Verdict::kOk) return "ok";
  std::string text =
      StrCat(NameOf(finding.verdict), " at ", finding.position, ": ", finding.reason);
  if (!finding.recovery.empty()) text += StrCat(" (recovery ", finding.recovery, ")");
  return text;
}

void PrintFindings(std::string_view title, const std::vector<FileFinding>& findings,
                   std::ostream& out) {
  if (findings.empty()) return;
  out << '\n' << title << '\n';
  Table table({"file", "bytes", "state"});
  for (const FileFinding& f : findings) table.Add({f.path, Number(f.bytes), State(f)});
  table.Print(out, "  ");
}

void PrintIdentity(const InspectReport& report, std::ostream& out) {
  out << "data directory " << report.path << '\n';
  if (report.in_use)
    out << "  in use by a running broker: what is being written meanwhile may look torn\n";
  if (!report.verified) out << "  payloads were not verified\n";
  if (report.identity) {
    out << "  cluster " << report.identity->cluster.ToString() << ", directory "
        << report.identity->directory.ToString() << ", node " << report.identity->node << '\n';
  }
  out << "  identity: " << State(report.identity_file) << '\n';
}

void PrintJournal(const InspectReport& report, bool commits, std::ostream& out) {
  out << "\njournal\n";
  Table table({"file", "bytes", "generation", "checkpoint", "commits", "frames", "sequences",
               "durable through", "state"});
  for (const InspectedJournalFile& file : report.journal) {
    size_t frames = 0;
    CommitSequence durable;
    for (const InspectedCommit& commit : file.commits) {
      frames += commit.frames.size();
      durable = std::max(durable, commit.durable_through);
    }
    table.Add({file.finding.path, Number(file.finding.bytes), Number(file.generation),
               file.checkpoint ? (file.newest_checkpoint ? "newest" : "valid") : "none",
               Number(file.commits.size()), Number(frames),
               file.commits.empty()
                   ? "-"
                   : StrCat(file.commits.front().sequence, "-", file.commits.back().sequence),
               Number(durable), State(file.finding)});
  }
  table.Print(out, "  ");
  if (!commits) return;
  for (const InspectedJournalFile& file : report.journal) {
    for (const InspectedCommit& commit : file.commits) {
      out << "  " << file.finding.path << " at " << commit.position << ": commit "
          << commit.sequence << ", durable through " << commit.durable_through << ", "
          << commit.bytes << " bytes, " << commit.frames.size() << " frames\n";
      for (const InspectedFrame& frame : commit.frames)
        out << "    " << DescribeFrame(frame) << '\n';
    }
  }
}

void PrintRecords(std::string_view title, const std::vector<const ReplicaRecord*>& records,
                  std::ostream& out) {
  if (records.empty()) return;
  out << '\n' << title << '\n';
  Table table({"group", "epoch", "term", "vote", "commit", "log start", "log end", "next offset",
               "last frame", "synced", "voters", "segments", ""});
  for (const ReplicaRecord* r : records) {
    const ReplicaScalars& s = r->scalars;
    table.Add({Number(r->group), Number(r->replica_epoch), Number(s.hard_state.term),
               DescribeReplica(s.hard_state.vote), Number(s.commit_index), Number(s.start.index),
               Number(s.end.last_index), Number(s.end.next_offset), Number(r->last_frame),
               Number(r->sync_point.index),
               DescribeReplicas(r->configurations.committed.configuration.voters),
               Number(r->segments.size()),
               !r->suspect              ? ""
               : r->suspect_why.empty() ? "suspect"
                                        : "suspect: " + r->suspect_why});
  }
  table.Print(out, "  ");
}

void PrintMarks(const PeerMarks& peers, std::ostream& out) {
  if (peers.marks().empty()) return;
  out << "\nmarks of peers\n";
  Table table({"node", "directory", "process epoch", "incarnation", "durable commit"});
  for (const PeerMark& mark : peers.marks()) {
    table.Add({Number(mark.node), mark.directory.ToString(), Number(mark.process_epoch),
               Number(mark.incarnation), Number(mark.durable)});
  }
  table.Print(out, "  ");
}

void PrintSegments(const InspectReport& report, std::ostream& out) {
  Table table({"segment, index or state", "bytes", "entries", "indices", "offsets", "valid to",
               "synced to", "state"});
  bool any = false;
  for (const InspectedGroup& group : report.groups) {
    any |= !group.segments.empty() || !group.indexes.empty() || !group.states.empty() ||
           !group.others.empty();
    for (const InspectedSegment& s : group.segments) {
      table.Add({s.finding.path, Number(s.finding.bytes), Number(s.frames),
                 s.first ? StrCat(s.first->first_index, "-", s.last->last_index) : "-",
                 s.first ? StrCat(s.first->base_offset, "-", s.last->last_offset) : "-",
                 Number(s.end_position), Number(s.synced_position), State(s.finding)});
    }
    for (const InspectedIndex& i : group.indexes) {
      table.Add({i.finding.path, Number(i.finding.bytes), StrCat(i.rows, " rows"), "", "", "", "",
                 State(i.finding)});
    }
    for (const InspectedState& s : group.states) {
      table.Add({s.finding.path, Number(s.finding.bytes), StrCat(s.summary.digest.items, " items"),
                 StrCat("-", s.name.index), "", "", "", State(s.finding)});
    }
    for (const FileFinding& f : group.others)
      table.Add({f.path, Number(f.bytes), "", "", "", "", "", State(f)});
  }
  if (!any) return;
  out << "\nsegments\n";
  table.Print(out, "  ");
}

void PrintRecovery(const InspectReport& report, std::ostream& out) {
  const RecoveryPreview& preview = report.recovery;
  out << "\nrecovery\n";
  if (preview.starts) {
    out << "  a start reads checkpoint of process epoch " << preview.process_epoch
        << " and goes on behind commit " << preview.last_commit << " (durable through "
        << preview.durable_through << ")\n";
  } else {
    out << "  a start is refused: " << preview.refusal << '\n';
  }
  for (const std::string& note : preview.notes) out << "  " << note << '\n';
}

}  // namespace

std::string DescribeReplica(const ReplicaId& id) {
  return id.empty() ? "-" : StrCat(id.node, ".", id.epoch);
}

std::string DescribeReplicas(const std::vector<ReplicaId>& ids) {
  std::string text;
  for (const ReplicaId& id : ids) {
    if (!text.empty()) text += ' ';
    text += DescribeReplica(id);
  }
  return text.empty() ? "-" : text;
}

std::string DescribeFrame(const InspectedFrame& frame) {
  std::string text =
      StrCat("group ", frame.group, " frame ", frame.sequence, ", epoch ", frame.replica_epoch,
             ", term ", frame.term, ", commit ", frame.commit_index, ", end ", frame.end.last_index,
             "/", frame.end.next_offset);
  for (const std::string& step : frame.steps) text += "; " + step;
  return text;
}

uint64_t InspectReport::CountDamage() const {
  uint64_t count = IsDamage(identity_file.verdict) ? 1 : 0;
  const auto add = [&](const FileFinding& f) { count += IsDamage(f.verdict) ? 1 : 0; };
  for (const auto& file : journal) add(file.finding);
  for (const auto& group : groups) {
    for (const auto& segment : group.segments) add(segment.finding);
    for (const auto& index : group.indexes) add(index.finding);
    for (const auto& state : group.states) add(state.finding);
    for (const auto& other : group.others) add(other);
  }
  for (const auto& finding : trash) add(finding);
  for (const auto& finding : others) add(finding);
  return count;
}

void WriteInspectText(const InspectReport& report, bool commits, std::ostream& out) {
  PrintIdentity(report, out);
  PrintJournal(report, commits, out);
  std::vector<const ReplicaRecord*> records;
  for (const InspectedJournalFile& file : report.journal) {
    if (!file.newest_checkpoint) continue;
    for (const auto& [group, record] : file.checkpoint->replicas.records())
      records.push_back(&record);
  }
  PrintRecords("replicas in the newest checkpoint", records, out);
  records.clear();
  for (const InspectedGroup& group : report.groups)
    if (group.record) records.push_back(&*group.record);
  PrintRecords("replicas after the journal", records, out);
  PrintMarks(report.recovery.peers, out);
  PrintSegments(report, out);
  PrintFindings("trash", report.trash, out);
  PrintFindings("other files", report.others, out);
  PrintRecovery(report, out);
  const uint64_t damage = report.CountDamage();
  out << '\n'
      << (damage == 0 ? "no damage found" : StrCat("damage found in ", damage, " files")) << '\n';
}

}  // namespace varve::storage
