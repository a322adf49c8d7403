#include "storage/inspect.h"

#include <filesystem>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/error.h"
#include "common/executor.h"
#include "storage/format/file_header.h"
#include "storage/segment_names.h"
#include "tests/storage/inspect_directory_maker.h"

namespace varve::storage {
namespace {

namespace fs = std::filesystem;

constexpr char kGroupPath[] = "groups/0000000000012345";

// A directory of one group: a closed segment, an active one whose last four entries are in the
// journal too, and one journal file of two commits. Verbs damage it.
class InspectTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    path_ = StrCat(testing::TempDir(), "/inspect_", test->name());
    fs::remove_all(path_);
    fs::create_directories(path_ + "/journal");
    fs::create_directories(path_ + "/" + kGroupPath);
    fs::create_directories(path_ + "/trash");
    closed_ = MakeSegment(identity_, FileNumber(7), {}, 5);
    active_ = MakeSegment(identity_, FileNumber(8), closed_.end, 6);
    Write("identity", MakeIdentityFile(identity_));
    WriteSegment(closed_);
    WriteSegment(active_);
    MakeJournalFile();
  }
  void TearDown() override { fs::remove_all(path_); }

  // The checkpoint knows the log up to entry 2 of the active segment; two commits append the rest.
  void MakeJournalFile() {
    ReplicaRecord record = MakeRecord({closed_, active_});
    const EntryHeader& last = active_.entries[2].header;
    record.scalars.end = {last.last_index, last.term, last.next_offset(), last.append_time};
    record.scalars.commit_index = last.last_index;
    record.sync_point = {active_.ref.file, active_.positions[3], last.last_index,
                         last.next_offset()};
    Checkpoint checkpoint;
    checkpoint.process_epoch = 4;
    checkpoint.last_commit = CommitSequence(20);
    checkpoint.durable_through = CommitSequence(20);
    checkpoint.next_file = FileNumber(9);
    checkpoint.next_generation = Generation(6);
    checkpoint.replicas.Put(record);
    std::vector<JournalFrame> frames;
    for (const size_t first : {3, 5}) {
      JournalFrame frame;
      frame.group = kMadeGroup;
      frame.replica_epoch = record.replica_epoch;
      frame.sequence = record.last_frame + 1 + frames.size();
      frame.scalars = record.scalars;
      AppendStep step{active_.ref.file, active_.positions[first], {}};
      for (size_t n = first; n < first + 2; ++n) step.entries.push_back(active_.entries[n]);
      const EntryHeader& end = step.entries.back().header;
      frame.scalars.end = {end.last_index, end.term, end.next_offset(), end.append_time};
      frame.steps.emplace_back(std::move(step));
      frames.push_back(std::move(frame));
    }
    journal_ = MakeJournal(identity_, {FileNumber(3), Generation(5)}, checkpoint, frames);
    Write(kJournal, journal_.bytes);
  }

  void Write(const std::string& name, const std::string& bytes) {
    std::ofstream(path_ + "/" + name, std::ios::binary) << bytes;
  }
  void WriteSegment(const MadeSegment& segment) {
    Write(PathOf(segment, ".log"), segment.log);
    Write(PathOf(segment, ".idx"), segment.index);
  }
  static std::string PathOf(const MadeSegment& segment, const std::string& extension) {
    char name[64];
    std::snprintf(name, sizeof name, "/%020lld-%020llu",
                  static_cast<long long>(segment.ref.base_offset.value()),
                  static_cast<unsigned long long>(segment.ref.file.value()));
    return kGroupPath + std::string(name) + extension;
  }
  void Flip(const std::string& name, uint64_t at) {
    std::fstream file(path_ + "/" + name, std::ios::in | std::ios::out | std::ios::binary);
    ASSERT_TRUE(file) << name;
    file.seekg(static_cast<std::streamoff>(at));
    const char c = static_cast<char>(file.get() ^ 0x10);
    file.seekp(static_cast<std::streamoff>(at)).put(c);
  }
  void Cut(const std::string& name, uint64_t size) { fs::resize_file(path_ + "/" + name, size); }
  void Remove(const std::string& name) { ASSERT_TRUE(fs::remove(path_ + "/" + name)) << name; }

