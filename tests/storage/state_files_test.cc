// Saved states beside a log: durable when acknowledged, right wherever they are found, and never in
// the way.
#include "storage/state_files.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <utility>

#include "common/error.h"
#include "storage/format/file_header.h"
#include "tests/storage/staged_log_host.h"

namespace varve::storage {
namespace {

StateItems ItemsOf(Index index) {
  StateItems items;
  items.Put(StateSection::kProducers, StrCat("producer of ", index), std::string(300, 'v'));
  return items;
}

std::string StateAt(const StatePosition& at) { return EncodeState(at, ItemsOf(at.index)); }

// StagedLogTest: a log with six segments, all committed, and `target` with the first entry alone.
class StateFilesTest : public StagedLogTest {
 protected:
  StatePosition At(Index index) {
    for (const Entry& entry : entries())
      if (entry.header.last_index == index)
        return {kGroup, index, entry.header.term, entry.header.next_offset()};
    return {kGroup, index, Term{}, Offset{}};
  }
  absl::Status Save(const StatePosition& at, std::optional<std::string> state = std::nullopt) {
    return Wait(host, [&](PartitionLog::Done done) {
      log().SaveState(at, state.value_or(StateAt(at)), std::move(done));
    });
  }
  absl::Status SaveIndex(Index index) { return Save(At(index)); }
  std::optional<LoadedState> Load(DirectoryHost& on, Index at_most = Index{1'000'000}) {
    auto out = std::make_shared<std::optional<LoadedState>>();
    const absl::Status status = Wait(on, [&](PartitionLog::Done done) {
      on.log(kGroup).LoadState(at_most, [out, done = std::move(done)](auto loaded) mutable {
        if (loaded.ok()) *out = *std::move(loaded);
        done(loaded.status());
      });
    });
    EXPECT_TRUE(status.ok()) << status;
    return *out;
  }
  static void ExpectIs(const std::optional<LoadedState>& loaded, const StatePosition& at) {
    ASSERT_TRUE(loaded.has_value());
    EXPECT_EQ(loaded->name, (SavedState{at.index, at.term}));
    EXPECT_EQ(loaded->state, StateAt(at));
  }
  std::string PathOf(Index index) {
    return JoinPath(JoinPath("data/groups", GroupDirectoryName(kGroup)),
                    StateFileName({index, At(index).term}));
  }
  std::vector<Index> Saved() {
    std::vector<Index> out;
    for (const SavedState& state : log().SavedStates()) out.push_back(state.index);
    return out;
  }
  void CrashAndOpen(bool power) {
    host.Crash(power);
    const absl::Status opened = host.Open();
    ASSERT_TRUE(opened.ok()) << opened;
    script.Check();
  }
};

TEST_F(StateFilesTest, NamesAreReadAsTheyAreWritten) {
  const SavedState state{Index{17}, Term{3}};
  const std::string name = StateFileName(state);
  EXPECT_EQ(name, "00000000000000000017-00000000000000000003.state");
  EXPECT_EQ(ParseStateFileName(name), state);
  for (const std::string_view wrong :
       {"00000000000000000000-00000000000000000003.state", "17-3.state",
        "-0000000000000000017-00000000000000000003.state",
        "00000000000000000017-00000000000000000003.statf",
        "99999999999999999999-00000000000000000003.state"})
    EXPECT_FALSE(ParseStateFileName(wrong)) << wrong;
}

TEST_F(StateFilesTest, ASaveThatWasAcknowledgedSurvivesThePower) {
  const Index start = SegmentStarts().at(2);
  ASSERT_TRUE(SaveIndex(start).ok());
  ASSERT_TRUE(SaveIndex(start + 2).ok());
  for (const bool power : {true, false}) {
    ASSERT_NO_FATAL_FAILURE(CrashAndOpen(power));
    EXPECT_EQ(Saved(), (std::vector<Index>{start, start + 2}));
    ExpectIs(Load(host), At(start + 2));
    ExpectIs(Load(host, start + 1), At(start));
    EXPECT_FALSE(Load(host, start - 1).has_value());
  }
}

TEST_F(StateFilesTest, OnlyStatesOfEntriesOfTheLogAreSaved) {
  const Index index = SegmentStarts().at(1);
  StatePosition other = At(index);
  other.term = Term{8};
  EXPECT_EQ(ReasonOf(Save(other)), Reason::INTERNAL);
  other = At(index);
  other.index = script.image().end().last_index + 1;
  EXPECT_EQ(ReasonOf(Save(other)), Reason::INTERNAL);
  EXPECT_EQ(ReasonOf(Save(At(index), StateAt(At(index + 1)))), Reason::DATA_LOSS);
  EXPECT_EQ(ReasonOf(Save(At(index), "no state")), Reason::DATA_LOSS);
  EXPECT_TRUE(Saved().empty());
  EXPECT_TRUE(GroupFiles(".state").empty());
  EXPECT_TRUE(GroupFiles(".new").empty());
}

TEST_F(StateFilesTest, SavesThatNobodyNeedsGo) {
  const std::vector<Index> starts = SegmentStarts();
  for (const Index start : starts) ASSERT_TRUE(SaveIndex(start).ok());
  const Index last = script.image().end().last_index;
  for (Index index = starts.back() + 1; index <= last; ++index) ASSERT_TRUE(SaveIndex(index).ok());
  std::vector<Index> wanted = starts;
  wanted.push_back(last - 1);
  wanted.push_back(last);
  EXPECT_EQ(Saved(), wanted);
  EXPECT_EQ(GroupFiles(".state").size(), wanted.size());
  script.Trim(script.image().end().next_offset - 1);
  script.Commit(script.image().end().last_index);
  Settle();
  ASSERT_GT(log().start().index, starts.at(3));
  ASSERT_TRUE(SaveIndex(last + 1).ok());
  EXPECT_EQ(Saved(), (std::vector<Index>{starts.back(), last, last + 1}));
  EXPECT_EQ(GroupFiles(".state").size(), 3u);
  ASSERT_NO_FATAL_FAILURE(CrashAndOpen(true));
  EXPECT_EQ(Saved().back(), last + 1);
}

// What was trimmed away behind the newest save is a stray at the next start.
TEST_F(StateFilesTest, AStateBelowTheLogStartIsOfNoUse) {
  const Index second = SegmentStarts().at(1);
  ASSERT_TRUE(SaveIndex(second).ok());
  script.Trim(script.image().end().next_offset - 1);
  script.Commit(script.image().end().last_index);
  Settle();
  EXPECT_TRUE(Saved().empty());
  EXPECT_FALSE(Load(host).has_value());
  host.scheduler.RunFor(kSecond);
  ASSERT_NO_FATAL_FAILURE(CrashAndOpen(true));
  EXPECT_TRUE(GroupFiles(".state").empty());
}

TEST_F(StateFilesTest, ADamagedOneGivesWayToTheOneBefore) {
  const Index start = SegmentStarts().at(2);
  ASSERT_TRUE(SaveIndex(start).ok());
  ASSERT_TRUE(SaveIndex(start + 1).ok());
  ASSERT_TRUE(host.disk.Corrupt(PathOf(start + 1), kFileHeaderBytes + 100, "damage").ok());
  auto loaded = Load(host);
  ExpectIs(loaded, At(start));
  ASSERT_EQ(loaded->refused.size(), 1u);
  EXPECT_NE(loaded->refused[0].find(PathOf(start + 1)), std::string::npos) << loaded->refused[0];
  EXPECT_EQ(Saved(), (std::vector<Index>{start}));
  // Saved again, it is whole.
  ASSERT_TRUE(SaveIndex(start + 1).ok());
  ExpectIs(Load(host), At(start + 1));
}

TEST_F(StateFilesTest, EveryCutAndFlippedByteIsFound) {
  const Index start = SegmentStarts().at(2);
  ASSERT_TRUE(SaveIndex(start).ok());
  const auto whole = ReadWholeFile(host.disk, PathOf(start), 1 << 20);
  ASSERT_TRUE(whole.ok());
  const DirectoryIdentity identity = host.directory->identity();
  const auto read = [&](std::string_view bytes) {
    EXPECT_TRUE(ReplaceFile(host.disk, "data/copy", bytes).ok());
    return ReadStateFile(host.disk, identity, "data/copy", kGroup, {start, At(start).term}, nullptr)
        .status();
  };
  EXPECT_TRUE(read(*whole).ok());
  for (size_t at = 0; at < whole->size(); at += at < kFileHeaderBytes ? 61 : 1) {
    std::string bytes = *whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 4);
    EXPECT_EQ(ReasonOf(read(bytes)), Reason::DATA_LOSS) << at;
    EXPECT_EQ(ReasonOf(read(whole->substr(0, at))), Reason::DATA_LOSS) << at;
  }
  // Whole, but of another entry or group.
  ASSERT_TRUE(ReplaceFile(host.disk, "data/copy", *whole).ok());
  for (const auto& [group, name] : {std::pair(kGroup, SavedState{start + 1, At(start).term}),
                                    std::pair(kGroup, SavedState{start, Term{9}}),
                                    std::pair(GroupId{101}, SavedState{start, At(start).term})}) {
    EXPECT_EQ(
        ReasonOf(ReadStateFile(host.disk, identity, "data/copy", group, name, nullptr).status()),
        Reason::DATA_LOSS);
  }
}

// Whatever stays of the writes of a save: the state is the new one or the one before.
TEST_F(StateFilesTest, ThePowerMayGoAtEveryWriteOfASave) {
  const Index start = SegmentStarts().at(2);
  ASSERT_TRUE(SaveIndex(start).ok());
  const uint64_t before = host.disk.ops();
  ASSERT_TRUE(SaveIndex(start + 1).ok());
  const uint64_t ops = host.disk.ops() - before;
  ASSERT_GE(ops, 5u);
  for (uint64_t k = 0; k <= ops; ++k) {
    for (uint64_t seed = 1; seed <= 6; ++seed) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << ", operation " << k << " of " << ops);
      DirectoryHost cut(seed);
      LogScript writes(&cut, kGroup);
      ASSERT_TRUE(cut.Open().ok());
      ASSERT_TRUE(cut.Create(kGroup).ok());
      writes.Begin();
      writes.NewTerm();
      writes.Append(4, 300);
      ASSERT_TRUE(cut.scheduler.RunUntil([&] { return writes.Settled(); }, 10 * kSecond));
      cut.scheduler.RunFor(5 * kSecond);
      const auto save = [&](Index index) {
        for (const Entry& entry : writes.image().entries) {
          if (entry.header.last_index != index) continue;
          const StatePosition at{kGroup, index, entry.header.term, entry.header.next_offset()};
          return Wait(cut, [&](PartitionLog::Done done) {
            cut.log(kGroup).SaveState(at, StateAt(at), std::move(done));
          });
        }
        return absl::NotFoundError("no such entry");
      };
      ASSERT_TRUE(save(Index{3}).ok());
      cut.disk.FailAfter(k);
      const bool saved = save(Index{5}).ok();
      cut.Crash(true);
      const absl::Status opened = cut.Open();
      ASSERT_TRUE(opened.ok()) << opened;
      ASSERT_NO_FATAL_FAILURE(writes.Check());
      const auto loaded = Load(cut);
      ASSERT_TRUE(loaded.has_value());
      EXPECT_TRUE(loaded->refused.empty());
      if (saved || loaded->name.index != Index{3}) {
        EXPECT_EQ(loaded->name.index, Index{5});
      }
      ASSERT_TRUE(save(Index{5}).ok());
    }
  }
}

