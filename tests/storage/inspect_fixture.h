// InspectTest: a directory that inspection looks at, and verbs that damage it.
#ifndef VARVE_TESTS_STORAGE_INSPECT_FIXTURE_H_
#define VARVE_TESTS_STORAGE_INSPECT_FIXTURE_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "common/error.h"
#include "storage/format/file_header.h"
#include "storage/inspect.h"
#include "storage/segment_names.h"
#include "tests/storage/inspect_directory_maker.h"

namespace varve::storage {

inline constexpr char kGroupPath[] = "groups/0000000000012345";

// A directory of one group: a closed segment, an active one whose last four entries are in the
// journal too, and one journal file of two commits. Verbs damage it.
class InspectTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    path_ = StrCat(testing::TempDir(), "/inspect_", test->name());
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_ + "/journal");
    std::filesystem::create_directories(path_ + "/" + kGroupPath);
    std::filesystem::create_directories(path_ + "/trash");
    closed_ = MakeSegment(identity_, FileNumber(7), {}, 5);
    active_ = MakeSegment(identity_, FileNumber(8), closed_.end, 6);
    Write("identity", MakeIdentityFile(identity_));
    WriteSegment(closed_);
    WriteSegment(active_);
    MakeJournalFile();
  }
  void TearDown() override { std::filesystem::remove_all(path_); }

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
  void Cut(const std::string& name, uint64_t size) {
    std::filesystem::resize_file(path_ + "/" + name, size);
  }
  void Remove(const std::string& name) {
    ASSERT_TRUE(std::filesystem::remove(path_ + "/" + name)) << name;
  }

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

}  // namespace varve::storage

#endif  // VARVE_TESTS_STORAGE_INSPECT_FIXTURE_H_
