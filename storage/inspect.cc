// The walk over the directory, and what the parts say of each other.
#include "storage/inspect.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "common/error.h"
#include "common/limits.h"
#include "storage/format/file_header.h"
#include "storage/format/journal_mark.h"
#include "storage/inspect_files.h"
#include "storage/segment_names.h"

namespace varve::storage {
namespace {

class Inspection {
 public:
  Inspection(FileSystem& files, std::string path, const InspectOptions& options)
      : files_(files), options_(options) {
    report_.path = std::move(path);
    report_.verified = options.verify;
  }

  absl::StatusOr<InspectReport> Run();

 private:
  absl::Status ListTop();
  void LookAtLock();
  void ReadIdentity();
  void WalkJournal();
  void JudgeJournal();
  void PreviewRecovery();
  void WalkGroups();
  InspectedGroup WalkGroup(GroupId group, const std::string& name);
  void WalkSegmentPair(InspectedGroup& group, const DirectoryEntry& log,
                       const DirectoryEntry* index);
  void FindMissing(InspectedGroup& group);
  void ListTrash();
  [[nodiscard]] std::string Full(std::string_view name) const {
    return JoinPath(report_.path, name);
  }
  [[nodiscard]] const DirectoryIdentity* identity() const {
    return report_.identity ? &*report_.identity : nullptr;
  }

