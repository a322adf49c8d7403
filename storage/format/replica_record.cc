#include "storage/format/replica_record.h"

#include <algorithm>

#include "common/crc32c.h"
#include "common/error.h"
#include "storage/defect.h"

namespace varve::storage {
namespace {

constexpr uint32_t kSuspectFlag = 1;
constexpr uint32_t kSuspectWhyFlag = 2;  // a sized text follows the known fields

void PutConfigurationAt(const ConfigurationAt& at, ByteWriter* out) {
  out->Put(at.index.value());
  out->PutSized(EncodeConfiguration(at.configuration));
}

absl::StatusOr<ConfigurationAt> GetConfigurationAt(ByteReader* in) {
  ConfigurationAt out;
  out.index = Index{in->Get<uint64_t>()};
  const std::string_view bytes = in->GetSized();
  if (!in->ok()) return MakeError(Reason::DATA_LOSS, "configurations end too early");
  VARVE_ASSIGN_OR_RETURN(out.configuration, DecodeConfiguration(bytes));
  return out;
}

void PutSyncPoint(const SyncPoint& point, ByteWriter* out) {
  out->Put(point.file.value());
  out->Put(point.position);
  out->Put(point.index.value());
  out->Put(point.next_offset.value());
}

SyncPoint GetSyncPoint(ByteReader* in) {
  SyncPoint point;
  point.file = FileNumber{in->Get<uint64_t>()};
  point.position = in->Get<uint64_t>();
  point.index = Index{in->Get<uint64_t>()};
  point.next_offset = Offset{in->Get<int64_t>()};
  return point;
}

}  // namespace

uint32_t GenerationSeed(Generation generation) {
  if (Planted(Defect::kGenerationLeftOut)) return 0;
  char bytes[sizeof(uint64_t)];
  StoreLittle(bytes, generation.value());
  return Crc32c({bytes, sizeof bytes});
}

void PutScalars(const ReplicaScalars& scalars, ByteWriter* out) {
  out->Put(scalars.hard_state.term.value());
  out->Put(scalars.hard_state.vote.node.value());
  out->Put(scalars.hard_state.vote.epoch.value());
  out->Put(scalars.commit_index.value());
  out->Put(scalars.start.index.value());
  out->Put(scalars.start.offset.value());
  out->Put(scalars.start.previous_term.value());
  out->Put(scalars.end.last_index.value());
  out->Put(scalars.end.last_term.value());
  out->Put(scalars.end.next_offset.value());
  out->Put(scalars.end.append_time.value());
  out->Put(scalars.consistent_from.value());
  out->Put(uint64_t{0});
  out->Put(uint64_t{0});
}

ReplicaScalars GetScalars(ByteReader* in) {
  ReplicaScalars scalars;
  scalars.hard_state.term = Term{in->Get<uint64_t>()};
  scalars.hard_state.vote.node = NodeId{in->Get<uint32_t>()};
  scalars.hard_state.vote.epoch = ReplicaEpoch{in->Get<uint32_t>()};
  scalars.commit_index = Index{in->Get<uint64_t>()};
  scalars.start.index = Index{in->Get<uint64_t>()};
  scalars.start.offset = Offset{in->Get<int64_t>()};
  scalars.start.previous_term = Term{in->Get<uint64_t>()};
  scalars.end.last_index = Index{in->Get<uint64_t>()};
  scalars.end.last_term = Term{in->Get<uint64_t>()};
  scalars.end.next_offset = Offset{in->Get<int64_t>()};
  scalars.end.append_time = WallTime{in->Get<int64_t>()};
  scalars.consistent_from = Index{in->Get<uint64_t>()};
  in->Get<uint64_t>();
  in->Get<uint64_t>();
  return scalars;
}

void PutConfigurations(const Configurations& configurations, ByteWriter* out) {
  PutConfigurationAt(configurations.committed, out);
  out->Put(static_cast<uint8_t>(configurations.uncommitted ? 1 : 0));
  if (configurations.uncommitted) PutConfigurationAt(*configurations.uncommitted, out);
}

absl::StatusOr<Configurations> GetConfigurations(ByteReader* in) {
  Configurations out;
  VARVE_ASSIGN_OR_RETURN(out.committed, GetConfigurationAt(in));
  const auto flag = in->Get<uint8_t>();
  if (!in->ok() || flag > 1) {
    return MakeError(Reason::DATA_LOSS, "configurations with flag ", +flag);
  }
  if (flag == 1) {
    VARVE_ASSIGN_OR_RETURN(out.uncommitted, GetConfigurationAt(in));
  }
  return out;
}

void PutSegmentRefs(const std::vector<SegmentRef>& segments, ByteWriter* out) {
  out->Put(static_cast<uint32_t>(segments.size()));
  for (const SegmentRef& ref : segments) {
    out->Put(ref.file.value());
    out->Put(ref.base_offset.value());
    out->Put(ref.first_index.value());
    out->Put(ref.end_position);
  }
}

absl::StatusOr<std::vector<SegmentRef>> GetSegmentRefs(ByteReader* in) {
  const auto count = in->Get<uint32_t>();
  if (!in->ok() || in->remaining() / kSegmentRefBytes < count) {
    return MakeError(Reason::DATA_LOSS, count, " segment references in ", in->remaining(),
                     " bytes");
  }
  std::vector<SegmentRef> segments(count);
  for (SegmentRef& ref : segments) {
    ref.file = FileNumber{in->Get<uint64_t>()};
    ref.base_offset = Offset{in->Get<int64_t>()};
    ref.first_index = Index{in->Get<uint64_t>()};
    ref.end_position = in->Get<uint64_t>();
  }
  return segments;
}

void PutPeerMarks(const std::vector<PeerMark>& marks, ByteWriter* out) {
  out->Put(static_cast<uint32_t>(marks.size()));
  for (const PeerMark& mark : marks) {
    out->Put(mark.node.value());
    out->Put(uint32_t{0});
    out->PutBytes({reinterpret_cast<const char*>(mark.directory.bytes.data()), 16});
    out->Put(mark.process_epoch);
    out->Put(mark.incarnation);
    out->Put(mark.durable.value());
  }
}

absl::StatusOr<std::vector<PeerMark>> GetPeerMarks(ByteReader* in) {
  const auto count = in->Get<uint32_t>();
  if (!in->ok() || in->remaining() / kPeerMarkBytes < count || count > PeerMarks::kMaxMarks) {
    return MakeError(Reason::DATA_LOSS, count, " marks of peers in ", in->remaining(), " bytes");
  }
  std::vector<PeerMark> marks;
  marks.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    PeerMark mark;
    mark.node = NodeId{in->Get<uint32_t>()};
    const auto reserved = in->Get<uint32_t>();
    const std::string_view directory = in->GetBytes(mark.directory.bytes.size());
    std::copy(directory.begin(), directory.end(), mark.directory.bytes.begin());
    mark.process_epoch = in->Get<uint64_t>();
    mark.incarnation = in->Get<uint64_t>();
    mark.durable = CommitSequence{in->Get<uint64_t>()};
    const auto of_node = [&](const PeerMark& other) { return other.node == mark.node; };
    const auto same = [&](const PeerMark& other) {
      return of_node(other) && other.directory == mark.directory;
    };
    if (!mark.complete() || reserved != 0 || (!marks.empty() && mark.node < marks.back().node) ||
        std::any_of(marks.begin(), marks.end(), same) ||
        static_cast<size_t>(std::count_if(marks.begin(), marks.end(), of_node)) >=
            PeerMarks::kMaxPerNode) {
      return MakeError(Reason::DATA_LOSS, "mark ", i + 1, " of ", count, ", of node ", mark.node,
                       ", makes no sense");
    }
    marks.push_back(mark);
  }
  return marks;
}