  InspectReport Inspect(bool verify = true) {
    auto report = InspectDirectory(RealFileSystem(), path_, {verify});
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *std::move(report) : InspectReport{};
  }
  struct Run {
    int exit_code;
    std::string out, err;
  };
  Run RunCommand(std::vector<std::string> arguments) {
    std::ostringstream out, err;
    const int code = RunInspect(RealFileSystem(), arguments, out, err);
    return {code, out.str(), err.str()};
  }
  static std::map<std::string, FileFinding> ByPath(const InspectReport& report) {
    std::map<std::string, FileFinding> all{{"identity", report.identity_file}};
    const auto add = [&](const FileFinding& f) { all[f.path] = f; };
    for (const auto& file : report.journal) add(file.finding);
    for (const auto& group : report.groups) {
      for (const auto& segment : group.segments) add(segment.finding);
      for (const auto& index : group.indexes) add(index.finding);
      for (const auto& other : group.others) add(other);
    }
    for (const auto& finding : report.trash) add(finding);
    for (const auto& finding : report.others) add(finding);
    return all;
  }
  // The one file that is not ok.
  static FileFinding OnlyFinding(const InspectReport& report) {
    FileFinding found;
    int count = 0;
    for (const auto& [path, finding] : ByPath(report)) {
      if (finding.verdict == Verdict::kOk) continue;
      ++count;
      found = finding;
    }
    EXPECT_EQ(count, 1) << found.path << ": " << found.reason;
    return found;
  }

  static constexpr char kJournal[] = "journal/00000000000000000003.jnl";
  const DirectoryIdentity identity_ = MadeIdentity();
  std::string path_;
  MadeSegment closed_, active_;
  MadeJournal journal_;
};

TEST_F(InspectTest, ASoundDirectoryIsCleanAndFullyDescribed) {
  const InspectReport report = Inspect();
  for (const auto& [path, finding] : ByPath(report))
    EXPECT_EQ(finding.verdict, Verdict::kOk) << path << ": " << finding.reason;
  EXPECT_EQ(report.identity, identity_);
  EXPECT_FALSE(report.in_use);
  EXPECT_TRUE(report.recovery.starts) << report.recovery.refusal;
  EXPECT_EQ(report.recovery.last_commit, CommitSequence(22));
  ASSERT_EQ(report.journal.size(), 1u);
  EXPECT_TRUE(report.journal[0].newest_checkpoint && report.journal[0].live);
  ASSERT_EQ(report.journal[0].commits.size(), 2u);
  EXPECT_EQ(report.journal[0].commits[1].sequence, CommitSequence(22));
  EXPECT_EQ(report.journal[0].commits[1].durable_through, CommitSequence(21));
  EXPECT_EQ(report.journal[0].commits[1].frames.at(0).sequence, FrameSequence(11));
  ASSERT_EQ(report.groups.size(), 1u);
  ASSERT_EQ(report.groups[0].segments.size(), 2u);
  const InspectedSegment& segment = report.groups[0].segments[1];
  EXPECT_EQ(segment.frames, 7u);
  EXPECT_EQ(segment.first->first_index, Index(7));
  EXPECT_EQ(segment.last->last_index, Index(13));
  EXPECT_EQ(segment.last->last_offset, Offset(10));
  EXPECT_EQ(segment.end_position, active_.end_position);
  EXPECT_EQ(segment.synced_position, active_.positions[3]);
  EXPECT_EQ(report.groups[0].indexes[1].rows, 6u);
  ASSERT_TRUE(report.groups[0].record);
  EXPECT_EQ(report.groups[0].record->scalars.end, active_.end);
}

