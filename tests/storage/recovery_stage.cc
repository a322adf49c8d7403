#include "tests/storage/recovery_stage.h"

#include <gtest/gtest.h>

#include "common/crc32c.h"
#include "common/error.h"
#include "storage/format/journal_commit.h"
#include "storage/format/journal_frame.h"
#include "storage/format/journal_mark.h"
#include "storage/format/replica_record.h"
#include "storage/journal_files.h"
#include "storage/journal_scan.h"
#include "storage/segment_names.h"

namespace varve::storage {
namespace {

DataDirectoryOptions StageOptions() {
  DataDirectoryOptions options = SmallOptions();
  options.sync_interval = 3600 * kSecond;
  options.cache_bytes = 0;
  return options;
}

}  // namespace

RecoveryStage::RecoveryStage() : host(7, StageOptions()) {}

void RecoveryStage::Fill() {
  ASSERT_TRUE(host.Open().ok());
  identity_ = host.directory->identity();
  ASSERT_TRUE(host.Create(kGroup).ok());
  script.Begin();
  script.NewTerm();
  Append(4, 1000);
  script.Roll();
  Append(4, 1000);
  script.Commit(script.image().end().last_index);
  Settle();
}

void RecoveryStage::Append(int entries, size_t value_bytes) {
  script.Append(entries, value_bytes);
  Settle();
}

void RecoveryStage::Settle() {
  ASSERT_TRUE(host.scheduler.RunUntil([&] { return script.Settled(); }, 10 * kSecond));
}

void RecoveryStage::Close() {
  const absl::Status closed = host.Close();
  ASSERT_TRUE(closed.ok()) << closed;
}

void RecoveryStage::Crash() { host.Crash(false); }

void RecoveryStage::FillSeveralFiles() {
  Fill();
  for (int i = 0; i < 8; ++i) Append(1, 9000);
  Crash();
  ASSERT_GE(ListedFiles().size(), 2u);
}

JournalContents RecoveryStage::Contents() {
  const auto contents = ReadJournal(host.disk, "data/journal", identity_);
  EXPECT_TRUE(contents.ok()) << contents.status();
  return contents.value_or(JournalContents{});
}

std::vector<std::string> RecoveryStage::ListedFiles() {
  std::vector<std::string> out;
  for (const JournalFileRef& ref : Contents().checkpoint.live_files)
    out.push_back(JoinPath("data/journal", JournalName(ref.file)));
  return out;
}

uint64_t RecoveryStage::EndOfCommits(std::optional<size_t> listed) {
  const auto live = Contents().checkpoint.live_files;
  const auto source =
      OpenJournalSource(host.disk, "data/journal", live.at(listed.value_or(live.size() - 1)).file);
  CommitReader reader(*source);
  for (auto commit = reader.Next(std::nullopt); commit.ok() && *commit;)
    commit = reader.Next(std::nullopt);
  return reader.position();
}

std::vector<uint64_t> RecoveryStage::CommitsWithFrames() {
  const auto source =
      OpenJournalSource(host.disk, "data/journal", Contents().checkpoint.live_files.back().file);
  CommitReader reader(*source);
  std::vector<uint64_t> out;
  while (true) {
    const uint64_t at = reader.position();
    const auto commit = reader.Next(std::nullopt);
    if (!commit.ok() || !*commit) break;
    if (!(*commit)->frames.empty()) out.push_back(at);
  }
  EXPECT_GT(out.size(), 2u);
  return out;
}

std::string RecoveryStage::GroupDirectory() const {
  return JoinPath("data/groups", GroupDirectoryName(kGroup));
}

std::string RecoveryStage::Segment(size_t which) {
  const auto listed = host.disk.List(GroupDirectory());
  EXPECT_TRUE(listed.ok());
  std::vector<std::string> paths;
  for (const DirectoryEntry& entry : listed.value_or(std::vector<DirectoryEntry>()))
    if (entry.name.ends_with(".log")) paths.push_back(JoinPath(GroupDirectory(), entry.name));
  EXPECT_LT(which, paths.size());
  return paths.at(which);
}

uint64_t RecoveryStage::SizeOf(const std::string& path) { return host.disk.Stat(path)->size; }

void RecoveryStage::Zero(const std::string& path, uint64_t at, size_t bytes) {
  Write(path, at, std::string(bytes, '\0'));
}

void RecoveryStage::Write(const std::string& path, uint64_t at, std::string_view bytes) {
  if (at + bytes.size() > SizeOf(path)) {
    auto file = host.disk.Open(path, OpenMode::kReadWrite);
    ASSERT_TRUE((*file)->WriteAt(at, bytes).ok());
    return;
  }
  ASSERT_TRUE(host.disk.Corrupt(path, at, bytes).ok());
}

void RecoveryStage::Remove(const std::string& path) {
  ASSERT_TRUE(host.disk.RemoveFile(path).ok()) << path;
}

void RecoveryStage::RemoveMark() { Remove(JoinPath("data/journal", kJournalMarkName)); }

void RecoveryStage::PatchHeader(const std::string& path, FileKind kind,
                                absl::FunctionRef<void(FileHeader*)> patch,
                                std::optional<uint16_t> version) {
  const auto whole = ReadWholeFile(host.disk, path, 1 << 30);
  auto header = DecodeFileHeader(whole->substr(0, kFileHeaderBytes), kind);
  ASSERT_TRUE(header.ok()) << header.status();
  patch(&*header);
  std::string bytes = EncodeFileHeader(*header);
  if (version) {
    bytes[8] = static_cast<char>(*version);
    const uint32_t crc = Crc32c(std::string_view(bytes).substr(0, 4092));
    for (int i = 0; i < 4; ++i) bytes[4092 + i] = static_cast<char>(crc >> (8 * i));
  }
  Write(path, 0, bytes);
}

void RecoveryStage::Forge(const Forged& forged) {
  const JournalContents contents = Contents();
  const auto& live = contents.checkpoint.live_files;
  const JournalFileRef file = live.at(forged.listed.value_or(live.size() - 1));
  const ReplicaRecord& record = *contents.replicas.Find(kGroup);
  const Generation generation =
      forged.generation == Generation{} ? file.generation : forged.generation;
  JournalFrame frame;
  frame.group = kGroup;
  frame.replica_epoch = record.replica_epoch;
  frame.sequence = record.last_frame + 1 + forged.skip;
  frame.scalars = record.scalars;
  if (forged.marks) {
    frame = {};
    frame.sequence = FrameSequence{contents.last_commit.value() + 1};
    PeerMark mark{NodeId{2}, {}, 3, 4, CommitSequence{5}};
    mark.directory.bytes.fill(6);
    frame.steps = {PeerMarksStep{{mark}}};
  }
  FrameImage image = FrameImage::Of(frame);
  image.Seal(GenerationSeed(generation));
  std::vector<std::string_view> pieces;
  image.AppendPieces(&pieces);
  std::string body;
  for (const std::string_view piece : pieces) body.append(piece);
  CommitHeader header;
  header.generation = generation;
  header.sequence =
      (forged.listed ? contents.checkpoint.last_commit : contents.last_commit) + 1 + forged.ahead;
  header.durable_through =
      forged.vouches ? contents.last_commit : contents.checkpoint.durable_through;
  header.frames = 1;
  const std::vector<GroupFrame> groups = {
      {forged.wrong_list ? GroupId{kGroup.value() + 1} : frame.group, frame.sequence}};
  std::string bytes = EncodeCommitHeader(&header, groups, {}, body.size());
  bytes += body + EncodeCommitEnd(header, groups, body.size());
  Write(JoinPath("data/journal", JournalName(file.file)), EndOfCommits(forged.listed), bytes);
}

absl::Status RecoveryStage::Open() {
  host.options.recovery_trace = &trace;
  absl::Status status = open();
  host.options.recovery_trace = nullptr;
  return status;
}

}  // namespace varve::storage
