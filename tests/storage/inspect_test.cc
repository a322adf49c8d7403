#include "storage/inspect.h"

#include <future>
#include <nlohmann/json.hpp>

#include "common/crc32c.h"
#include "common/executor.h"
#include "tests/storage/inspect_fixture.h"

namespace varve::storage {
namespace {

namespace fs = std::filesystem;

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

TEST_F(InspectTest, EntriesAreToldOnALineEach) {
  WriteSegment(MakeSegment(identity_, FileNumber(6), active_.end, 1));  // of no segment set
  const Run run = RunCommand({"--entries", path_});
  ASSERT_EQ(run.exit_code, kInspectClean) << run.err;
  std::vector<Entry> entries = closed_.entries;
  entries.insert(entries.end(), active_.entries.begin(), active_.entries.end());
  std::istringstream lines(run.out);
  std::string line;
  for (const Entry& entry : entries) {
    ASSERT_TRUE(std::getline(lines, line)) << run.out;
    const auto json = nlohmann::json::parse(line);
    EXPECT_EQ(json["group"], kMadeGroup.value());
    EXPECT_EQ(json["first_index"], entry.header.first_index.value());
    EXPECT_EQ(json["last_index"], entry.header.last_index.value());
    EXPECT_EQ(json["term"], entry.header.term.value());
    EXPECT_EQ(json["kind"], entry.header.kind == EntryKind::kData ? "data" : "meta");
    EXPECT_EQ(json["base_offset"], entry.header.base_offset.value());
    EXPECT_EQ(json["last_offset"], entry.header.last_offset.value());
    EXPECT_EQ(json["payload_bytes"], entry.payload().size());
    EXPECT_EQ(json["payload_crc"], Crc32c(entry.payload()));
  }
  EXPECT_FALSE(std::getline(lines, line)) << line;
  EXPECT_EQ(RunCommand({"--entries", "--json", path_}).exit_code, kInspectUsage);
  EXPECT_EQ(RunCommand({"--entries", "--no-verify", path_}).exit_code, kInspectUsage);
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
