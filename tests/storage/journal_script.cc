#include "tests/storage/journal_script.h"

#include <gtest/gtest.h>

#include "common/error.h"

namespace varve::storage {

DirectoryIdentity TestIdentity() {
  DirectoryIdentity identity;
  identity.cluster.bytes.fill(0x11);
  identity.directory.bytes.fill(0x22);
  identity.node = NodeId{3};
  return identity;
}

Entry TestEntry(GroupId group, Index index, Term term, size_t payload_bytes) {
  EntryHeader header;
  header.kind = EntryKind::kMeta;
  header.group = group;
  header.first_index = header.last_index = index;
  header.term = term;
  header.last_offset = Offset{-1};
  header.append_time = WallTime{static_cast<int64_t>(1000 + index.value())};
  std::string payload(std::max<size_t>(payload_bytes, 4), '\0');
  for (size_t i = 0; i < payload.size(); ++i)
    payload[i] = static_cast<char>(group.value() * 31 + index.value() * 7 + i);
  return FrameBuffer::Copy(payload).Seal(header);
}

JournalFrame GroupScript::Next() {
  JournalFrame frame;
  frame.group = group_;
  frame.replica_epoch = epoch_;
  frame.sequence = ++sequence_;
  return frame;
}

JournalFrame GroupScript::Create() {
  JournalFrame frame = Next();
  scalars_.hard_state.term = Term{1};
  frame.scalars = scalars_;
  frame.steps.emplace_back(CreateReplicaStep{});
  frame.steps.emplace_back(SegmentSetStep{{}, {{segment_, Offset{0}, Index{1}, 0}}});
  ConfigurationsStep configurations;
  configurations.configurations.committed.configuration.voters = {{NodeId{3}, ReplicaEpoch{1}}};
  frame.steps.emplace_back(configurations);
  return frame;
}

JournalFrame GroupScript::Append(size_t entries, size_t payload_bytes) {
  JournalFrame frame = Next();
  AppendStep step{segment_, end_position_, {}};
  for (size_t i = 0; i < entries; ++i) {
    const Index index = scalars_.end.last_index + 1;
    Entry entry = TestEntry(group_, index, scalars_.hard_state.term, payload_bytes);
    positions_[index] = end_position_;
    end_position_ += entry.header.frame_bytes();
    scalars_.end = {index, entry.header.term, Offset{0}, entry.header.append_time};
    step.entries.push_back(std::move(entry));
  }
  frame.scalars = scalars_;
  frame.steps.emplace_back(std::move(step));
  return frame;
}

JournalFrame GroupScript::Vote(Term term, NodeId node) {
  JournalFrame frame = Next();
  scalars_.hard_state = {term, {node, ReplicaEpoch{1}}};
  frame.scalars = scalars_;
  return frame;
}

JournalFrame GroupScript::Truncate(Index from) {
  JournalFrame frame = Next();
  end_position_ = positions_.at(from);
  positions_.erase(positions_.find(from), positions_.end());
  const bool empty = from == Index{1};
  scalars_.end.last_index = from - 1;
  scalars_.end.append_time = WallTime{empty ? 0 : static_cast<int64_t>(1000 + from.value() - 1)};
  frame.scalars = scalars_;
  frame.steps.emplace_back(TruncateStep{from, segment_, end_position_});
  return frame;
}

JournalFrame GroupScript::Remove() {
  JournalFrame frame = Next();
  frame.scalars = scalars_;
  frame.steps.emplace_back(RemoveReplicaStep{});
  return frame;
}

SyncPoint GroupScript::End() const {
  return {segment_, end_position_, scalars_.end.last_index, scalars_.end.next_offset};
}

JournalHost::JournalHost(uint64_t seed, JournalOptions journal_options)
    : scheduler(seed), disk(&scheduler, {.seed = seed}), options(journal_options) {
  EXPECT_TRUE(disk.CreateDirectory("journal").ok());
  EXPECT_TRUE(disk.SyncDirectory("/").ok());
}

JournalHost::~JournalHost() { Kill(); }

absl::Status JournalHost::Start() {
  Kill();
  Checkpoint state;
  auto contents = Read();
  if (contents.ok()) {
    state = contents->checkpoint;
    state.replicas = contents->replicas;
    state.peers = contents->peers;
    state.last_commit = contents->last_commit;
  } else if (contents.status().code() != absl::StatusCode::kNotFound) {
    return contents.status();
  }
  state.process_epoch += 1;
  executor = scheduler.NewExecutor("journal");
  auto begun = Journal::Begin(disk, "journal", TestIdentity(), options, std::move(state), *executor,
                              scheduler.clock(), spares_ahead ? executor.get() : nullptr);
  if (!begun.ok()) return begun.status();
  journal = *std::move(begun);
  ++starts;
  return absl::OkStatus();
}

void JournalHost::Submit(JournalFrame frame, bool urgent) {
  ++submitted;
  JournalFrame copy = frame;
  journal->Submit(std::move(frame), urgent,
                  [this, copy = std::move(copy)](const absl::Status& status) mutable {
                    if (status.ok()) {
                      acknowledged.push_back(std::move(copy));
                    } else {
                      refused.push_back(status);
                    }
                  });
}

bool JournalHost::Settle() {
  return scheduler.RunUntil([this] { return acknowledged.size() + refused.size() >= submitted; },
                            kSecond);
}

void JournalHost::NoteAllDurable() {
  const ReplicaTable table = TableOf(acknowledged);
  std::map<GroupId, FrameSequence> last;
  for (const JournalFrame& frame : acknowledged) last[frame.group] = frame.sequence;
  for (const auto& [group, frame] : last) {
    SyncPoint point;
    if (const ReplicaRecord* record = table.Find(group)) {
      point.index = record->scalars.end.last_index;
      point.next_offset = record->scalars.end.next_offset;
    }
    journal->NoteDurableInSegments(group, frame, point);
  }
}

absl::Status JournalHost::Close() {
  std::optional<absl::Status> closed;
  journal->Close([&closed](absl::Status status) { closed = std::move(status); });
  if (!scheduler.RunUntil([&closed] { return closed.has_value(); }, kSecond)) {
    return MakeError(Reason::INTERNAL, "the journal does not close");
  }
  return *closed;
}

void JournalHost::Kill() {
  journal.reset();
  executor.reset();
}

ReplicaTable TableOf(const std::vector<JournalFrame>& frames) {
  ReplicaTable table;
  for (const JournalFrame& frame : frames) {
    const absl::Status status = table.Apply(frame);
    EXPECT_TRUE(status.ok()) << status;
  }
  return table;
}

bool SameReplicas(const ReplicaTable& a, const ReplicaTable& b) {
  const auto plain = [](const ReplicaTable& table) {
    auto records = table.records();
    for (auto& [group, record] : records) record.sync_point = {};
    return records;
  };
  return plain(a) == plain(b);
}

}  // namespace varve::storage
