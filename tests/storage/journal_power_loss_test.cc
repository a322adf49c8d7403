// The journal alone, with power lost behind every one of its operations.
#include <gtest/gtest.h>

#include "common/random.h"
#include "tests/storage/journal_script.h"

namespace varve::storage {
namespace {

constexpr JournalOptions kTiny = {.file_bytes = 160 << 10, .max_live_files = 4};

constexpr GroupId kA{65536}, kB{65537};

// Two groups through several files, with seals, truncations and segment syncs. Returns all frames.
std::vector<JournalFrame> RunScript(JournalHost& host) {
  std::vector<JournalFrame> all;
  if (!host.Start().ok()) return all;
  GroupScript a(kA, FileNumber{100}), b(kB, FileNumber{101});
  const auto submit = [&](JournalFrame frame) {
    all.push_back(frame);
    host.Submit(std::move(frame), all.size() % 5 == 0);
  };
  submit(a.Create());
  submit(b.Create());
  for (int i = 0; i < 24; ++i) {
    submit(a.Append(1, 20'000));
    submit(i % 6 == 5 ? b.Truncate(Index{1}) : b.Append(1, 300));
    if (i % 3 == 0) {
      EXPECT_TRUE(host.Settle());
    }
    if (i % 4 == 3) host.NoteAllDurable();
    if (i % 8 == 7) host.scheduler.RunFor(50 * kMillisecond);  // a seal
  }
  EXPECT_TRUE(host.Settle());
  return all;
}

// At least what was acknowledged, at most what was submitted, always a prefix for each group.
void CheckFound(const JournalHost& host, const std::vector<JournalFrame>& all,
                const ReplicaTable& replicas) {
  for (const GroupId group : {kA, kB}) {
    FrameSequence acknowledged;
    for (const JournalFrame& frame : host.acknowledged)
      if (frame.group == group) acknowledged = frame.sequence;
    const ReplicaRecord* record = replicas.Find(group);
    const FrameSequence found = record == nullptr ? FrameSequence{} : record->last_frame;
    ASSERT_GE(found, acknowledged) << "group " << group;
    ReplicaTable expected;
    for (const JournalFrame& frame : all) {
      if (frame.group != group || frame.sequence > found) continue;
      ASSERT_TRUE(expected.Apply(frame).ok());
    }
    if (record == nullptr) continue;
    ReplicaRecord plain = *record;
    plain.sync_point = expected.Find(group)->sync_point;
    ASSERT_EQ(plain, *expected.Find(group));
  }
}

// Runs the script on a disk that dies after `ops` operations and loses power. Whatever was
// acknowledged must be there, and recovery must lead to a journal that works; also when the disk
// dies again after `ops_of_recovery`.
void DieAfter(uint64_t seed, uint64_t ops, uint64_t ops_of_recovery) {
  SCOPED_TRACE(StrCat("seed ", seed, ", power loss after ", ops, " and ", ops_of_recovery));
  JournalHost host(seed, kTiny);
  const auto random = SeededRandom(seed * 1000 + ops);
  host.disk.FailAfter(ops);
  const std::vector<JournalFrame> all = RunScript(host);
  for (const uint64_t again : {ops_of_recovery, uint64_t{1} << 60}) {
    host.Kill();
    host.disk.PowerLoss(*random);
    const auto contents = host.Read();
    const bool nothing = contents.status().code() == absl::StatusCode::kNotFound;
    if (!nothing || !host.acknowledged.empty()) {
      ASSERT_TRUE(contents.ok()) << contents.status();
      CheckFound(host, all, contents->replicas);
    }
    host.disk.FailAfter(again);
    const absl::Status started = host.Start();
    if (again > ops_of_recovery) {
      ASSERT_TRUE(started.ok()) << started;
    }
  }
}

TEST(JournalRecovery, PowerLossAtEveryOperationKeepsWhatWasAcknowledged) {
  for (uint64_t seed = 31; seed < 35; ++seed) {
    JournalHost host(seed, kTiny);
    RunScript(host);
    const uint64_t total = host.disk.ops();
    ASSERT_GT(total, 40u);
    ASSERT_GT(host.journal->stats().recycled, 0u);
    ASSERT_GT(host.journal->stats().seals, 1u);
    for (uint64_t ops = 0; ops <= total; ++ops) {
      DieAfter(seed, ops, ops % 7);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace varve::storage
