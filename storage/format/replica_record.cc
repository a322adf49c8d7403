#include "storage/format/replica_record.h"

#include "common/crc32c.h"
#include "common/error.h"
#include "storage/defect.h"

namespace varve::storage {
namespace {

constexpr uint32_t kSuspectFlag = 1;

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

std::string EncodeReplicaRecord(const ReplicaRecord& record) {
  std::string bytes;
  ByteWriter out(&bytes);
  out.Put(record.group.value());
  out.Put(record.replica_epoch.value());
  out.Put(record.suspect ? kSuspectFlag : uint32_t{0});
  PutScalars(record.scalars, &out);
  out.Put(record.last_frame.value());
  PutSyncPoint(record.sync_point, &out);
  PutConfigurations(record.configurations, &out);
  PutSegmentRefs(record.segments, &out);
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
  if (!in.ok() || record.group == GroupId{} || (flags & ~kSuspectFlag) != 0) {
    return MakeError(Reason::DATA_LOSS, "replica record of group ", record.group, " with ",
                     bytes.size(), " bytes and flags ", flags);
  }
  VARVE_ASSIGN_OR_RETURN(record.configurations, GetConfigurations(&in));
  VARVE_ASSIGN_OR_RETURN(record.segments, GetSegmentRefs(&in));
  return record;
}

}  // namespace varve::storage