std::string EncodeReplicaRecord(const ReplicaRecord& record) {
  std::string bytes;
  ByteWriter out(&bytes);
  out.Put(record.group.value());
  out.Put(record.replica_epoch.value());
  const bool why = record.suspect && !record.suspect_why.empty();
  out.Put((record.suspect ? kSuspectFlag : 0u) | (why ? kSuspectWhyFlag : 0u));
  PutScalars(record.scalars, &out);
  out.Put(record.last_frame.value());
  PutSyncPoint(record.sync_point, &out);
  PutConfigurations(record.configurations, &out);
  PutSegmentRefs(record.segments, &out);
  if (why) out.PutSized(std::string_view(record.suspect_why).substr(0, kMaxSuspectWhyBytes));
  return bytes;
}

absl::StatusOr<ReplicaRecord> DecodeReplicaRecord(std::string_view bytes) {
  ByteReader in(bytes);
  ReplicaRecord record;
  record.group = GroupId{in.Get<uint64_t>()};
  record.replica_epoch = ReplicaEpoch{in.Get<uint32_t>()};
  const auto flags = in.Get<uint32_t>();
  record.suspect = (flags & kSuspectFlag) != 0;
  record.scalars = GetScalars(&in);
  record.last_frame = FrameSequence{in.Get<uint64_t>()};
  record.sync_point = GetSyncPoint(&in);
  const bool why = (flags & kSuspectWhyFlag) != 0;
  if (!in.ok() || record.group == GroupId{} || (flags & ~(kSuspectFlag | kSuspectWhyFlag)) != 0 ||
      (why && !record.suspect)) {
    return MakeError(Reason::DATA_LOSS, "replica record of group ", record.group, " with ",
                     bytes.size(), " bytes and flags ", flags);
  }
  VARVE_ASSIGN_OR_RETURN(record.configurations, GetConfigurations(&in));
  VARVE_ASSIGN_OR_RETURN(record.segments, GetSegmentRefs(&in));
  if (why) record.suspect_why = std::string(in.GetSized());
  if (!in.ok() || record.suspect_why.size() > kMaxSuspectWhyBytes) {
    return MakeError(Reason::DATA_LOSS, "replica record of group ", record.group,
                     ": why it is suspect has ", record.suspect_why.size(), " bytes");
  }
  return record;
}

}  // namespace varve::storage