TEST_F(InspectTest, NothingIsWritten) {
  const auto snapshot = [&] {
    std::map<std::string, std::pair<uint64_t, fs::file_time_type>> all;
    for (const auto& entry : fs::recursive_directory_iterator(path_))
      all[entry.path()] = {entry.is_directory() ? 0 : entry.file_size(), entry.last_write_time()};
    return all;
  };
  Flip(PathOf(closed_, ".log"), closed_.positions[2] + 30);
  const auto before = snapshot();
  Inspect();
  EXPECT_EQ(snapshot(), before);
}

// A bit anywhere in what was durable is found, in the right file.
TEST_F(InspectTest, AFlippedBitIsDamageInEachKindOfFile) {
  struct Case {
    std::string file;
    uint64_t at;
    uint64_t position;  // that the finding names
  };
  const std::vector<Case> cases = {
      {"identity", 100, 0},
      {kJournal, 70, 0},
      {kJournal, 4096 + 60, 0},
      {kJournal, journal_.commit_positions[0] + 200, journal_.commit_positions[0]},
      {PathOf(closed_, ".log"), 90, 0},
      {PathOf(closed_, ".log"), closed_.positions[0] + 80, closed_.positions[0]},
      {PathOf(closed_, ".log"), closed_.positions[3] + 150, closed_.positions[3]},
      {PathOf(active_, ".log"), active_.positions[2] + 5, active_.positions[2]},
      {PathOf(closed_, ".idx"), 90, 0},
      {PathOf(closed_, ".idx"), 4096 + 48 + 3, 4096 + 48},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(StrCat(c.file, " at ", c.at));
    Flip(c.file, c.at);
    const InspectReport report = Inspect();
    const FileFinding finding = ByPath(report)[c.file];
    EXPECT_TRUE(IsDamage(finding.verdict)) << NameOf(finding.verdict) << " " << finding.reason;
    if (c.file != kJournal || c.position != 0) {
      EXPECT_EQ(finding.position, c.position);
    }
    EXPECT_FALSE(finding.reason.empty());
    EXPECT_EQ(RunCommand({path_}).exit_code, kInspectDamage);
    Flip(c.file, c.at);
  }
  EXPECT_EQ(Inspect().CountDamage(), 0u);
}

TEST_F(InspectTest, ATornLastCommitIsNoDamage) {
  // Nothing vouches for the last commit being durable.
  Flip(kJournal, journal_.commit_positions[1] + 300);
  Cut(PathOf(active_, ".log"), active_.positions[5]);
  Write(PathOf(active_, ".idx"), active_.index.substr(0, 4096 + 4 * 48));
  const FileFinding finding = OnlyFinding(Inspect());
  EXPECT_EQ(finding.path, kJournal);
  EXPECT_EQ(finding.verdict, Verdict::kTorn);
  EXPECT_EQ(finding.position, journal_.commit_positions[1]);
  EXPECT_EQ(RunCommand({path_}).exit_code, kInspectClean);
}

TEST_F(InspectTest, WhatTheJournalStillHoldsMayBeMissingFromTheSegment) {
  Cut(PathOf(active_, ".log"), active_.positions[4] + 10);
  Write(PathOf(active_, ".idx"), active_.index.substr(0, 4096 + 2 * 48));
  const FileFinding finding = OnlyFinding(Inspect());
  EXPECT_EQ(finding.verdict, Verdict::kTorn);
  EXPECT_EQ(finding.position, active_.positions[4]);
  EXPECT_THAT(finding.recovery, testing::HasSubstr("from the journal"));
}

TEST_F(InspectTest, CutBelowWhatWasSyncedIsDamage) {
  Cut(PathOf(active_, ".log"), active_.positions[2]);
  EXPECT_EQ(ByPath(Inspect())[PathOf(active_, ".log")].verdict, Verdict::kCorrupt);
  Cut(PathOf(closed_, ".log"), closed_.positions[4] + 9);
  const FileFinding finding = ByPath(Inspect())[PathOf(closed_, ".log")];
  EXPECT_EQ(finding.verdict, Verdict::kCorrupt);
  EXPECT_EQ(finding.position, closed_.positions[4]);
}

