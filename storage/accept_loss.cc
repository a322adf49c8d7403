#include "storage/accept_loss.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <utility>

#include "common/error.h"
#include "common/meta_entry.h"
#include "storage/format/file_header.h"
#include "storage/journal_files.h"
#include "storage/overlay_file_system.h"
#include "storage/recovery.h"

namespace varve::storage {
namespace {

constexpr uint32_t kOpenFiles = 64;

// What stays of a replica's log.
struct Rest {
  size_t segments = 0;    // that many of the first; the last of them is active then
  uint64_t position = 0;  // where that one ends
  LogEnd end;
};

// A directory that no broker has open, held as long as this lives.
struct OfflineDirectory {
  std::unique_ptr<FileLock> lock;
  DirectoryPaths paths;
  DirectoryIdentity identity;
};

absl::StatusOr<OfflineDirectory> Take(FileSystem& files, const std::string& path) {
  OfflineDirectory out{nullptr, DirectoryPaths(path), {}};
  VARVE_ASSIGN_OR_RETURN(const std::string block,
                         ReadWholeFile(files, out.paths.identity, kFileHeaderBytes));
  VARVE_ASSIGN_OR_RETURN(out.lock, files.Lock(out.paths.lock));
  const auto header = DecodeFileHeader(block, FileKind::kIdentity);
  if (!header.ok()) return AddContext(header.status(), out.paths.identity);
  out.identity = header->identity;
  return out;
}

absl::StatusOr<LogEnd> LastEntryBelow(const PlacedSegment& placed) {
  LogEnd last;
  const WalkStart start = placed.segment->Before(Index{std::numeric_limits<uint64_t>::max()});
  VARVE_RETURN_IF_ERROR(
      placed.segment->Walk(start, placed.end, false, [&](const EntryHeader& header, uint64_t) {
        last = {header.last_index, header.term, header.next_offset(), header.append_time};
        return true;
      }));
  return last;
}

// The log ends with the last segment of which something verifies. What is damaged before it stays
// damaged. nullopt when nothing is left that a log could begin with.
absl::StatusOr<std::optional<Rest>> FindRest(const ReplicaFiles& files) {
  for (size_t count = files.segments.size(); count > 0; --count) {
    const PlacedSegment& placed = files.segments[count - 1];
    if (placed.end <= kFileHeaderBytes) continue;
    Rest rest{count, placed.end, files.scalars.end};
    if (count < files.segments.size() || !placed.damage.ok()) {
      VARVE_ASSIGN_OR_RETURN(rest.end, LastEntryBelow(placed));
    }
    const LogStart& start = files.scalars.start;
    if (rest.end.last_index < start.index || rest.end.next_offset < start.offset) break;
    return std::optional(rest);
  }
  return std::optional<Rest>();
}

// Those who would have to be asked, but for this node.
std::vector<ReplicaId> OtherVoters(const Configurations& configurations, NodeId node) {
  std::vector<ReplicaId> out;
  const auto add = [&](const Configuration& configuration) {
    for (const auto* voters : {&configuration.voters, &configuration.outgoing})
      for (const ReplicaId voter : *voters)
        if (voter.node != node && std::find(out.begin(), out.end(), voter) == out.end())
          out.push_back(voter);
  };
  add(configurations.committed.configuration);
  if (configurations.uncommitted) add(configurations.uncommitted->configuration);
  return out;
}

bool IsSoleVoter(const Configurations& configurations, NodeId node) {
  const Configuration& now = configurations.committed.configuration;
  return !configurations.uncommitted && now.outgoing.empty() && now.voters.size() == 1 &&
         now.voters[0].node == node;
}

absl::StatusOr<ReplicaLoss> LossOf(const ReplicaFiles& files, NodeId node, LossScope scope) {
  ReplicaLoss loss;
  if (scope == LossScope::kOnlySurvivor) loss.lost_voters = OtherVoters(files.configurations, node);
  loss.group = files.group;
  if (!files.suspicion.ok()) loss.why = MessageOf(files.suspicion);
  loss.damaged = files.damaged;
  loss.term = files.scalars.hard_state.term;
  loss.commit_index = files.scalars.commit_index;
  loss.end = files.scalars.end;
  loss.sole_voter = IsSoleVoter(files.configurations, node);
  VARVE_ASSIGN_OR_RETURN(const std::optional<Rest> rest, FindRest(files));
  if (rest) loss.end_after = rest->end;
  return loss;
}

// The record without what is lost. Segments that leave its set go to the trash at the next start.
ReplicaRecord Without(ReplicaRecord record, const Rest& rest) {
  record.segments.resize(rest.segments);
  record.segments.back().end_position = 0;
  record.scalars.end = rest.end;
  record.scalars.commit_index = rest.end.last_index;  // a sole voter commits what it has
  record.scalars.consistent_from = std::min(record.scalars.consistent_from, rest.end.last_index);
  HardState& hard_state = record.scalars.hard_state;
  hard_state = {Term{hard_state.term.value() + kTermsSkippedByLoss}, ReplicaId{}};
  ConfigurationAt& committed = record.configurations.committed;
  committed.index = std::min(committed.index, rest.end.last_index);
  record.sync_point = {record.segments.back().file, rest.position, rest.end.last_index,
                       rest.end.next_offset};
  record.suspect = false;
  record.suspect_why.clear();
  return record;
}

Entry MakeEntry(GroupId group, EntryKind kind, std::string_view payload, Term term, LogEnd* end) {
  EntryHeader header;
  header.kind = kind;
  header.group = group;
  header.first_index = header.last_index = end->last_index + 1;
  header.term = term;
  header.base_offset = end->next_offset;
  header.last_offset = end->next_offset - 1;
  header.append_time = end->append_time;
  Entry entry = FrameBuffer::Copy(payload).Seal(header);
  *end = {header.last_index, header.term, header.next_offset(), header.append_time};
  return entry;
}

// The survivor decides alone from here on: two entries behind its log, which count as committed.
// The replica keeps its epoch, by which the metadata names it.
absl::Status AddSurvivor(Segment& active, NodeId node, uint64_t recovery_number,
                         const ReplicaLoss& loss, ReplicaRecord* record) {
  Configuration alone;
  alone.voters = {{node, record->replica_epoch}};
  ReplicaScalars& scalars = record->scalars;
  const RecordedLoss recorded{scalars.end.last_index, loss.term, recovery_number};
  const Term term = scalars.hard_state.term;
  const std::vector<Entry> entries = {
      MakeEntry(record->group, EntryKind::kConfig, EncodeConfiguration(alone), term, &scalars.end),
      MakeEntry(record->group, EntryKind::kMeta, EncodeMeta(recorded), term, &scalars.end)};
  VARVE_RETURN_IF_ERROR(active.Write(record->sync_point.position, entries));
  record->configurations = {{entries[0].header.first_index, alone}, std::nullopt};
  scalars.commit_index = scalars.end.last_index;
  SyncPoint& point = record->sync_point;
  for (const Entry& entry : entries) point.position += entry.frame.size();
  point.index = scalars.end.last_index;
  point.next_offset = scalars.end.next_offset;
  return absl::OkStatus();
}

// Derived from the logs, and ahead of one that was cut.
absl::Status RemoveFold(FileSystem& files, const std::string& path) {
  const auto listed = files.List(path);
  if (absl::IsNotFound(listed.status())) return absl::OkStatus();
  VARVE_RETURN_IF_ERROR(listed.status());
  for (const DirectoryEntry& entry : *listed)
    if (!entry.is_directory) VARVE_RETURN_IF_ERROR(files.RemoveFile(JoinPath(path, entry.name)));
  return files.SyncDirectory(path);
}

absl::Status WriteCheckpoint(FileSystem& files, const OfflineDirectory& directory,
                             Checkpoint checkpoint, uint64_t journal_bytes) {
  std::atomic<uint64_t> next_file{checkpoint.next_file.value()};
  JournalFiles journal(files, directory.paths.journal, directory.identity, journal_bytes,
                       &next_file);
  VARVE_RETURN_IF_ERROR(journal.Inherit(checkpoint.live_files));
  return journal.Roll(&checkpoint, 0);
}

}  // namespace

bool LossReport::any_suspect() const {
  return std::any_of(losses.begin(), losses.end(),
                     [](const ReplicaLoss& loss) { return loss.suspect(); });
}

absl::StatusOr<LossReport> ExamineLoss(FileSystem& files, const std::string& path,
                                       LossScope scope) {
  VARVE_ASSIGN_OR_RETURN(const OfflineDirectory directory, Take(files, path));
  OverlayFileSystem overlay(files);
  const SegmentContext context{overlay, std::make_shared<FilePool>(overlay, kOpenFiles),
                               directory.identity};
  VARVE_ASSIGN_OR_RETURN(const Recovered recovered, Recover(context, directory.paths));
  LossReport report;
  report.replicas = recovered.replicas.size();
  report.notes = recovered.report.notes;
  for (const auto& [group, replica] : recovered.replicas) {
    VARVE_ASSIGN_OR_RETURN(ReplicaLoss loss, LossOf(*replica, directory.identity.node, scope));
    if (replica->suspicion.ok() && replica->damaged.empty() && !loss.survives()) continue;
    report.losses.push_back(std::move(loss));
  }
  return report;
}

absl::Status AcceptLoss(FileSystem& files, const std::string& path, const LossReport& report,
                        uint64_t journal_bytes) {
  VARVE_ASSIGN_OR_RETURN(const OfflineDirectory directory, Take(files, path));
  const SegmentContext context{files, std::make_shared<FilePool>(files, kOpenFiles),
                               directory.identity};
  VARVE_ASSIGN_OR_RETURN(Recovered recovered, Recover(context, directory.paths));
  bool fold_is_ahead = false;
  for (const ReplicaLoss& loss : report.losses) {
    if (!loss.acceptable()) continue;
    const auto at = recovered.replicas.find(loss.group);
    const ReplicaRecord* record = recovered.checkpoint.replicas.Find(loss.group);
    if (at == recovered.replicas.end() || record == nullptr) continue;
    VARVE_ASSIGN_OR_RETURN(const std::optional<Rest> rest, FindRest(*at->second));
    if (!rest || rest->end != *loss.end_after)
      return MakeError(Reason::DATA_LOSS, "group ", loss.group,
                       " has changed since its loss was reported; nothing was accepted");
    const PlacedSegment& last = at->second->segments[rest->segments - 1];
    ReplicaRecord after = Without(*record, *rest);
    VARVE_RETURN_IF_ERROR(last.segment->Truncate(rest->position));
    if (loss.survives())
      VARVE_RETURN_IF_ERROR(AddSurvivor(*last.segment, directory.identity.node,
                                        recovered.checkpoint.recovery_number + 1, loss, &after));
    VARVE_RETURN_IF_ERROR(last.segment->SyncData());
    VARVE_RETURN_IF_ERROR(files.SyncDirectory(at->second->directory));
    fold_is_ahead = fold_is_ahead || loss.group < kFirstTopicGroup;
    recovered.checkpoint.replicas.Put(std::move(after));
  }
  if (fold_is_ahead) VARVE_RETURN_IF_ERROR(RemoveFold(files, JoinPath(path, "fold")));
  const bool alone = std::any_of(report.losses.begin(), report.losses.end(), [](const auto& loss) {
    return loss.survives() && loss.acceptable();
  });
  if (alone) ++recovered.checkpoint.recovery_number;
  return WriteCheckpoint(files, directory, std::move(recovered.checkpoint), journal_bytes);
}

}  // namespace varve::storage
