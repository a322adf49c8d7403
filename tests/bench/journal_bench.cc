// Group commit on a real file system: 1 KiB frames of 1 and 100 groups, each waiting for its own
// durability. Per 1,000 frames: syncs and journal bytes. The directory is under TMPDIR.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>

#include "common/check.h"
#include "common/error.h"
#include "storage/journal.h"

namespace varve::storage {
namespace {

std::string MakeDirectory() {
  const char* base = std::getenv("TMPDIR");
  std::string path = std::string(base == nullptr ? "/tmp" : base) + "/journal_bench.XXXXXX";
  VARVE_CHECK(mkdtemp(path.data()) != nullptr, path);
  return path;
}

// One frame after another of one group, as large as a small batch.
class Group {
 public:
  explicit Group(GroupId id) { frame_.group = id; }

  JournalFrame Create() {
    JournalFrame frame = Next();
    frame.steps.emplace_back(CreateReplicaStep{});
    frame.steps.emplace_back(
        SegmentSetStep{{}, {{FileNumber{frame.group.value()}, Offset{0}, Index{1}, 0}}});
    return frame;
  }
  JournalFrame Append() {
    EntryHeader header;
    header.kind = EntryKind::kMeta;
    header.group = frame_.group;
    header.first_index = header.last_index = frame_.scalars.end.last_index + 1;
    header.term = Term{1};
    header.last_offset = Offset{-1};
    Entry entry = FrameBuffer::Copy(std::string(1024, 'x')).Seal(header);
    frame_.scalars.end.last_index = header.last_index;
    frame_.scalars.end.last_term = header.term;
    JournalFrame frame = Next();
    const uint64_t position = position_;
    position_ += entry.header.frame_bytes();
    frame.steps.emplace_back(AppendStep{FileNumber{frame.group.value()}, position, {entry}});
    return frame;
  }
  [[nodiscard]] const JournalFrame& last() const { return frame_; }

 private:
  JournalFrame Next() {
    ++frame_.sequence;
    return frame_;
  }
  JournalFrame frame_;
  uint64_t position_ = 4096;
};

class Round {
 public:
  void Add(Journal& journal, JournalFrame frame) {
    left_.fetch_add(1);
    journal.Submit(std::move(frame), false, [this](const absl::Status& status) {
      VARVE_CHECK(status.ok(), MessageOf(status));
      if (left_.fetch_sub(1) == 1) left_.notify_all();
    });
  }
  void Wait() {
    for (int left = left_.load(); left != 0; left = left_.load()) left_.wait(left);
  }

 private:
  std::atomic<int> left_ = 0;
};

void JournalAppend(benchmark::State& state) {
  const std::string directory = MakeDirectory();
  {
    const auto executor = ThreadExecutor("journal");
    auto journal = Journal::Begin(RealFileSystem(), directory, {}, {}, {}, *executor, RealClock());
    VARVE_CHECK(journal.ok(), MessageOf(journal.status()));
    std::vector<Group> groups;
    Round round;
    for (int64_t i = 1; i <= state.range(0); ++i)
      groups.emplace_back(GroupId{static_cast<uint64_t>(i)});
    for (Group& group : groups) round.Add(**journal, group.Create());
    round.Wait();
    const JournalStats before = (*journal)->stats();
    for (auto _ : state) {
      for (Group& group : groups) round.Add(**journal, group.Append());
      round.Wait();
      // Segments that keep up: the journal turns over its files.
      for (const Group& group : groups) {
        (*journal)->NoteDurableInSegments(group.last().group, group.last().sequence, {});
      }
    }
    const JournalStats after = (*journal)->stats();
    const auto frames = static_cast<double>(after.frames - before.frames);
    const auto syncs = static_cast<double>(after.commits - before.commits + after.checkpoints -
                                           before.checkpoints + after.seals - before.seals);
    state.SetItemsProcessed(static_cast<int64_t>(frames));
    state.counters["syncs/1000"] = 1000 * syncs / frames;
    state.counters["bytes/1000"] = 1000 * static_cast<double>(after.bytes - before.bytes) / frames;
    state.counters["sync_ms"] =
        static_cast<double>(after.sync_latency.sum - before.sync_latency.sum) /
        static_cast<double>(after.commits - before.commits) / 1e6;
  }
  std::filesystem::remove_all(directory);
}
BENCHMARK(JournalAppend)->Arg(1)->Arg(100)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace varve::storage
