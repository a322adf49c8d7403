// The pieces that checkpoints and journal frames share: scalars, configurations, segment
// references, marks of peers, and the replica record. docs/formats.md, "Checkpoint".
//
// Encoders append; decoders take from a ByteReader over bytes that may be hostile, allocate only
// after comparing counts with what remains, and report DATA_LOSS.
#ifndef VARVE_STORAGE_FORMAT_REPLICA_RECORD_H_
#define VARVE_STORAGE_FORMAT_REPLICA_RECORD_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/bytes.h"
#include "storage/replica_state.h"

namespace varve::storage {

inline constexpr size_t kScalarsBytes = 104;
inline constexpr size_t kSegmentRefBytes = 32;
inline constexpr size_t kPeerMarkBytes = 48;
// Of the text that says why a replica is suspect.
inline constexpr size_t kMaxSuspectWhyBytes = 512;

// Every checksum of a journal file starts from this, so that bytes of the file's former uses fail.
uint32_t GenerationSeed(Generation generation);

void PutScalars(const ReplicaScalars& scalars, ByteWriter* out);
ReplicaScalars GetScalars(ByteReader* in);  // short input: !in->ok()

void PutConfigurations(const Configurations& configurations, ByteWriter* out);
absl::StatusOr<Configurations> GetConfigurations(ByteReader* in);

void PutSegmentRefs(const std::vector<SegmentRef>& segments, ByteWriter* out);
absl::StatusOr<std::vector<SegmentRef>> GetSegmentRefs(ByteReader* in);

void PutPeerMarks(const std::vector<PeerMark>& marks, ByteWriter* out);
// DATA_LOSS unless they are complete, ordered and bounded as PeerMarks keeps them.
absl::StatusOr<std::vector<PeerMark>> GetPeerMarks(ByteReader* in);

std::string EncodeReplicaRecord(const ReplicaRecord& record);
// Bytes behind the known fields are a later version's and are ignored.
absl::StatusOr<ReplicaRecord> DecodeReplicaRecord(std::string_view bytes);

}  // namespace varve::storage

#endif  // VARVE_STORAGE_FORMAT_REPLICA_RECORD_H_
