#include <gtest/gtest.h>

#include "common/error.h"
#include "storage/format/journal_mark.h"
#include "storage/journal_files.h"
#include "storage/journal_scan.h"
#include "tests/storage/recovery_scenarios.h"

namespace varve::storage {
namespace {

using Stage = RecoveryStage;

constexpr uint64_t kBlock = limits::kBlockBytes;

void RemoveJournal(Stage& s) {
  const auto listed = s.host.disk.List("data/journal");
  ASSERT_TRUE(listed.ok());
  for (const DirectoryEntry& entry : *listed) s.Remove(JoinPath("data/journal", entry.name));
}

// --- Directory

void SecondOwner(Stage& s) {
  s.Fill();
  s.open = [&s] {
    DirectoryHost second(1, s.host.options);
    second.files = &s.host.disk;
    return second.Open();
  };
}
void NewerIdentity(Stage& s) {
  s.Fill();
  s.Close();
  s.PatchHeader(
      "data/identity", FileKind::kIdentity, [](FileHeader*) {}, 2);
}
void ForeignIdentity(Stage& s) {
  s.Fill();
  s.Close();
  s.host.options.node = NodeId{2};
}
void DamagedIdentity(Stage& s) {
  s.Fill();
  s.Close();
  s.Zero("data/identity", 100, 50);
}
void IdentityLost(Stage& s) {
  s.Fill();
  s.Close();
  RemoveJournal(s);
  s.Remove("data/identity");
}
void IdentityLostBesideJournal(Stage& s) {
  s.Fill();
  s.Close();
  s.Remove("data/identity");
}
// The power goes behind the identity, before the first journal file has a head.
void CreationCutShort(Stage& s) {
  for (uint64_t ops = 1; ops < 40; ++ops) {
    s.host.disk.FailAfter(ops);
    if (s.host.Open().ok()) break;
    s.host.Crash(true);
    if (s.host.disk.Stat("data/identity").ok()) {
      const absl::Status opened = s.host.Open();
      ASSERT_TRUE(opened.ok()) << opened;
      ASSERT_TRUE(s.host.directory->recovery().created);
      s.Crash();
      break;
    }
  }
  // Once more with files: the same, without a journal file.
  RemoveJournal(s);
  s.open = [&s] {
    VARVE_RETURN_IF_ERROR(s.host.Open());
    VARVE_RETURN_IF_ERROR(s.host.Create(Stage::kGroup));
    s.script.Begin();
    return absl::OkStatus();
  };
}
void JournalLost(Stage& s) {
  s.Fill();
  s.Close();
  RemoveJournal(s);
}

// --- Journal files

void NewerJournalFile(Stage& s) {
  s.Fill();
  s.Close();
  s.PatchHeader(
      s.Newest(), FileKind::kJournal, [](FileHeader*) {}, 2);
}
void ForeignJournalFile(Stage& s) {
  s.Fill();
  s.Close();
  s.PatchHeader(s.Newest(), FileKind::kJournal,
                [](FileHeader* header) { header->identity.directory.bytes.fill(9); });
}
void ListedFileMissing(Stage& s) {
  s.FillSeveralFiles();
  s.Remove(s.ListedFiles().front());
}
void ListedHeadDamaged(Stage& s) {
  s.FillSeveralFiles();
  s.Zero(s.ListedFiles().front(), 0, 512);
}
void ListedFileReused(Stage& s) {
  s.FillSeveralFiles();
  s.PatchHeader(s.ListedFiles().front(), FileKind::kJournal,
                [](FileHeader* header) { header->generation = Generation{900}; });
}
void ListedCheckpointDamaged(Stage& s) {
  s.FillSeveralFiles();
  s.Zero(s.ListedFiles().front(), kBlock + 40, 200);
}
// The file holds one commit more than the checkpoint of the next one follows.
void FileBreaks(Stage& s) {
  s.FillSeveralFiles();
  s.Forge({.listed = s.ListedFiles().size() - 2});
}
void HeadDamagedBeforeCommits(Stage& s) {
  s.Fill();
  s.Crash();
  s.Zero(s.Newest(), 0, kBlock);
}
void CheckpointDamagedBeforeCommits(Stage& s) {
  s.Fill();
  s.Crash();
  s.Write(s.Newest(), kBlock + 40, "damage");
}
// The power went between the header's sector and the closing block, before the mark.
void RollWithoutCheckpoint(Stage& s) {
  s.Fill();
  s.Crash();
  ASSERT_TRUE(s.host.Open().ok());  // a second file, with the whole state and no commit
  const uint64_t epoch = s.host.directory->process_epoch();
  s.Crash();
  ASSERT_GT(epoch, 1u);
  const Checkpoint checkpoint = s.Contents().checkpoint;
  s.Write(s.Newest(), kBlock + 40, "damage");
  const std::string mark = JoinPath("data/journal", kJournalMarkName);
  s.Zero(mark, JournalMarkPosition(checkpoint.live_files.back().generation), kBlock);
}

// --- The journal as a whole

// One file of a later generation, without a commit and with a damaged checkpoint.
void CheckpointsLost(Stage& s) {
  s.Fill();
  s.Close();
  ASSERT_TRUE(s.host.Open().ok());
  s.Crash();
  const std::string newest = s.Newest();
  const auto listed = s.host.disk.List("data/journal");
  for (const DirectoryEntry& entry : *listed) {
    const std::string path = JoinPath("data/journal", entry.name);
    if (path != newest) s.Remove(path);
  }
  s.Write(newest, kBlock + 40, "damage");
}
void MarkedFileLost(Stage& s) {
  s.Fill();
  s.Crash();
  ASSERT_TRUE(s.host.Open().ok());
  s.Crash();
  s.Remove(s.Newest());
}
void MarkedFileCut(Stage& s) {
  s.Fill();
  s.Crash();
  ASSERT_TRUE(s.host.disk.TruncateDurable(s.Newest(), s.EndOfCommits()).ok());
}
void MarkSilent(Stage& s) {
  s.Fill();
  s.Close();
  s.RemoveMark();
}
// The power went between the head of the newest file and its slot of the mark.
void MarkBehind(Stage& s) {
  s.Fill();
  s.Close();
  const Generation newest = s.Contents().checkpoint.live_files.back().generation;
  s.Zero(JoinPath("data/journal", kJournalMarkName), JournalMarkPosition(newest), kBlock);
}

// --- Commits

void FrameMisfit(Stage& s) {
  s.Fill();
  s.Crash();
  s.Forge({.skip = 3});
}
void CommitMalformed(Stage& s) {
  s.Fill();
  s.Crash();
  s.Forge({.wrong_list = true});
}
void CommitOutOfSequence(Stage& s) {
  s.Fill();
  s.Crash();
  s.Forge({.ahead = 2});
}
// The body of the last commit; a seal vouches for it.
void DurableCommitDamaged(Stage& s) {
  s.Fill();
  s.host.scheduler.RunFor(kSecond);
  s.Crash();
  s.Write(s.Newest(), s.CommitsWithFrames().back() + 100, "damage");
}
// The same commit as a whole, and the list in the seal.
void DurableCommitUnknown(Stage& s) {
  s.Fill();
  s.host.scheduler.RunFor(kSecond);
  s.Crash();
  const uint64_t at = s.CommitsWithFrames().back();
  const uint64_t seal = s.EndOfCommits() - kBlock;
  s.Zero(s.Newest(), at, seal - at);
  s.Write(s.Newest(), seal + 56, "damage");
}
// No header vouches for it, and the one behind it was begun.
void CommitDamagedBeforeLater(Stage& s) {
  s.Fill();
  s.Crash();
  const uint64_t at = s.EndOfCommits();
  s.Forge({});
  s.Forge({});
  s.Zero(s.Newest(), at + 100, 8);
}
void CommitUnknownBeforeLater(Stage& s) {
  s.Fill();
  s.Crash();
  const uint64_t at = s.EndOfCommits();
  s.Forge({});
  const uint64_t later = s.EndOfCommits();
  s.Forge({});
  s.Zero(s.Newest(), at, later - at);
  s.Write(s.Newest(), later + 56, "damage");
}
// A commit of marks alone; the one behind it vouches for it, or was begun at least.
void DamageMarks(Stage& s, bool vouched) {
  s.Fill();
  s.Crash();
  const uint64_t at = s.EndOfCommits();
  s.Forge({.marks = true});
  s.Forge({.vouches = vouched});
  s.Zero(s.Newest(), at + 100, 8);
}
void DurableMarksDamaged(Stage& s) { DamageMarks(s, true); }
void MarksDamagedBeforeLater(Stage& s) { DamageMarks(s, false); }
void TornCommit(Stage& s) {
  s.Fill();
  s.Crash();
  const uint64_t at = s.EndOfCommits();
  s.Forge({});
  s.Zero(s.Newest(), at + 100, 8);
}
void TornCommitHead(Stage& s) {
  s.Fill();
  s.Crash();
  const uint64_t at = s.EndOfCommits();
  s.Forge({});
  s.Zero(s.Newest(), at, 512);
}
void StaleCommit(Stage& s) {
  s.Fill();
  s.Crash();
  s.Forge({.generation = Generation{77}});
}
void GarbageBehindEnd(Stage& s) {
  s.Fill();
  s.Crash();
  s.Write(s.Newest(), s.EndOfCommits(), std::string(700, 'x'));
}

}  // namespace

std::vector<RecoveryScenario> JournalScenarios() {
#define SCENARIO(name) \
  RecoveryScenario { RecoveryRow::k##name, name }
  return {SCENARIO(SecondOwner),
          SCENARIO(NewerIdentity),
          SCENARIO(ForeignIdentity),
          SCENARIO(DamagedIdentity),
          SCENARIO(IdentityLost),
          SCENARIO(IdentityLostBesideJournal),
          SCENARIO(CreationCutShort),
          SCENARIO(JournalLost),
          SCENARIO(NewerJournalFile),
          SCENARIO(ForeignJournalFile),
          SCENARIO(ListedFileMissing),
          SCENARIO(ListedHeadDamaged),
          SCENARIO(ListedFileReused),
          SCENARIO(ListedCheckpointDamaged),
          SCENARIO(FileBreaks),
          SCENARIO(HeadDamagedBeforeCommits),
          SCENARIO(CheckpointDamagedBeforeCommits),
          SCENARIO(RollWithoutCheckpoint),
          SCENARIO(CheckpointsLost),
          SCENARIO(MarkedFileLost),
          SCENARIO(MarkedFileCut),
          SCENARIO(MarkSilent),
          SCENARIO(MarkBehind),
          {RecoveryRow::kNoJournal, CreationCutShort},
          SCENARIO(FrameMisfit),
          SCENARIO(CommitMalformed),
          SCENARIO(CommitOutOfSequence),
          SCENARIO(DurableCommitDamaged),
          SCENARIO(DurableCommitUnknown),
          SCENARIO(CommitDamagedBeforeLater),
          SCENARIO(CommitUnknownBeforeLater),
          SCENARIO(DurableMarksDamaged),
          SCENARIO(MarksDamagedBeforeLater),
          SCENARIO(TornCommit),
          SCENARIO(TornCommitHead),
          SCENARIO(StaleCommit),
          SCENARIO(GarbageBehindEnd)};
#undef SCENARIO
}

}  // namespace varve::storage