  FileSystem& files_;
  const InspectOptions options_;
  InspectReport report_;
  std::set<std::string> directories_;
  std::map<std::string, uint64_t> top_files_;
  RedoCoverage redo_;
  ReplicaTable replicas_;
};

FileFinding FindingOf(std::string path, uint64_t bytes) {
  FileFinding finding;
  finding.path = std::move(path);
  finding.bytes = bytes;
  return finding;
}

FileFinding UnknownFile(std::string path, uint64_t bytes) {
  FileFinding finding = FindingOf(std::move(path), bytes);
  Blame(&finding, Verdict::kUnknown, 0, "no file of this format");
  return finding;
}

// Of "<base offset>-<number>.log"; 0 for another name. The name counts even if the header is
// damaged.
FileNumber ParseFileNumber(std::string_view path) {
  const size_t dash = path.rfind('-');
  uint64_t number = 0;
  if (dash != std::string_view::npos)
    std::from_chars(path.data() + dash + 1, path.data() + path.size(), number);
  return FileNumber(number);
}

bool BelongsAtTop(const DirectoryEntry& entry) {
  const std::string_view name = entry.name;
  if (!entry.is_directory) return name == "LOCK" || name == "identity" || name == "reserve";
  return name == "fold" || name == "groups" || name == "journal" || name == "trash";
}

absl::StatusOr<InspectReport> Inspection::Run() {
  VARVE_RETURN_IF_ERROR(ListTop());
  LookAtLock();
  ReadIdentity();
  WalkJournal();
  PreviewRecovery();
  JudgeJournal();
  WalkGroups();
  ListTrash();
  return std::move(report_);
}

absl::Status Inspection::ListTop() {
  VARVE_ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries, files_.List(report_.path));
  bool ours = false;
  for (const DirectoryEntry& entry : entries) {
    if (!BelongsAtTop(entry)) {
      report_.others.push_back(UnknownFile(entry.name, entry.size));
      continue;
    }
    ours |= entry.name == "identity" || entry.name == "journal" || entry.name == "groups";
    if (entry.is_directory) directories_.insert(entry.name);
    if (!entry.is_directory) top_files_.emplace(entry.name, entry.size);
  }
  if (ours) return absl::OkStatus();
  return absl::NotFoundError(ToAbsl(StrCat(
      report_.path, " is no data directory: it has neither identity nor journal nor groups")));
}

// Taking the lock would create its file, so only an existing one is tried, and given back at once.
void Inspection::LookAtLock() {
  if (!top_files_.contains("LOCK")) return;
  report_.in_use = absl::IsUnavailable(files_.Lock(Full("LOCK")).status());
}

void Inspection::ReadIdentity() {
  FileFinding& finding = report_.identity_file;
  finding = FindingOf("identity", 0);
  const auto found = top_files_.find("identity");
  if (found == top_files_.end()) {
    Blame(&finding, Verdict::kMissing, 0, "the directory has no identity");
    return;
  }
  finding.bytes = found->second;
  absl::StatusOr<FileWindow> file = FileWindow::Open(files_, Full("identity"));
  if (!file.ok()) return Blame(&finding, Verdict::kCorrupt, 0, MessageOf(file.status()));
  if (const auto header = CheckHeader(*file, FileKind::kIdentity, nullptr, &finding))
    report_.identity = header->identity;
}

void Inspection::WalkJournal() {
  if (!directories_.contains("journal")) return;
  const auto entries = files_.List(Full("journal"));
  if (!entries.ok()) {
    report_.others.push_back(FindingOf("journal", 0));
    Blame(&report_.others.back(), Verdict::kCorrupt, 0, MessageOf(entries.status()));
    return;
  }
  for (const DirectoryEntry& entry : *entries) {
    if (!entry.is_directory && entry.name == kJournalMarkName) continue;  // read by ReadJournal
    const std::string path = StrCat("journal/", entry.name);
    if (entry.is_directory || !entry.name.ends_with(".jnl")) {
      report_.others.push_back(UnknownFile(path, entry.size));
      continue;
    }
    report_.journal.push_back(WalkJournalFile(files_, report_.path, path, identity()));
  }
  std::stable_sort(report_.journal.begin(), report_.journal.end(),
                   [](const auto& a, const auto& b) { return a.generation < b.generation; });
}

// Asks recovery's own reader what it thinks of the journal.
void Inspection::PreviewRecovery() {
  RecoveryPreview& preview = report_.recovery;
  if (!report_.identity) {
    preview.refusal = StrCat("identity: ", report_.identity_file.reason);
    preview.refusal_exit_code =
        InfoOf(IsDamage(report_.identity_file.verdict) ? Reason::DATA_LOSS : Reason::NEWER_FORMAT)
            .exit_code;
    return;
  }
  const auto contents = ReadJournal(files_, Full("journal"), *report_.identity);
  if (!contents.ok()) {
    preview.refusal = std::string(MessageOf(contents.status()));
    preview.refusal_exit_code = InfoOf(ReasonOf(contents.status())).exit_code;
    return;
  }
  preview.starts = true;
  preview.last_commit = contents->last_commit;
  preview.durable_through = contents->durable_through;
  preview.process_epoch = contents->checkpoint.process_epoch;
  preview.peers = contents->peers;
  preview.notes = contents->notes;
  replicas_ = contents->replicas;
}

// What is wrong with the journal by its own files; a refusal that none of them explains goes to the
// file that it names.
void Inspection::JudgeJournal() {
  std::vector<FileFinding> missing;
  const Checkpoint* checkpoint = JudgeJournalFiles(report_.journal, &missing);
  report_.others.insert(report_.others.end(), missing.begin(), missing.end());
  if (!report_.recovery.starts && checkpoint != nullptr) replicas_ = checkpoint->replicas;
  for (InspectedJournalFile& file : report_.journal) {
    if (report_.recovery.starts && !file.live && IsDamage(file.finding.verdict)) {
      file.finding.verdict = Verdict::kTorn;
      file.finding.recovery = "uses the file for new commits; no checkpoint lists it";
    }
    if (!file.live) continue;
    for (const InspectedCommit& commit : file.commits)
      for (const InspectedFrame& frame : commit.frames)
        for (const RedoRange& range : frame.redo) redo_.Add(range.file, range.from, range.to);
  }
  if (report_.recovery.starts || report_.CountDamage() != 0) return;
  for (InspectedJournalFile& file : report_.journal) {
    const std::string name = file.finding.path.substr(file.finding.path.rfind('/') + 1);
    if (report_.recovery.refusal.find(name) != std::string::npos)
      Blame(&file.finding, Verdict::kCorrupt, file.end_position, report_.recovery.refusal);
  }
}

void Inspection::WalkGroups() {
  std::set<GroupId> seen;
  if (directories_.contains("groups")) {
    const auto entries = files_.List(Full("groups"));
    for (const DirectoryEntry& entry : entries.value_or(std::vector<DirectoryEntry>())) {
      const std::optional<GroupId> group = ParseInspectedGroupName(entry.name);
      if (!entry.is_directory || !group) {
        report_.others.push_back(UnknownFile(StrCat("groups/", entry.name), entry.size));
        continue;
      }
      seen.insert(*group);
      report_.groups.push_back(WalkGroup(*group, StrCat("groups/", entry.name)));
    }
  }
  for (const auto& [group, record] : replicas_.records()) {
    if (seen.contains(group)) continue;
    InspectedGroup missing{.group = group,
                           .record = record,
                           .segments = {},
                           .indexes = {},
                           .states = {},
                           .others = {}};
    FindMissing(missing);
    report_.groups.push_back(std::move(missing));
  }
  std::sort(report_.groups.begin(), report_.groups.end(),
            [](const auto& a, const auto& b) { return a.group < b.group; });
}

InspectedGroup Inspection::WalkGroup(GroupId group, const std::string& name) {
  InspectedGroup out;
  out.group = group;
  if (const ReplicaRecord* record = replicas_.Find(group)) out.record = *record;
  const auto entries = files_.List(Full(name));
  std::map<std::string, DirectoryEntry> logs, indexes;
  for (DirectoryEntry entry : entries.value_or(std::vector<DirectoryEntry>())) {
    const std::string stem = entry.name.substr(0, entry.name.rfind('.'));
    entry.name = StrCat(name, "/", entry.name);
    if (!entry.is_directory && entry.name.ends_with(".log")) {
      logs.emplace(stem, entry);
    } else if (!entry.is_directory && entry.name.ends_with(".idx")) {
      indexes.emplace(stem, entry);
    } else if (const auto state = ParseStateFileName(entry.name.substr(name.size() + 1));
               state && !entry.is_directory) {
      InspectedState found{FindingOf(entry.name, entry.size), *state, {}};
      InspectState(files_, report_.path, identity(), group, out.record ? &*out.record : nullptr,
                   options_.verify, &found);
      out.states.push_back(std::move(found));
    } else {
      out.others.push_back(UnknownFile(entry.name, entry.size));
    }
  }
  for (const auto& [stem, log] : logs) {
    const auto index = indexes.find(stem);
    WalkSegmentPair(out, log, index == indexes.end() ? nullptr : &index->second);
    if (index != indexes.end()) indexes.erase(index);
  }
  for (const auto& [stem, index] : indexes) {
    out.others.push_back(FindingOf(index.name, index.size));
    Blame(&out.others.back(), Verdict::kUnreferenced, 0, "an index without its segment");
    out.others.back().recovery = "moves the file to the trash";
  }
  FindMissing(out);
  return out;
}

void Inspection::WalkSegmentPair(InspectedGroup& group, const DirectoryEntry& log,
                                 const DirectoryEntry* index_entry) {
  InspectedSegment segment;
  segment.finding = FindingOf(log.name, log.size);
  InspectedIndex index;
  std::vector<InspectedIndexRow> rows;
  if (index_entry != nullptr) {
    index.finding = FindingOf(index_entry->name, index_entry->size);
    rows = InspectIndex(files_, report_.path, identity(), group.group, &index);
  }
  segment.number = ParseFileNumber(log.name);
  InspectOptions options = options_;
  // What no segment set names is not of the log.
  if (!group.record ||
      std::none_of(group.record->segments.begin(), group.record->segments.end(),
                   [&](const SegmentRef& ref) { return ref.file == segment.number; }))
    options.on_entry = nullptr;
  InspectSegment(files_, report_.path, identity(), group.group, options, rows, &segment, &index);
  JudgeSegment(group.record ? &*group.record : nullptr, redo_, &segment);
  group.segments.push_back(std::move(segment));
  if (index_entry != nullptr) group.indexes.push_back(std::move(index));
}

// Files of the segment set that are not there, and gaps between those that are.
void Inspection::FindMissing(InspectedGroup& group) {
  if (!group.record) return;
  const std::string directory = StrCat("groups/", InspectedGroupName(group.group));
  const InspectedSegment* before = nullptr;
  for (const SegmentRef& ref : group.record->segments) {
    const auto found =
        std::find_if(group.segments.begin(), group.segments.end(),
                     [&](const InspectedSegment& s) { return s.number == ref.file; });
    if (found == group.segments.end()) {
      FileFinding finding =
          FindingOf(StrCat(directory, "/", InspectedSegmentName(ref.base_offset, ref.file)), 0);
      const bool redone = redo_.CoveredFrom(ref.file, limits::kBlockBytes) > limits::kBlockBytes;
      Blame(&finding, redone ? Verdict::kTorn : Verdict::kMissing, 0,
            "in the segment set and not in the directory");
      if (redone) finding.recovery = "writes it again from the journal";
      group.others.push_back(std::move(finding));
      before = nullptr;
      continue;
    }
    if (before != nullptr && before->last && found->finding.verdict == Verdict::kOk &&
        before->finding.verdict == Verdict::kOk &&
        (before->last->last_index + 1 != ref.first_index ||
         before->last->next_offset() != ref.base_offset)) {
      Blame(&found->finding, Verdict::kCorrupt, 0, "does not continue the segment before it");
    }
    before = &*found;
  }
}

void Inspection::ListTrash() {
  if (!directories_.contains("trash")) return;
  const auto entries = files_.List(Full("trash"));
  for (const DirectoryEntry& entry : entries.value_or(std::vector<DirectoryEntry>())) {
    FileFinding finding = FindingOf(StrCat("trash/", entry.name), entry.size);
    if (entry.is_directory) {
      const auto inside = files_.List(Full(finding.path));
      for (const DirectoryEntry& file : inside.value_or(std::vector<DirectoryEntry>()))
        finding.bytes += file.size;
    }
    finding.recovery = "deletes it";
    report_.trash.push_back(std::move(finding));
  }
}

}  // namespace

absl::StatusOr<InspectReport> InspectDirectory(FileSystem& files, const std::string& path,
                                               const InspectOptions& options) {
  return Inspection(files, path, options).Run();
}

}  // namespace varve::storage