TEST_F(InspectTest, BytesBehindTheEndOfTheLogAreCut) {
  Write(PathOf(active_, ".log"), active_.log + std::string(100, 'x'));
  const FileFinding finding = OnlyFinding(Inspect());
  EXPECT_EQ(finding.verdict, Verdict::kTorn);
  EXPECT_EQ(finding.position, active_.end_position);
  Write(PathOf(active_, ".log"), active_.log + std::string(8000, '\0'));  // reserved room
  EXPECT_EQ(ByPath(Inspect())[PathOf(active_, ".log")].verdict, Verdict::kOk);
}

TEST_F(InspectTest, DeletedFilesAreMissed) {
  for (const std::string& name :
       {std::string("identity"), PathOf(closed_, ".log"), PathOf(active_, ".log")}) {
    SCOPED_TRACE(name);
    SetUp();
    Remove(name);
    EXPECT_EQ(ByPath(Inspect())[name].verdict, Verdict::kMissing);
    EXPECT_EQ(RunCommand({path_}).exit_code, kInspectDamage);
  }
  SetUp();
  Remove(kJournal);
  EXPECT_FALSE(Inspect().recovery.starts);
  EXPECT_NE(RunCommand({path_}).exit_code, kInspectClean);
  SetUp();
  Remove(PathOf(closed_, ".idx"));  // derived
  EXPECT_EQ(RunCommand({path_}).exit_code, kInspectClean);
}

