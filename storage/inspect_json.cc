// The report as JSON.
#include <nlohmann/json.hpp>
#include <ostream>

#include "storage/inspect.h"
#include "storage/inspect_text.h"

namespace varve::storage {
namespace {

// Keys in the order in which they are written here.
using Json = nlohmann::ordered_json;

Json Finding(const FileFinding& f) {
  Json out = {{"file", f.path}, {"bytes", f.bytes}, {"state", std::string(NameOf(f.verdict))}};
  if (f.verdict != Verdict::kOk) {
    out["position"] = f.position;
    out["reason"] = f.reason;
    out["recovery"] = f.recovery;
  }
  return out;
}

Json ConfigurationJson(const ConfigurationAt& at) {
  return {{"index", at.index.value()},
          {"voters", DescribeReplicas(at.configuration.voters)},
          {"outgoing", DescribeReplicas(at.configuration.outgoing)},
          {"learners", DescribeReplicas(at.configuration.learners)}};
}

Json Record(const ReplicaRecord& r) {
  const ReplicaScalars& s = r.scalars;
  Json out = {{"group", r.group.value()},
              {"replica_epoch", r.replica_epoch.value()},
              {"suspect", r.suspect},
              {"suspect_reason", r.suspect_why},
              {"term", s.hard_state.term.value()},
              {"vote", DescribeReplica(s.hard_state.vote)},
              {"commit_index", s.commit_index.value()},
              {"log_start_index", s.start.index.value()},
              {"log_start_offset", s.start.offset.value()},
              {"last_index", s.end.last_index.value()},
              {"last_term", s.end.last_term.value()},
              {"next_offset", s.end.next_offset.value()},
              {"consistent_from", s.consistent_from.value()},
              {"last_frame", r.last_frame.value()},
              {"sync_point",
               {{"file_number", r.sync_point.file.value()},
                {"position", r.sync_point.position},
                {"index", r.sync_point.index.value()},
                {"next_offset", r.sync_point.next_offset.value()}}},
              {"configuration", ConfigurationJson(r.configurations.committed)}};
  if (r.configurations.uncommitted)
    out["uncommitted_configuration"] = ConfigurationJson(*r.configurations.uncommitted);
  out["segments"] = Json::array();
  for (const SegmentRef& ref : r.segments) {
    out["segments"].push_back({{"file_number", ref.file.value()},
                               {"base_offset", ref.base_offset.value()},
                               {"first_index", ref.first_index.value()},
                               {"end_position", ref.end_position}});
  }
  return out;
}

Json Marks(const PeerMarks& peers) {
  Json out = Json::array();
  for (const PeerMark& mark : peers.marks()) {
    out.push_back({{"node", mark.node.value()},
                   {"directory_id", mark.directory.ToString()},
                   {"process_epoch", mark.process_epoch},
                   {"incarnation", mark.incarnation},
                   {"durable", mark.durable.value()}});
  }
  return out;
}

Json CheckpointJson(const Checkpoint& c) {
  Json out = {{"process_epoch", c.process_epoch},
              {"incarnation", c.incarnation},
              {"settled_epoch", c.settled_epoch},
              {"recovery_number", c.recovery_number},
              {"last_commit", c.last_commit.value()},
              {"durable_through", c.durable_through.value()},
              {"next_file_number", c.next_file.value()},
              {"next_generation", c.next_generation.value()},
              {"live_files", Json::array()},
              {"peers", Marks(c.peers)},
              {"replicas", Json::array()}};
  for (const JournalFileRef& ref : c.live_files) {
    out["live_files"].push_back(
        {{"file_number", ref.file.value()}, {"generation", ref.generation.value()}});
  }
  for (const auto& [group, record] : c.replicas.records())
    out["replicas"].push_back(Record(record));
  return out;
}

Json Commit(const InspectedCommit& c) {
  Json out = {{"position", c.position},
              {"bytes", c.bytes},
              {"sequence", c.sequence.value()},
              {"durable_through", c.durable_through.value()},
              {"frames", Json::array()}};
  for (const InspectedFrame& f : c.frames) {
    out["frames"].push_back({{"group", f.group.value()},
                             {"sequence", f.sequence.value()},
                             {"replica_epoch", f.replica_epoch.value()},
                             {"term", f.term.value()},
                             {"commit_index", f.commit_index.value()},
                             {"last_index", f.end.last_index.value()},
                             {"next_offset", f.end.next_offset.value()},
                             {"steps", f.steps}});
  }
  return out;
}

Json JournalFile(const InspectedJournalFile& file) {
  Json out = Finding(file.finding);
  out["file_number"] = file.number.value();
  out["generation"] = file.generation.value();
  out["first_commit_position"] = file.first_commit_position;
  out["live"] = file.live;
  out["newest_checkpoint"] = file.newest_checkpoint;
  if (file.checkpoint) {
    out["checkpoint"] = CheckpointJson(*file.checkpoint);
  } else {
    out["checkpoint_error"] = file.checkpoint_error;
  }
  out["commits"] = Json::array();
  for (const InspectedCommit& commit : file.commits) out["commits"].push_back(Commit(commit));
  return out;
}

Json Segment(const InspectedSegment& s) {
  Json out = Finding(s.finding);
  out["file_number"] = s.number.value();
  out["active"] = s.active;
  out["entries"] = s.frames;
  out["end_position"] = s.end_position;
  out["synced_position"] = s.synced_position;
  if (s.first) {
    out["first_index"] = s.first->first_index.value();
    out["last_index"] = s.last->last_index.value();
    out["base_offset"] = s.first->base_offset.value();
    out["last_offset"] = s.last->last_offset.value();
    out["last_term"] = s.last->term.value();
    out["last_append_time"] = s.last->append_time.value();
  }
  return out;
}

Json Group(const InspectedGroup& group) {
  Json out = {{"group", group.group.value()}, {"replica", nullptr},
              {"segments", Json::array()},    {"indexes", Json::array()},
              {"states", Json::array()},      {"others", Json::array()}};
  if (group.record) out["replica"] = Record(*group.record);
  for (const InspectedSegment& segment : group.segments)
    out["segments"].push_back(Segment(segment));
  for (const InspectedIndex& index : group.indexes) {
    Json row = Finding(index.finding);
    row["file_number"] = index.number.value();
    row["rows"] = index.rows;
    out["indexes"].push_back(std::move(row));
  }
  for (const InspectedState& state : group.states) {
    Json row = Finding(state.finding);
    row["index"] = state.name.index.value();
    row["term"] = state.name.term.value();
    row["next_offset"] = state.summary.at.next_offset.value();
    row["items"] = state.summary.digest.items;
    out["states"].push_back(std::move(row));
  }
  for (const FileFinding& finding : group.others) out["others"].push_back(Finding(finding));
  return out;
}

std::string_view NameOf(EntryKind kind) {
  switch (kind) {
    case EntryKind::kData:
      return "data";
    case EntryKind::kBarrier:
      return "barrier";
    case EntryKind::kConfig:
      return "config";
    case EntryKind::kMeta:
      break;
  }
  return "meta";
}

}  // namespace

void WriteEntryJson(const InspectedEntry& entry, std::ostream& out) {
  const EntryHeader& header = entry.header;
  out << Json({{"group", header.group.value()},
               {"first_index", header.first_index.value()},
               {"last_index", header.last_index.value()},
               {"term", header.term.value()},
               {"kind", std::string(NameOf(header.kind))},
               {"base_offset", header.base_offset.value()},
               {"last_offset", header.last_offset.value()},
               {"payload_bytes", header.payload_bytes},
               {"payload_crc", entry.payload_crc}})
             .dump()
      << '\n';
}

void WriteInspectJson(const InspectReport& report, std::ostream& out) {
  Json json = {{"path", report.path},
               {"in_use", report.in_use},
               {"verified", report.verified},
               {"damaged_files", report.CountDamage()},
               {"identity", Finding(report.identity_file)}};
  if (report.identity) {
    json["identity"]["cluster_id"] = report.identity->cluster.ToString();
    json["identity"]["directory_id"] = report.identity->directory.ToString();
    json["identity"]["node_id"] = report.identity->node.value();
  }
  for (const char* list : {"journal", "groups", "trash", "others"}) json[list] = Json::array();
  for (const auto& file : report.journal) json["journal"].push_back(JournalFile(file));
  for (const auto& group : report.groups) json["groups"].push_back(Group(group));
  for (const auto& finding : report.trash) json["trash"].push_back(Finding(finding));
  for (const auto& finding : report.others) json["others"].push_back(Finding(finding));
  const RecoveryPreview& preview = report.recovery;
  json["recovery"] = {{"starts", preview.starts},
                      {"refusal", preview.refusal},
                      {"last_commit", preview.last_commit.value()},
                      {"durable_through", preview.durable_through.value()},
                      {"process_epoch", preview.process_epoch},
                      {"peers", Marks(preview.peers)},
                      {"notes", preview.notes}};
  // Texts may quote bytes of damaged files: what is no UTF-8 is replaced, not refused.
  out << json.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
}

}  // namespace varve::storage