TEST_F(StateFilesTest, AFullDiskRefusesASaveAndHarmsNothing) {
  const Index start = SegmentStarts().at(2);
  ASSERT_TRUE(SaveIndex(start).ok());
  host.scheduler.RunFor(10 * kSecond);
  StateItems large;
  for (int i = 0; i < 64; ++i)
    large.Put(StateSection::kProducers, std::to_string(i), std::string(60'000, 'v'));
  const auto space = host.disk.Space("data");
  ASSERT_TRUE(space.ok());
  host.disk.SetCapacity(space->total_bytes - space->free_bytes + 10'000);
  const StatePosition at = At(start + 1);
  EXPECT_EQ(ReasonOf(Save(at, EncodeState(at, large))), Reason::NO_SPACE);
  EXPECT_TRUE(host.directory->health().ok());
  EXPECT_TRUE(GroupFiles(".new").empty());
  ExpectIs(Load(host), At(start));
  host.disk.SetCapacity(space->total_bytes);
  EXPECT_TRUE(Save(at, EncodeState(at, large)).ok());
  EXPECT_EQ(Saved().back(), start + 1);
}

TEST_F(StateFilesTest, ASyncThatFailsFailsTheDirectory) {
  host.scheduler.RunFor(10 * kSecond);
  host.disk.AddFault({.kind = SimFault::Kind::kSyncError, .path_prefix = "data/groups"});
  EXPECT_EQ(ReasonOf(SaveIndex(SegmentStarts().at(2))), Reason::DISK_FAILED);
  EXPECT_EQ(ReasonOf(host.directory->health()), Reason::DISK_FAILED);
  EXPECT_EQ(ReasonOf(SaveIndex(SegmentStarts().at(3))), Reason::DISK_FAILED);
}

TEST_F(StateFilesTest, ARemovedReplicaSavesNothing) {
  ASSERT_TRUE(SaveIndex(SegmentStarts().at(2)).ok());
  ASSERT_TRUE(host.Remove(kGroup).ok());
  ASSERT_TRUE(host.Create(kGroup, ReplicaEpoch{2}).ok());
  EXPECT_TRUE(log().SavedStates().empty());
  EXPECT_FALSE(Load(host).has_value());
}

TEST_F(StateFilesTest, AnInstallBringsTheStateAlong) {
  const Index start = SegmentStarts().at(2);
  const Index first = SegmentStarts().at(1);
  const std::vector<Entry> suffix = Entries(first, script.image().end().last_index);
  InstalledLog as = WholeLog();
  as.start = {first, suffix.front().header.base_offset, *log().TermAt(first - 1)};
  LogWrite term;
  term.hard_state = HardState{Term{9}, kVoter};
  ASSERT_TRUE(target.Write(kGroup, std::move(term)).ok());
  const auto stage = [&](Index at, std::unique_ptr<StagedLog>* staged) {
    target.OnShard([&] { *staged = target.log(kGroup).Stage(); });
    absl::Status status;
    target.OnShard([&] { status = (*staged)->SetState(StateAt(At(at))); });
    return status.ok()
               ? Wait(target,
                      [&](PartitionLog::Done done) { (*staged)->Append(suffix, std::move(done)); })
               : status;
  };
  const auto finish = [&](std::unique_ptr<StagedLog>& staged) {
    return Wait(target, [&](PartitionLog::Done done) { staged->Finish(std::move(done)); });
  };
  std::unique_ptr<StagedLog> staged;
  // Of an entry that is not staged.
  ASSERT_TRUE(stage(first - 1, &staged).ok());
  EXPECT_EQ(ReasonOf(finish(staged)), Reason::DATA_LOSS);
  target.OnShard([&] { staged.reset(); });
  // Dropped, or crashed before the frame: no state either.
  ASSERT_TRUE(stage(start, &staged).ok());
  ASSERT_TRUE(finish(staged).ok());
  target.OnShard([&] { staged.reset(); });
  target.scheduler.RunFor(kSecond);
  EXPECT_FALSE(target.disk.Stat(PathOf(start)).ok());
  ASSERT_TRUE(stage(start, &staged).ok());
  ASSERT_TRUE(finish(staged).ok());
  EXPECT_TRUE(target.disk.Stat(PathOf(start)).ok());
  target.Crash(true);
  ASSERT_TRUE(target.Open().ok());
  target.OnShard([&] { staged.reset(); });  // of the directory that is gone
  EXPECT_FALSE(target.disk.Stat(PathOf(start)).ok());
  // Taken in.
  ASSERT_TRUE(stage(start, &staged).ok());
  ASSERT_TRUE(finish(staged).ok());
  ASSERT_TRUE(Wait(target, [&](PartitionLog::Done done) {
                target.log(kGroup).Install(std::move(staged), as, std::move(done));
              }).ok());
  ExpectIs(Load(target), At(start));
  target.Crash(true);
  ASSERT_TRUE(target.Open().ok());
  ExpectIs(Load(target), At(start));
}

// The scrubbing is not on by default in these tests.
TEST_F(StateFilesTest, ScrubbingFindsADamagedOne) {
  const Index start = SegmentStarts().at(2);
  ASSERT_TRUE(SaveIndex(start).ok());
  ASSERT_TRUE(SaveIndex(start + 1).ok());
  host.scheduler.RunFor(10 * kSecond);
  ASSERT_TRUE(host.Close().ok());
  host.options.scrub_period = 100 * kSecond;
  ASSERT_TRUE(host.Open().ok());
  std::vector<ScrubFinding> findings;
  host.directory->AddScrubListener([&](const ScrubFinding& f) { findings.push_back(f); });
  host.scheduler.RunFor(250 * kSecond);
  EXPECT_GE(host.directory->scrub_stats().passes, 1u);
  EXPECT_TRUE(findings.empty());
  ASSERT_TRUE(host.disk.Corrupt(PathOf(start), kFileHeaderBytes + 90, "damage").ok());
  host.scheduler.RunFor(250 * kSecond);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].path, PathOf(start));
  EXPECT_EQ(findings[0].range.first, start);
  EXPECT_EQ(findings[0].range.last, start);
  EXPECT_EQ(host.directory->scrub_stats().damaged, 1u);
  EXPECT_TRUE(log().damaged_ranges().empty());
  EXPECT_EQ(Saved(), (std::vector<Index>{start + 1}));
}

TEST_F(StateFilesTest, AStagedStateIsVerified) {
  std::unique_ptr<StagedLog> staged;
  target.OnShard([&] {
    staged = target.log(kGroup).Stage();
    EXPECT_EQ(ReasonOf(staged->SetState("no state")), Reason::DATA_LOSS);
    StatePosition other = At(SegmentStarts().at(1));
    other.group = GroupId{101};
    EXPECT_EQ(ReasonOf(staged->SetState(StateAt(other))), Reason::DATA_LOSS);
    staged.reset();
  });
}

}  // namespace
}  // namespace varve::storage
