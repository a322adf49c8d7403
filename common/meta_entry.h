// Bodies of Meta entries: zero-width facts about the log itself. docs/formats.md, "Meta bodies".
#ifndef VARVE_COMMON_META_ENTRY_H_
#define VARVE_COMMON_META_ENTRY_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "common/config.h"
#include "common/types.h"

namespace varve {

// First index and offset that a term wrote.
struct EpochStart {
  Term term;
  Index index;
  Offset offset;
  bool operator==(const EpochStart&) const = default;
};

// Sum of hashes of the items of the derived state (common/derived_state.h), beginning with that of
// the empty state; all zero: not stated.
struct StateDigest {
  std::array<uint64_t, 2> sum{};
  uint64_t items = 0;
  bool operator==(const StateDigest&) const = default;
};

// Begins a new segment on every replica; carries what a reader of this segment alone must know of
// the log before it.
struct SegmentStart {
  Index config_index;  // entry that set `config`; 0 for the bootstrap configuration
  Configuration config;
  std::vector<EpochStart> epochs;  // of all entries before this one still in the log; ascending
  StateDigest digest;              // of the derived state before this entry
  bool operator==(const SegmentStart&) const = default;
};

// Moves the log start up to this offset.
struct Trim {
  Offset log_start;
  bool operator==(const Trim&) const = default;
};

// An operator let the log go on with one survivor of several voters: what others had acknowledged
// behind `end` may be lost.
struct RecordedLoss {
  Index end;                     // last entry of the survivor
  Term term;                     // that it knew
  uint64_t recovery_number = 0;  // of its directory from then on
  bool operator==(const RecordedLoss&) const = default;
};

// Numbers 3 (property change) and 4 (producer expiry) are reserved.
using MetaBody = std::variant<SegmentStart, Trim, RecordedLoss>;

std::string EncodeMeta(const MetaBody& body);
// DATA_LOSS for bytes that are no valid body; UNSUPPORTED_FEATURE for a type this version does not
// know.
absl::StatusOr<MetaBody> DecodeMeta(std::string_view bytes);
// Whether a Meta payload is a segment start, without decoding the rest.
bool IsSegmentStart(std::string_view payload);
// Where a Meta payload asks the log to start; nullopt when it is no trim, or not a valid one.
std::optional<Offset> TrimOf(std::string_view payload);

}  // namespace varve

#endif  // VARVE_COMMON_META_ENTRY_H_
