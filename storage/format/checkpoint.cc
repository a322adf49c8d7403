#include "storage/format/checkpoint.h"

#include <limits>
#include <utility>

#include "common/bytes.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "common/limits.h"
#include "storage/defect.h"
#include "storage/format/replica_record.h"

namespace varve::storage {
namespace {

constexpr uint32_t kOpeningMagic = 0x504b4356;  // "VCKP"
constexpr uint32_t kClosingMagic = 0x454b4356;  // "VCKE"
// Version 1 had neither incarnation nor settled epoch, and marks of peers without a directory,
// which nothing can be compared with.
constexpr uint32_t kCheckpointVersion = 2;
constexpr uint32_t kOldestCheckpointVersion = 1;
constexpr size_t kFixedCrcAt = 28;
constexpr size_t kJournalFileRefBytes = 16;
constexpr size_t kReservedWords = 2;
constexpr size_t kOldPeerMarkBytes = 24;

// The opening and the closing block begin with the same fields.
std::string EncodeFixed(uint32_t magic, Generation generation, std::string_view body) {
  const uint32_t seed = GenerationSeed(generation);
  std::string bytes;
  ByteWriter out(&bytes);
  out.Put(magic);
  out.Put(kCheckpointVersion);
  out.Put(generation.value());
  out.Put(uint64_t{body.size()});
  out.Put(ExtendCrc32c(seed, body));
  out.Put(ExtendCrc32c(seed, bytes));
  return bytes;
}

struct Fixed {
  uint32_t version = 0;
  uint64_t body_bytes = 0;
  uint32_t body_crc = 0;
};

absl::StatusOr<Fixed> DecodeFixed(std::string_view bytes, uint32_t magic, Generation generation) {
  const std::string_view block = magic == kOpeningMagic ? "opening" : "closing";
  ByteReader in(bytes);
  const auto found_magic = in.Get<uint32_t>();
  Fixed fixed;
  fixed.version = in.Get<uint32_t>();
  const Generation found_generation{in.Get<uint64_t>()};
  fixed.body_bytes = in.Get<uint64_t>();
  fixed.body_crc = in.Get<uint32_t>();
  const auto crc = in.Get<uint32_t>();
  if (!in.ok() || found_magic != magic || found_generation != generation) {
    return MakeError(Reason::DATA_LOSS, "checkpoint: no ", block, " block of generation ",
                     generation);
  }
  if (crc != ExtendCrc32c(GenerationSeed(generation), bytes.substr(0, kFixedCrcAt))) {
    return MakeError(Reason::DATA_LOSS, "checkpoint: the ", block, " block fails its checksum");
  }
  if (fixed.version < kOldestCheckpointVersion || fixed.version > kCheckpointVersion) {
    return MakeError(Reason::NEWER_FORMAT, "checkpoint of version ", fixed.version,
                     "; this varve knows versions up to ", kCheckpointVersion);
  }
  return fixed;
}

std::string EncodeBody(const Checkpoint& checkpoint) {
  std::string bytes;
  ByteWriter out(&bytes);
  out.Put(checkpoint.process_epoch);
  out.Put(checkpoint.recovery_number);
  out.Put(checkpoint.last_commit.value());
  out.Put(checkpoint.durable_through.value());
  out.Put(checkpoint.next_file.value());
  out.Put(checkpoint.next_generation.value());
  out.Put(checkpoint.incarnation);
  out.Put(checkpoint.settled_epoch);
  for (size_t i = 0; i < kReservedWords; ++i) out.Put(uint64_t{0});
  out.Put(static_cast<uint32_t>(checkpoint.live_files.size()));
  for (const JournalFileRef& ref : checkpoint.live_files) {
    out.Put(ref.file.value());
    out.Put(ref.generation.value());
  }
  PutPeerMarks(checkpoint.peers.marks(), &out);
  out.Put(static_cast<uint32_t>(checkpoint.replicas.records().size()));
  for (const auto& [group, record] : checkpoint.replicas.records()) {
    out.PutSized(EncodeReplicaRecord(record));
  }
  return bytes;
}

// A count that at least `each` bytes per item must follow.
absl::StatusOr<uint32_t> GetCount(ByteReader* in, size_t each, std::string_view what) {
  const auto count = in->Get<uint32_t>();
  if (!in->ok() || in->remaining() / each < count) {
    return MakeError(Reason::DATA_LOSS, "checkpoint: ", count, " ", what, " in ", in->remaining(),
                     " bytes");
  }
  return count;
}

absl::Status GetReplicas(ByteReader* in, ReplicaTable* replicas) {
  VARVE_ASSIGN_OR_RETURN(const uint32_t count, GetCount(in, sizeof(uint32_t), "replicas"));
  GroupId last;
  for (uint32_t i = 0; i < count; ++i) {
    VARVE_ASSIGN_OR_RETURN(ReplicaRecord record, DecodeReplicaRecord(in->GetSized()));
    if (record.group <= last) {
      return MakeError(Reason::DATA_LOSS, "checkpoint: group ", record.group, " after group ",
                       last);
    }
    last = record.group;
    replicas->Put(std::move(record));
  }
  return absl::OkStatus();
}

absl::Status GetPeers(uint32_t version, ByteReader* in, PeerMarks* peers) {
  if (version == kOldestCheckpointVersion) {
    VARVE_ASSIGN_OR_RETURN(const uint32_t count, GetCount(in, kOldPeerMarkBytes, "peers"));
    in->GetBytes(size_t{count} * kOldPeerMarkBytes);
    return absl::OkStatus();
  }
  auto marks = GetPeerMarks(in);
  if (!marks.ok()) return AddContext(marks.status(), "checkpoint");
  for (const PeerMark& mark : *marks) peers->Note(mark);
  return absl::OkStatus();
}

absl::StatusOr<Checkpoint> DecodeBody(uint32_t version, std::string_view body) {
  ByteReader in(body);
  Checkpoint out;
  out.process_epoch = in.Get<uint64_t>();
  out.recovery_number = in.Get<uint64_t>();
  out.last_commit = CommitSequence{in.Get<uint64_t>()};
  out.durable_through = CommitSequence{in.Get<uint64_t>()};
  out.next_file = FileNumber{in.Get<uint64_t>()};
  out.next_generation = Generation{in.Get<uint64_t>()};
  if (version > kOldestCheckpointVersion) {
    out.incarnation = in.Get<uint64_t>();
    out.settled_epoch = in.Get<uint64_t>();
    for (size_t i = 0; i < kReservedWords; ++i) in.Get<uint64_t>();
  }
  VARVE_ASSIGN_OR_RETURN(const uint32_t files,
                         GetCount(&in, kJournalFileRefBytes, "journal files"));
  for (uint32_t i = 0; i < files; ++i) {
    const FileNumber file{in.Get<uint64_t>()};
    out.live_files.push_back({file, Generation{in.Get<uint64_t>()}});
  }
  VARVE_RETURN_IF_ERROR(GetPeers(version, &in, &out.peers));
  VARVE_RETURN_IF_ERROR(GetReplicas(&in, &out.replicas));
  if (!in.ok() || in.remaining() != 0) {
    return MakeError(Reason::DATA_LOSS, "checkpoint: ", in.remaining(), " bytes left over");
  }
  return out;
}

}  // namespace

std::string EncodeCheckpoint(const Checkpoint& checkpoint, Generation generation) {
  const std::string body = EncodeBody(checkpoint);
  std::string bytes = EncodeFixed(kOpeningMagic, generation, body);
  ByteWriter out(&bytes);
  out.PutBytes(body);
  out.PadTo(limits::kBlockBytes);
  out.PutBytes(EncodeFixed(kClosingMagic, generation, body));
  out.PadTo(limits::kBlockBytes);
  return bytes;
}

absl::StatusOr<uint64_t> CheckpointBytes(std::string_view bytes, Generation generation) {
  VARVE_ASSIGN_OR_RETURN(const Fixed fixed, DecodeFixed(bytes, kOpeningMagic, generation));
  constexpr uint64_t kBlock = limits::kBlockBytes;
  if (fixed.body_bytes > std::numeric_limits<uint32_t>::max()) {
    return MakeError(Reason::DATA_LOSS, "checkpoint of ", fixed.body_bytes, " bytes");
  }
  return (kCheckpointFixedBytes + fixed.body_bytes + kBlock - 1) / kBlock * kBlock + kBlock;
}

absl::StatusOr<Checkpoint> DecodeCheckpoint(std::string_view bytes, Generation generation) {
  VARVE_ASSIGN_OR_RETURN(const uint64_t length, CheckpointBytes(bytes, generation));
  if (length != bytes.size()) {
    return MakeError(Reason::DATA_LOSS, "checkpoint of ", length, " bytes in ", bytes.size());
  }
  VARVE_ASSIGN_OR_RETURN(const Fixed fixed, DecodeFixed(bytes, kOpeningMagic, generation));
  const std::string_view closing = bytes.substr(bytes.size() - limits::kBlockBytes);
  VARVE_ASSIGN_OR_RETURN(const Fixed again, DecodeFixed(closing, kClosingMagic, generation));
  const std::string_view body = bytes.substr(kCheckpointFixedBytes, fixed.body_bytes);
  if (Planted(Defect::kCheckpointChecksumIgnored)) return DecodeBody(fixed.version, body);
  if (again.body_bytes != fixed.body_bytes || again.body_crc != fixed.body_crc ||
      fixed.body_crc != ExtendCrc32c(GenerationSeed(generation), body)) {
    return MakeError(Reason::DATA_LOSS, "checkpoint: the body fails its checksum");
  }
  return DecodeBody(fixed.version, body);
}

}  // namespace varve::storage
