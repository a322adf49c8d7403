// The power goes at every write of a scripted run, and at every write of the recovery after it.
#include <gtest/gtest.h>

#include "common/error.h"
#include "tests/storage/directory_host.h"

namespace varve::storage {
namespace {

constexpr GroupId kFirst{100}, kSecondGroup{200}, kThird{300};

class ScriptedRun {
 public:
  explicit ScriptedRun(uint64_t seed) : host(seed, Options()) {}

  static DataDirectoryOptions Options() {
    DataDirectoryOptions options = SmallOptions();
    options.sync_interval = 200 * kMillisecond;
    options.trash_delay = 500 * kMillisecond;
    options.journal.marks_after = 100 * kMillisecond;
    return options;
  }

  // Stops where the disk dies.
  void Run() {
    if (!host.Open().ok()) return;
    for (const GroupId group : {kFirst, kSecondGroup, kThird})
      if (!Create(group, ReplicaEpoch{1})) return;
    for (uint64_t round = 0; round < 5; ++round) {
      Note(2 * round + 1);  // goes with frames
      for (const GroupId group : {kFirst, kSecondGroup}) {
        LogScript& script = At(group);
        script.Append(3, 9000);
        if (round % 2 == 1) script.Roll();
        script.Append(2, 300);
        if (round > 1) script.Trim(script.image().end().next_offset - 6);
        script.Commit(script.image().end().last_index - 4);
        if (round == 2) script.Truncate(script.image().end().last_index - 3, 2);
        if (round == 3) script.Truncate(script.image().end().last_index - 2, 0);
        if (!Settle(script)) return;
      }
      Note(2 * round + 2);  // goes alone
      host.scheduler.RunFor(300 * kMillisecond);
      for (const auto& known : host.directory->peer_marks())
        if (known.durable) durable_mark = known.mark.process_epoch;
      if (round == 1 && !Remove(kThird)) return;
      if (round == 2 && !Create(kThird, ReplicaEpoch{2})) return;
      if (round == 3) {
        At(kThird).Append(2, 100);
        if (!Settle(At(kThird))) return;
      }
    }
    finished = true;
  }

  // A recovery may die too; then nothing is checked.
  void Recover() {
    const absl::Status opened = host.Open();
    ASSERT_TRUE(opened.ok() || host.disk.dead()) << opened;
    if (!opened.ok()) return;
    host.scheduler.RunFor(kMillisecond);  // the reserve is filled, or the disk dies of that
    uint64_t mark = 0;
    for (const auto& known : host.directory->peer_marks()) mark = known.mark.process_epoch;
    ASSERT_GE(mark, durable_mark);
    for (auto& [group, replica] : replicas) {
      const bool present = host.logs.contains(group);
      ASSERT_TRUE(present || !replica.must_exist) << "group " << group;
      ASSERT_TRUE(!present || replica.may_exist) << "group " << group;
      if (!present || host.disk.dead()) continue;
      EXPECT_EQ(host.log(group).replica_epoch(), replica.epoch);
      if (replica.script == nullptr) continue;
      ASSERT_NO_FATAL_FAILURE(replica.script->Check());
    }
  }

  // The directory is sound: it takes writes, closes and opens again.
  void GoOn() {
    for (auto& [group, replica] : replicas) {
      if (!host.logs.contains(group)) continue;
      if (replica.script == nullptr) {
        replica.script = std::make_unique<LogScript>(&host, group);
        replica.script->Begin();
      }
      replica.script->NewTerm();
      replica.script->Append(2, 500);
      ASSERT_TRUE(Settle(*replica.script));
      replica.must_exist = replica.may_exist = true;
    }
    const absl::Status closed = host.Close();
    ASSERT_TRUE(closed.ok()) << closed;
    Recover();
  }

  struct Replica {
    ReplicaEpoch epoch;
    bool must_exist = false;
    bool may_exist = false;
    std::unique_ptr<LogScript> script;
  };
  DirectoryHost host;
  std::map<GroupId, Replica> replicas;
  bool finished = false;
  uint64_t durable_mark = 0;  // process epoch of the peer's

 private:
  void Note(uint64_t epoch) {
    PeerMark mark{NodeId{2}, {}, epoch, epoch, CommitSequence{epoch}};
    mark.directory.bytes.fill(7);
    host.directory->NotePeer({mark, std::nullopt, 0});
  }
  LogScript& At(GroupId group) { return *replicas.at(group).script; }

  bool Create(GroupId group, ReplicaEpoch epoch) {
    Replica& replica = replicas[group] = Replica{epoch, false, true, nullptr};
    if (!host.Create(group, epoch).ok()) return false;
    replica.must_exist = true;
    replica.script = std::make_unique<LogScript>(&host, group);
    replica.script->Begin();
    replica.script->NewTerm();
    return Settle(*replica.script);
  }

  bool Remove(GroupId group) {
    Replica& replica = replicas.at(group);
    replica.must_exist = false;
    if (!host.Remove(group).ok()) return false;
    replica.may_exist = false;
    replica.script.reset();
    return true;
  }

  bool Settle(LogScript& script) {
    return host.scheduler.RunUntil([&] { return script.Settled() || script.refused(); },
                                   10 * kSecond) &&
           !script.refused();
  }
};

uint64_t OpsOfTheRun() {
  ScriptedRun run(1);
  run.Run();
  EXPECT_TRUE(run.finished);
  EXPECT_EQ(run.durable_mark, 10u);
  const JournalStats stats = run.host.directory->journal_stats();
  EXPECT_GT(stats.recycled, 0u) << "the script is too short to recycle journal files";
  return run.host.disk.ops();
}

TEST(PowerLoss, AtEveryWriteNothingAcknowledgedIsLost) {
  const uint64_t ops = OpsOfTheRun();
  ASSERT_GT(ops, 100u);
  for (uint64_t k = 0; k < ops; ++k) {
    for (uint64_t seed = 1; seed <= 6; ++seed) {  // what stays of unsynced bytes differs
      SCOPED_TRACE(testing::Message()
                   << "seed " << seed << ", power lost after operation " << k << " of " << ops);
      ScriptedRun run(seed);
      run.host.disk.FailAfter(k);
      run.Run();
      run.host.Crash(true);
      ASSERT_NO_FATAL_FAILURE(run.Recover());
      ASSERT_NO_FATAL_FAILURE(run.GoOn());
      if (HasFailure()) return;
    }
  }
}

TEST(PowerLoss, AtEveryWriteOfARecoveryTheNextOneSucceeds) {
  const uint64_t ops = OpsOfTheRun();
  for (uint64_t k = 5; k < ops; k += 3) {
    for (uint64_t j = 0;; ++j) {
      SCOPED_TRACE(testing::Message() << "power lost after operation " << k << " of " << ops
                                      << ", then after operation " << j << " of the recovery");
      ScriptedRun run(1);
      run.host.disk.FailAfter(k);
      run.Run();
      run.host.Crash(true);
      run.host.disk.FailAfter(j);
      ASSERT_NO_FATAL_FAILURE(run.Recover());
      const bool survived = !run.host.disk.dead();
      run.host.Crash(j % 3 != 0);
      ASSERT_NO_FATAL_FAILURE(run.Recover());
      ASSERT_NO_FATAL_FAILURE(run.GoOn());
      if (HasFailure()) return;
      if (survived) break;
    }
  }
}

}  // namespace
}  // namespace varve::storage
