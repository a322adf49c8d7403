// Bytes of a checkpoint: from block 1 of a journal file to its first commit. docs/formats.md,
// "Checkpoint".
#ifndef VARVE_STORAGE_FORMAT_CHECKPOINT_H_
#define VARVE_STORAGE_FORMAT_CHECKPOINT_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "storage/journal.h"

namespace varve::storage {

// Bytes before the body.
inline constexpr size_t kCheckpointFixedBytes = 32;

// Whole blocks, the closing block last.
std::string EncodeCheckpoint(const Checkpoint& checkpoint, Generation generation);

// Bytes of the whole checkpoint that `bytes` begins with; only its first fields are looked at.
absl::StatusOr<uint64_t> CheckpointBytes(std::string_view bytes, Generation generation);

// `bytes` as long as CheckpointBytes says. DATA_LOSS unless body and closing block are valid.
absl::StatusOr<Checkpoint> DecodeCheckpoint(std::string_view bytes, Generation generation);

}  // namespace varve::storage

#endif  // VARVE_STORAGE_FORMAT_CHECKPOINT_H_
