// What the simulator knows of a Raft replica: inputs, effects, and a state to judge. The only seam
// between the simulator and the core; network, disk, operations and checkers see nothing else.
// Single-threaded.
#ifndef VARVE_TESTS_SIM_RAFT_REPLICA_H_
#define VARVE_TESTS_SIM_RAFT_REPLICA_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "common/log_state.h"
#include "raft/core/effects.h"
#include "raft/core/message.h"

namespace varve::raftsim {

using raft::kMessageTypes;
using raft::MessageType;
using raft::NameOf;
using raft::Role;

// An entry as the simulator sees it. `payload` names what was proposed; no two proposals share one.
struct SimEntry {
  Index index;
  Term term;
  EntryKind kind = EntryKind::kData;
  Offset base_offset;
  Offset next_offset;
  uint64_t payload = 0;
  std::shared_ptr<const Configuration> configuration;  // of kConfig
  // Hash over this entry and all before it. The simulated disk fills it in, so that one comparison
  // compares whole prefixes.
  uint64_t chain = 0;
};

struct SimConfigurationAt {
  Index index;
  std::shared_ptr<const Configuration> configuration = std::make_shared<const Configuration>();
};

struct DiskWrite;

// A log with its hard state: what a disk holds, and what an install ships.
struct LogImage {
  LogStart start;
  uint64_t start_chain = 0;  // of the entry before the first
  SimConfigurationAt base;   // configuration at the start
  std::vector<SimEntry> entries;
  HardState hard_state;
  Index commit;  // recorded with the last write

  [[nodiscard]] Index last_index() const { return start.index - 1 + entries.size(); }
  [[nodiscard]] Term last_term() const {
    return entries.empty() ? start.previous_term : entries.back().term;
  }
  [[nodiscard]] Offset next_offset() const {
    return entries.empty() ? start.offset : entries.back().next_offset;
  }
  // Null when the log does not hold it.
  [[nodiscard]] const SimEntry* At(Index index) const {
    if (index < start.index || index > last_index()) return nullptr;
    return &entries[index - start.index];
  }
  // The entry, or something that it was trimmed behind, is there.
  [[nodiscard]] bool Holds(Index index, Term term) const {
    if (index < start.index) return true;
    const SimEntry* entry = At(index);
    return entry != nullptr && entry->term == term;
  }
  [[nodiscard]] SimConfigurationAt Newest() const;
  void Truncate(Index from);
  void Append(SimEntry entry);
  // Moves the start to `first`, which is at most last_index() + 1.
  void Trim(Index first);
  void Apply(const DiskWrite& write);
};

// A message on its way: what the network and the checkers look at, and the message itself.
struct Packet {
  MessageType type = MessageType::kHeartbeat;
  ReplicaId from;
  ReplicaId to;
  Term term;
  bool reject = false;  // of a reply
  bool forced = false;  // of a vote: the leader asked for the election
  Index previous;       // append: what comes before the entries; vote: where the log ends
  Term last_term;       // vote: of the log
  uint64_t entries = 0;
  Index commit;
  Index acknowledged;  // append and install reply: durable through here, under the sender's term
  std::shared_ptr<const raft::Message> message;
  std::shared_ptr<const LogImage> image;  // install: the files
};

// Durable as a whole or not at all, in order of sequence.
struct DiskWrite {
  uint64_t sequence = 0;
  Term term;
  std::optional<Index> truncate_from;
  std::vector<SimEntry> entries;
  std::optional<HardState> hard_state;
  std::shared_ptr<const LogImage> install;  // replaces the whole log
  std::optional<Index> trim_to;             // first index that is kept
  Index commit;
};

enum class Outcome : uint8_t { kCommitted, kLost, kUnknown, kRefused };

struct Result {
  uint64_t proposal = 0;
  Outcome outcome = Outcome::kRefused;
  Index index;  // kCommitted
};

struct ReadResult {
  uint64_t read = 0;
  std::optional<Index> index;  // none: not confirmed
};

struct Outbox {
  std::vector<DiskWrite> disk;
  std::vector<Packet> messages;
  std::vector<Result> results;
  std::vector<ReadResult> reads;
};

// What the checkers may ask at any time.
struct ReplicaState {
  Role role = Role::kFollower;
  Term term;
  ReplicaId vote;
  ReplicaId leader;
  Index commit;
  Index last;
  Index durable;  // what the replica believes to be durable of its log
  bool confirmed = false;
  Index floor;                                            // of compaction
  uint64_t waited_ticks = 0;                              // since the election timer was set
  uint64_t ticks_without_leader = 0;                      // since a leader was heard of
  bool needs_tick = false;                                // else its owner lets its timer rest
  std::shared_ptr<const Configuration> configuration;     // acting
  std::shared_ptr<const std::vector<EpochStart>> epochs;  // where terms begin along its log
  // Must be zero at rest.
  uint64_t uncommitted_bytes = 0;
  uint64_t inflight = 0;
  uint64_t pending = 0;
};

class Replica {
 public:
  virtual ~Replica() = default;
  virtual void Tick() = 0;
  virtual void Receive(const Packet& packet) = 0;
  virtual void Propose(uint64_t proposal) = 0;
  virtual void ProposeConfiguration(uint64_t proposal, const Configuration& configuration) = 0;
  virtual void Transfer(ReplicaId target) = 0;
  virtual void ReadBarrier(uint64_t read) = 0;
  virtual void DiskDone(uint64_t sequence, Term term) = 0;
  virtual void DiskFailed() = 0;
  virtual void DiskSlow(bool slow) = 0;
  virtual void DiskFull(bool full) = 0;
  virtual void PeerLost(ReplicaId peer) = 0;
  virtual void Trim(Index first) = 0;
  [[nodiscard]] virtual Outbox TakeEffects() = 0;
  [[nodiscard]] virtual ReplicaState state() const = 0;
};

}  // namespace varve::raftsim

#endif  // VARVE_TESTS_SIM_RAFT_REPLICA_H_
