// Facts about a group's log that Raft and storage share, and the write that Raft asks storage for.
#ifndef VARVE_COMMON_LOG_STATE_H_
#define VARVE_COMMON_LOG_STATE_H_

#include <optional>
#include <vector>

#include "common/config.h"
#include "common/entry.h"
#include "common/types.h"

namespace varve {

// Raft's hard state. A vote belongs to its term.
struct HardState {
  Term term;
  ReplicaId vote;
  bool operator==(const HardState&) const = default;
};

// End of a log: the last entry and what follows it. Index 0 and offset 0 for an empty log.
struct LogEnd {
  Index last_index;
  Term last_term;
  Offset next_offset;
  WallTime append_time;  // of the last entry
  bool operator==(const LogEnd&) const = default;
};

// Start of a log. `index` is the first entry that is kept, a segment start; `previous_term` the
// term of the entry before it. `offset` is the first one that readers may ask for: trims move it,
// and the entries follow up to a segment start, so that it may lie within the first segment.
// Neither moves back.
struct LogStart {
  Index index{1};
  Offset offset;
  Term previous_term;
  bool operator==(const LogStart&) const = default;
};

struct ConfigurationAt {
  Index index;  // of the entry that set it; 0 for none
  Configuration configuration;
  bool operator==(const ConfigurationAt&) const = default;
};

struct Configurations {
  ConfigurationAt committed;
  std::optional<ConfigurationAt> uncommitted;
  bool operator==(const Configurations&) const = default;
};

// All that one group asks its log for together: durable as a whole or not at all, applied in this
// order.
struct LogWrite {
  // Removes the entries from this index on. Must be above the commit index.
  std::optional<Index> truncate_from;
  // Contiguous in index and offset, continuing the (truncated) log. A segment start begins a new
  // segment; the first entry of an empty log must be one.
  std::vector<Entry> entries;
  std::optional<HardState> hard_state;
  // The commit index known now; recorded with the frame, never lowered.
  Index commit_index;
  // Configurations after this write, when they changed.
  std::optional<Configurations> configurations;
  // Frame bytes of the entries with records that another replica sent: their room in memory is
  // not reserved yet, as it is for what was admitted here.
  size_t received_bytes = 0;
};

}  // namespace varve

#endif  // VARVE_COMMON_LOG_STATE_H_
