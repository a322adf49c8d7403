#include <gtest/gtest.h>

#include "common/error.h"
#include "storage/segment_names.h"
#include "tests/storage/recovery_scenarios.h"

namespace varve::storage {
namespace {

using Stage = RecoveryStage;

constexpr GroupId kOther{200};

// --- Redo

void RedoOfRemovedReplica(Stage& s) {
  s.Fill();
  ASSERT_TRUE(s.host.Create(kOther).ok());
  ASSERT_TRUE(s.host.Remove(kOther).ok());
  s.Crash();
}
void RedoOfFormerReplica(Stage& s) {
  RedoOfRemovedReplica(s);
  ASSERT_TRUE(s.host.Open().ok());
  ASSERT_NO_FATAL_FAILURE(s.script.Check());
  ASSERT_TRUE(s.host.Create(kOther, ReplicaEpoch{2}).ok());
  ASSERT_TRUE(s.host.Remove(kOther).ok());
  ASSERT_TRUE(s.host.Create(kOther, ReplicaEpoch{3}).ok());
  s.Crash();
}
// The active segment's beginning is in synced files, its last entries are in the journal alone.
void BeginInSegmentsEndInJournal(Stage& s) {
  s.Fill();
  s.Close();
  ASSERT_TRUE(s.host.Open().ok());
  ASSERT_NO_FATAL_FAILURE(s.script.Check());
}
void RedoIntoMissingSegment(Stage& s) {
  BeginInSegmentsEndInJournal(s);
  s.Append(2, 500);
  s.Crash();
  s.Remove(s.Segment(1));
}
// The entries that a truncation takes have left the journal, the truncation has not.
void RedoTruncatesMissing(Stage& s) {
  s.Fill();
  s.Append(2, 500);
  s.Close();
  ASSERT_TRUE(s.host.Open().ok());
  ASSERT_NO_FATAL_FAILURE(s.script.Check());
  s.script.Truncate(s.script.image().end().last_index);
  s.Settle();
  s.Crash();
  s.Remove(s.Segment(1));
}
// One commit of the group is damaged, and others follow.
void LoseAFrame(Stage& s) {
  s.Fill();
  s.host.scheduler.RunFor(kSecond);
  s.Crash();
  const std::vector<uint64_t> commits = s.CommitsWithFrames();
  s.Write(s.Newest(), commits.at(commits.size() - 2) + 100, "damage");
}

// --- Segments

void SegmentLonger(Stage& s) {
  s.Fill();
  s.Close();
  const std::string path = s.Segment(1);
  s.Write(path, s.SizeOf(path), "bytes of a write that was never acknowledged");
}
void Newer(Stage& s) {
  s.Fill();
  s.Close();
  s.PatchHeader(
      s.Segment(0), FileKind::kSegment, [](FileHeader*) {}, 2);
}
void Missing(Stage& s, size_t which) {
  s.Fill();
  s.Close();
  s.Remove(s.Segment(which));
}
void Shorter(Stage& s, size_t which) {
  s.Fill();
  s.Close();
  const std::string path = s.Segment(which);
  ASSERT_TRUE(s.host.disk.TruncateDurable(path, s.SizeOf(path) - 1).ok());
}
void Mismatch(Stage& s, size_t which) {
  s.Fill();
  s.Close();
  s.Zero(s.Segment(which), kFileHeaderBytes, 72);
}
void Foreign(Stage& s, size_t which) {
  s.Fill();
  s.Close();
  s.PatchHeader(s.Segment(which), FileKind::kSegment,
                [](FileHeader* header) { header->identity.directory.bytes.fill(9); });
}

// --- Names

// The power went before the directory of the group was durable; its frames are in the journal.
void ReplicaDirectoryMissing(Stage& s) {
  s.Fill();
  s.Crash();
  const auto listed = s.host.disk.List(s.GroupDirectory());
  for (const DirectoryEntry& entry : *listed) s.Remove(JoinPath(s.GroupDirectory(), entry.name));
  ASSERT_TRUE(s.host.disk.RemoveDirectory(s.GroupDirectory()).ok());
}
void StrayReplica(Stage& s) {
  s.Fill();
  s.Close();
  ASSERT_TRUE(s.host.disk.CreateDirectory("data/groups/00000000000000ff").ok());
}
void Stray(Stage& s, const std::string& name) {
  s.Fill();
  s.Close();
  ASSERT_TRUE(s.host.disk.Open(JoinPath(s.GroupDirectory(), name), OpenMode::kCreate).ok());
}

// --- Saved states

// Of the last two entries; the path of the newer one.
std::string SaveTwo(Stage& s) {
  s.Fill();
  const std::vector<Entry>& entries = s.script.image().entries;
  std::string path;
  for (size_t i = entries.size() - 2; i < entries.size(); ++i) {
    const EntryHeader& last = entries[i].header;
    const StatePosition at{Stage::kGroup, last.last_index, last.term, last.next_offset()};
    bool saved = false;
    s.host.OnShard([&] {
      s.host.log(Stage::kGroup).SaveState(at, EncodeState(at, {}), [&](const absl::Status& status) {
        saved = status.ok();
      });
    });
    EXPECT_TRUE(s.host.scheduler.RunUntil([&] { return saved; }, 10 * kSecond));
    path = JoinPath(s.GroupDirectory(), StateFileName({at.index, at.term}));
  }
  s.Close();
  return path;
}
void StateDamaged(Stage& s) {
  const std::string path = SaveTwo(s);
  s.Zero(path, kFileHeaderBytes, 8);
}
void StatePatched(Stage& s, std::optional<uint16_t> version) {
  const std::string path = SaveTwo(s);
  s.PatchHeader(
      path, FileKind::kDerivedState,
      [&](FileHeader* header) {
        if (!version) header->identity.directory.bytes.fill(9);
      },
      version);
}

}  // namespace

std::vector<RecoveryScenario> FileScenarios() {
  using enum RecoveryRow;
  return {
      {kRedoOfRemovedReplica, RedoOfRemovedReplica},
      {kRedoOfFormerReplica, RedoOfFormerReplica},
      {kRedoIntoMissingSegment, RedoIntoMissingSegment, kTailSegmentMissing},
      {kRedoTruncatesMissing, RedoTruncatesMissing, kTailSegmentMissing},
      {kRedoAcrossGap, LoseAFrame, kDurableCommitDamaged},
      {kSegmentLonger, SegmentLonger},
      {kSuspectSegmentLonger,
       [](Stage& s) {
         LoseAFrame(s);
         const std::string path = s.Segment(0);
         s.Write(path, s.SizeOf(path), "of a lost frame");
       },
       kDurableCommitDamaged},
      {kSegmentNewerFormat, Newer},
      {kSyncedSegmentMissing, [](Stage& s) { Missing(s, 0); }},
      {kSyncedSegmentShorter, [](Stage& s) { Shorter(s, 0); }},
      {kSyncedSegmentMismatch, [](Stage& s) { Mismatch(s, 0); }},
      {kSyncedSegmentForeign, [](Stage& s) { Foreign(s, 0); }},
      {kTailSegmentMissing, [](Stage& s) { Missing(s, 1); }},
      {kTailSegmentShorter, [](Stage& s) { Shorter(s, 1); }},
      {kTailSegmentMismatch, [](Stage& s) { Mismatch(s, 1); }},
      {kTailSegmentForeign, [](Stage& s) { Foreign(s, 1); }},
      {kReplicaDirectoryMissing, ReplicaDirectoryMissing},
      {kStrayReplica, StrayReplica},
      {kStraySegment, [](Stage& s) { Stray(s, SegmentFileName(Offset{3}, FileNumber{77})); }},
      {kStrayIndex, [](Stage& s) { Stray(s, IndexFileName(Offset{3}, FileNumber{77})); }},
      {kStrayFile, [](Stage& s) { Stray(s, "notes"); }},
      {kKnownState, [](Stage& s) { SaveTwo(s); }},
      {kStrayState,
       [](Stage& s) {
         Stray(s, StateFileName({Index{77}, Term{1}}));
       }},
      {kStateIntact, [](Stage& s) { SaveTwo(s); }},
      {kStateDamaged, StateDamaged},
      {kStateForeign, [](Stage& s) { StatePatched(s, std::nullopt); }},
      {kStateNewerFormat, [](Stage& s) { StatePatched(s, 2); }},
      {kStrayOfSuspect,
       [](Stage& s) {
         LoseAFrame(s);
         const std::string name = SegmentFileName(Offset{3}, FileNumber{77});
         ASSERT_TRUE(s.host.disk.Open(JoinPath(s.GroupDirectory(), name), OpenMode::kCreate).ok());
       },
       kDurableCommitDamaged}};
}

}  // namespace varve::storage