TEST_F(InspectTest, SavedStatesAreVerifiedAndJudged) {
  const EntryHeader& last = active_.entries[1].header;
  const SavedState name{last.last_index, last.term};
  const StatePosition at{kMadeGroup, last.last_index, last.term, last.next_offset()};
  FileHeader header;
  header.kind = FileKind::kDerivedState;
  header.identity = identity_;
  header.group = kMadeGroup;
  header.first_index = last.last_index;
  StateItems items;
  items.Put(StateSection::kProducers, "p", "v");
  const std::string whole = EncodeFileHeader(header) + EncodeState(at, items);
  const std::string path = StrCat(kGroupPath, "/", StateFileName(name));
  Write(path, whole);
  const InspectReport report = Inspect();
  ASSERT_EQ(report.groups.at(0).states.size(), 1u);
  const InspectedState& state = report.groups[0].states[0];
  EXPECT_EQ(state.finding.verdict, Verdict::kOk) << state.finding.reason;
  EXPECT_EQ(state.summary.digest, items.digest());
  const auto run = RunCommand({path_, "--json"});
  EXPECT_EQ(run.exit_code, kInspectClean);
  const auto json = nlohmann::json::parse(run.out);
  EXPECT_EQ(json["groups"][0]["states"][0]["items"], 1);
  EXPECT_EQ(json["groups"][0]["states"][0]["index"], last.last_index.value());
  for (size_t at_byte = 0; at_byte < whole.size(); at_byte += 37) {
    std::string damaged = whole;
    damaged[at_byte] = static_cast<char>(damaged[at_byte] ^ 2);
    Write(path, damaged);
    EXPECT_EQ(Inspect().groups.at(0).states.at(0).finding.verdict, Verdict::kCorrupt) << at_byte;
  }
  Write(path, whole.substr(0, whole.size() - 1));
  EXPECT_EQ(RunCommand({path_}).exit_code, kInspectDamage);
  Remove(path);
  // Of an entry that the log does not have.
  Write(StrCat(kGroupPath, "/", StateFileName({Index{1'000}, Term{1}})), whole);
  EXPECT_EQ(Inspect().groups.at(0).states.at(0).finding.verdict, Verdict::kUnreferenced);
  EXPECT_EQ(RunCommand({path_}).exit_code, kInspectClean);
}

// Two live files: the older holds commits 21 and 22, the newer one's checkpoint includes them.
class InspectTwoJournalFilesTest : public InspectTest {
 protected:
  static constexpr char kNewer[] = "journal/00000000000000000004.jnl";
  void SetUp() override {
    InspectTest::SetUp();
    Checkpoint checkpoint;
    checkpoint.process_epoch = 4;
    checkpoint.last_commit = CommitSequence(22);
    checkpoint.durable_through = CommitSequence(22);
    checkpoint.next_file = FileNumber(9);
    checkpoint.next_generation = Generation(7);
    checkpoint.live_files = {{FileNumber(3), Generation(5)}};
    ReplicaRecord record = MakeRecord({closed_, active_});
    record.last_frame = FrameSequence(11);
    const EntryHeader& synced = active_.entries[2].header;
    record.sync_point = {active_.ref.file, active_.positions[3], synced.last_index,
                         synced.next_offset()};
    checkpoint.replicas.Put(record);
    Write(kNewer, MakeJournal(identity_, {FileNumber(4), Generation(6)}, checkpoint, {}).bytes);
  }
};

TEST_F(InspectTwoJournalFilesTest, BothAreLiveAndClean) {
  const InspectReport report = Inspect();
  EXPECT_TRUE(report.recovery.starts) << report.recovery.refusal;
  EXPECT_EQ(report.CountDamage(), 0u);
  ASSERT_EQ(report.journal.size(), 2u);
  EXPECT_TRUE(report.journal[0].live && report.journal[1].live);
  EXPECT_TRUE(!report.journal[0].newest_checkpoint && report.journal[1].newest_checkpoint);
}

TEST_F(InspectTwoJournalFilesTest, TheLastCommitOfAnOlderFileIsNeverTorn) {
  Flip(kJournal, journal_.commit_positions[1] + 300);
  const InspectReport report = Inspect();
  EXPECT_TRUE(report.recovery.starts) << report.recovery.refusal;
  ASSERT_EQ(report.recovery.notes.size(), 1u);
  EXPECT_NE(report.recovery.notes[0].find("DurableCommitDamaged"), std::string::npos);
  EXPECT_GT(report.CountDamage(), 0u);
  EXPECT_EQ(ByPath(report)[kJournal].verdict, Verdict::kCorrupt);
  EXPECT_EQ(ByPath(report)[kJournal].position, journal_.commit_positions[1]);
}

TEST_F(InspectTwoJournalFilesTest, ADeletedOlderFileIsMissed) {
  Remove(kJournal);
  const InspectReport report = Inspect();
  EXPECT_FALSE(report.recovery.starts);
  EXPECT_EQ(ByPath(report)[kJournal].verdict, Verdict::kMissing);
}

TEST_F(InspectTwoJournalFilesTest, ATornRollIsNoDamage) {
  Write("journal/00000000000000000005.jnl", std::string(8192, '\0'));
  const FileFinding finding = OnlyFinding(Inspect());
  EXPECT_EQ(finding.path, "journal/00000000000000000005.jnl");
  EXPECT_EQ(finding.verdict, Verdict::kTorn);
}

// The journal as the broker writes it: its frames hold a segment that is not on disk yet.
TEST_F(InspectTest, AJournalOfTheRealWriterIsRead) {
  Remove(kJournal);
  fs::remove_all(path_ + "/" + kGroupPath);
  JournalFrame frame;
  frame.group = kMadeGroup;
  frame.replica_epoch = ReplicaEpoch(1);
  frame.sequence = FrameSequence(1);
  frame.scalars = MakeRecord({closed_}).scalars;
  frame.steps = {CreateReplicaStep{}, SegmentSetStep{{}, {closed_.ref}}, AppendOf(closed_, 0)};
  auto executor = ThreadExecutor("journal");
  Checkpoint fresh;
  fresh.process_epoch = 1;
  fresh.next_file = FileNumber(20);
  fresh.next_generation = Generation(1);
  auto journal = Journal::Begin(RealFileSystem(), path_ + "/journal", identity_,
                                {.file_bytes = 1 << 20}, fresh, *executor, RealClock());
  ASSERT_TRUE(journal.ok()) << journal.status();
  std::promise<absl::Status> written;
  (*journal)->Submit(std::move(frame), false,
                     [&](absl::Status s) { written.set_value(std::move(s)); });
  ASSERT_TRUE(written.get_future().get().ok());
  const InspectReport report = Inspect();
  EXPECT_TRUE(report.recovery.starts) << report.recovery.refusal;
  EXPECT_EQ(report.CountDamage(), 0u);
  ASSERT_EQ(report.groups.size(), 1u);
  EXPECT_EQ(report.groups[0].record->scalars.end, closed_.end);
  EXPECT_THAT(ByPath(report)[PathOf(closed_, ".log")].recovery,
              testing::HasSubstr("from the journal"));
  std::promise<absl::Status> closed;
  (*journal)->Close([&](absl::Status s) { closed.set_value(std::move(s)); });
  EXPECT_TRUE(closed.get_future().get().ok());
}

TEST_F(InspectTest, FilesThatNobodyNamesAreToldApartFromUnknownOnes) {
  const MadeSegment stray = MakeSegment(identity_, FileNumber(6), active_.end, 1);
  WriteSegment(stray);
  Write("notes.txt", "hello");
  const auto all = ByPath(Inspect());
  EXPECT_EQ(all.at(PathOf(stray, ".log")).verdict, Verdict::kUnreferenced);
  EXPECT_EQ(all.at("notes.txt").verdict, Verdict::kUnknown);
  EXPECT_EQ(RunCommand({path_}).exit_code, kInspectClean);
}

TEST_F(InspectTest, AnIndexThatPointsElsewhereIsDamage) {
  MadeSegment other = MakeSegment(identity_, FileNumber(8), closed_.end, 6);
  other.index =
      MakeSegment(identity_, FileNumber(8), {Index(5), Term(3), Offset(4), WallTime(1)}, 6).index;
  other.index.replace(0, 4096, active_.index, 0, 4096);
  Write(PathOf(active_, ".idx"), other.index);
  const FileFinding finding = OnlyFinding(Inspect());
  EXPECT_EQ(finding.path, PathOf(active_, ".idx"));
  EXPECT_EQ(finding.verdict, Verdict::kCorrupt);
}

TEST_F(InspectTest, WithoutVerificationOnlyPayloadDamageIsOverlooked) {
  Flip(PathOf(closed_, ".log"), closed_.positions[3] + 150);
  EXPECT_EQ(Inspect(false).CountDamage(), 0u);
  Flip(PathOf(closed_, ".log"), closed_.positions[3] + 24);  // its index
  EXPECT_EQ(Inspect(false).CountDamage(), 1u);
}

TEST_F(InspectTest, ADirectoryInUseIsInspectedAndSaysSo) {
  auto lock = RealFileSystem().Lock(path_ + "/LOCK");
  ASSERT_TRUE(lock.ok()) << lock.status();
  const Run run = RunCommand({path_});
  EXPECT_EQ(run.exit_code, kInspectClean) << run.out;
  EXPECT_THAT(run.out, testing::HasSubstr("in use by a running broker"));
  lock->reset();
  EXPECT_FALSE(Inspect().in_use);
}

TEST_F(InspectTest, JsonHoldsWhatTheTablesShow) {
  const Run run = RunCommand({"--json", path_});
  ASSERT_EQ(run.exit_code, kInspectClean) << run.err;
  const auto json = nlohmann::json::parse(run.out);
  EXPECT_EQ(json["damaged_files"], 0);
  EXPECT_EQ(json["identity"]["node_id"], 1);
  EXPECT_EQ(json["journal"][0]["checkpoint"]["replicas"].size(), 1u);
  EXPECT_EQ(json["journal"][0]["commits"][1]["sequence"], 22);
  EXPECT_EQ(json["groups"][0]["replica"]["last_index"], 13);
  EXPECT_EQ(json["groups"][0]["segments"][1]["entries"], 7);
  EXPECT_EQ(json["recovery"]["starts"], true);
}

TEST_F(InspectTest, MarksOfPeersAndReasonsOfSuspicionAreShown) {
  Checkpoint checkpoint;
  checkpoint.process_epoch = 4;
  checkpoint.incarnation = 41;
  checkpoint.settled_epoch = 3;
  checkpoint.last_commit = checkpoint.durable_through = CommitSequence(20);
  checkpoint.next_file = FileNumber(9);
  checkpoint.next_generation = Generation(6);
  PeerMark mark{NodeId{2}, identity_.directory, 6, 99, CommitSequence{170}};
  checkpoint.peers.Note(mark);
  ReplicaRecord record = MakeRecord({closed_, active_});
  record.suspect = true;
  record.suspect_why = "an image was restored";
  checkpoint.replicas.Put(record);
  JournalFrame frame;
  frame.sequence = FrameSequence{21};
  mark.durable = CommitSequence{180};
  frame.steps = {PeerMarksStep{{mark}}};
  const JournalFileRef ref{FileNumber(3), Generation(5)};
  Write(kJournal, MakeJournal(identity_, ref, checkpoint, {frame}).bytes);

  const Run text = RunCommand({"--commits", path_});
  ASSERT_EQ(text.exit_code, kInspectClean) << text.out;
  for (const std::string shown :
       {"marks of peers", "180", "suspect: an image was restored", "peer marks node 2 epoch 6"})
    EXPECT_NE(text.out.find(shown), std::string::npos) << shown << '\n' << text.out;
  const auto json = nlohmann::json::parse(RunCommand({"--json", path_}).out);
  const auto& before = json["journal"][0]["checkpoint"];
  EXPECT_EQ(before["incarnation"], 41);
  EXPECT_EQ(before["settled_epoch"], 3);
  EXPECT_EQ(before["peers"][0]["durable"], 170);
  EXPECT_EQ(before["replicas"][0]["suspect_reason"], "an image was restored");
  const auto& after = json["recovery"]["peers"];
  ASSERT_EQ(after.size(), 1u);
  EXPECT_EQ(after[0]["node"], 2);
  EXPECT_EQ(after[0]["directory_id"], identity_.directory.ToString());
  EXPECT_EQ(after[0]["process_epoch"], 6);
  EXPECT_EQ(after[0]["incarnation"], 99);
  EXPECT_EQ(after[0]["durable"], 180);
}

TEST_F(InspectTest, TablesNameFilesStatesAndTheVerdict) {
  Flip(PathOf(closed_, ".log"), closed_.positions[3] + 150);
  const Run run = RunCommand({path_, "--commits"});
  EXPECT_EQ(run.exit_code, kInspectDamage);
  EXPECT_THAT(run.out, testing::HasSubstr(StrCat("corrupt at ", closed_.positions[3])));
  EXPECT_THAT(run.out, testing::HasSubstr("commit 21, durable through 20"));
  EXPECT_THAT(run.out, testing::HasSubstr("append 2 entries to file 8"));
  EXPECT_THAT(run.out, testing::HasSubstr("damage found in 1 files"));
}

TEST_F(InspectTest, WrongUsageAndWrongPlacesHaveTheirOwnExitCodes) {
  EXPECT_EQ(RunCommand({}).exit_code, kInspectUsage);
  EXPECT_EQ(RunCommand({path_, "--yaml"}).exit_code, kInspectUsage);
  EXPECT_EQ(RunCommand({path_, path_}).exit_code, kInspectUsage);
  EXPECT_EQ(RunCommand({path_ + "/nowhere"}).exit_code, 3);
  EXPECT_EQ(RunCommand({path_ + "/trash"}).exit_code, 3);
  EXPECT_EQ(RunCommand({"--help"}).exit_code, 0);
}

}  // namespace
}  // namespace varve::storage
