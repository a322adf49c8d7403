// Random writes, truncations, rolls, trims, reads and crashes, also of recoveries, against a model
// that remembers every image.
#include <gtest/gtest.h>

#include <chrono>
#include <iostream>

#include "common/error.h"
#include "storage/format/file_header.h"
#include "tests/storage/directory_host.h"

namespace varve::storage {
namespace {

// What the seeds came past; each must have been there.
struct Reached {
  uint64_t rolls_by_size = 0, released = 0, scrub_passes = 0;
  // Recoveries that were cut short, and those of them that got as far as to say that all is open.
  uint64_t cut_recoveries = 0, cut_behind_opening = 0;
};

class RandomRun {
 public:
  RandomRun(uint64_t seed, Reached* reached) : host_(seed, Options(seed)), reached_(*reached) {}

  void Run() {
    ASSERT_TRUE(host_.Open().ok());
    for (uint64_t i = 0; i < 1 + host_.seed % 3; ++i) {
      const GroupId group{100 + i};
      ASSERT_TRUE(host_.Create(group).ok());
      scripts_.push_back(std::make_unique<LogScript>(&host_, group));
      scripts_.back()->Begin();
      scripts_.back()->NewTerm();
      segment_bytes_.push_back(DrawSegmentBytes());
    }
    for (int step = 0; step < 150 && !::testing::Test::HasFailure(); ++step) Step();
    Settle();
    CheckScrubbing();
    const absl::Status closed = host_.Close();
    ASSERT_TRUE(closed.ok()) << closed;
    Reopen();
  }

 private:
  static DataDirectoryOptions Options(uint64_t seed) {
    DataDirectoryOptions options = SmallOptions();
    options.cache_bytes = seed % 4 == 0 ? 0 : (seed % 4) * 20'000;
    options.max_open_files = 1 + seed % 5;
    options.sync_interval = (1 + seed % 7) * 100 * kMillisecond;
    options.trash_delay = kSecond;
    options.scrub_period = (1 + seed % 3) * 100 * kMillisecond;
    return options;
  }

  Random& random() { return *host_.random; }

  void Settle() {
    for (const auto& script : scripts_)
      ASSERT_TRUE(host_.scheduler.RunUntil([&] { return script->Settled(); }, 10 * kSecond))
          << "seed " << host_.seed;
  }

  // The topic's setting; of some it is never reached.
  uint64_t DrawSegmentBytes() {
    return random().OneIn(3) ? 1 << 30 : 5'000 + random().Below(60'000);
  }

  // As the leader of a partition does; the setting may have changed since the segment began.
  void RollIfFull(LogScript& script, uint64_t segment_bytes) {
    if (ActiveBytes(script.image()) <= segment_bytes) return;
    ++reached_.rolls_by_size;
    script.Roll();
  }

  // Of the newest segment, as its file must be.
  static uint64_t ActiveBytes(const LogImage& image) {
    uint64_t bytes = 0;
    for (auto at = image.entries.rbegin(); at != image.entries.rend(); ++at) {
      bytes += at->frame.size();
      if (at->header.kind == EntryKind::kMeta && IsSegmentStart(at->payload())) break;
    }
    return kFileHeaderBytes + bytes;
  }

  // Recoveries of which each dies at a drawn write, by itself or with the power.
  void CutRecoveries() {
    for (uint64_t left = random().Below(3); left > 0; --left) {
      host_.disk.FailAfter(random().Below(40));
      const absl::Status opened = host_.Open();
      if (opened.ok()) host_.scheduler.RunFor(random().Below(200) * kMillisecond);
      const bool dead = host_.disk.dead();
      ASSERT_TRUE(opened.ok() || dead) << "seed " << host_.seed << ": " << opened;
      reached_.cut_recoveries += dead ? 1 : 0;
      reached_.cut_behind_opening += dead && opened.ok() ? 1 : 0;
      host_.Crash(random().OneIn(2));
    }
  }

  void Step() {
    const size_t chosen = random().Below(scripts_.size());
    LogScript& script = *scripts_[chosen];
    const LogImage& image = script.image();
    const Index last = image.end().last_index;
    switch (random().Below(19)) {
      case 0:
        return script.Roll();
      case 1:
        return script.NewTerm();
      case 2:
      case 3: {
        const uint64_t room = last.value() - image.commit_index.value();
        if (room == 0) return;
        const uint64_t back =
            random().OneIn(2) ? random().Below(std::min<uint64_t>(room, 3)) : random().Below(room);
        return script.Truncate(last - back, static_cast<int>(random().Below(4)));
      }
      case 4:
        return script.Commit(image.commit_index +
                             random().Below(1 + last.value() - image.commit_index.value()));
      case 5:
        return Settle();
      case 6:
        host_.scheduler.RunFor(random().Below(300) * kMillisecond);
        return;
      case 7:
      case 8:
        Settle();
        return Read(script);
      case 9:
        if (random().OneIn(2)) host_.scheduler.RunFor(random().Below(200) * kMicrosecond);
        CheckScrubbing();
        host_.Crash(random().OneIn(2));
        CutRecoveries();
        return Reopen();
      case 10:
        // Also beyond its own entry, where it must not reach, and behind the log start.
        return script.Trim(Offset{static_cast<int64_t>(
            random().Below(static_cast<uint64_t>(image.end().next_offset.value()) + 3))});
      case 11:
        segment_bytes_[chosen] = DrawSegmentBytes();
        return;
      default:
        RollIfFull(script, segment_bytes_[chosen]);
        return script.Append(1 + static_cast<int>(random().Below(5)),
                             random().OneIn(5) ? random().Below(20'000) : random().Below(600));
    }
  }

  // A sound disk is never accused, whatever is written, cut and trimmed meanwhile.
  void CheckScrubbing() {
    const ScrubStats scrubbed = host_.directory->scrub_stats();
    EXPECT_EQ(scrubbed.damaged, 0u) << "seed " << host_.seed;
    reached_.scrub_passes += scrubbed.passes;
  }

  void Reopen() {
    const absl::Status opened = host_.Open();
    ASSERT_TRUE(opened.ok()) << "seed " << host_.seed << ": " << opened;
    for (const auto& script : scripts_) {
      ASSERT_TRUE(host_.logs.contains(script->group())) << "seed " << host_.seed;
      ASSERT_NO_FATAL_FAILURE(script->Check());
    }
  }

  void Read(LogScript& script) {
    const LogImage& image = script.image();
    const auto found = host_.Image(script.group(), 1 + random().Below(30'000));
    ASSERT_TRUE(found.ok()) << "seed " << host_.seed << ": " << found.status();
    EXPECT_EQ(found->Difference(image), "") << "seed " << host_.seed;
    EXPECT_EQ(host_.log(script.group()).active_segment_bytes(), ActiveBytes(image))
        << "seed " << host_.seed;
    reached_.released += image.start.index > Index{1} ? 1 : 0;
    const auto width = static_cast<uint64_t>(image.end().next_offset - image.start.offset);
    if (image.start.offset > Offset{0}) {
      const auto below =
          host_.ReadOffset(script.group(), image.start.offset - 1, image.end().last_index, 1);
      EXPECT_EQ(ReasonOf(below.status()), Reason::OFFSET_OUT_OF_RANGE) << "seed " << host_.seed;
    }
    if (width == 0) return;
    const Offset offset = image.start.offset + static_cast<int64_t>(random().Below(width));
    const auto read = host_.ReadOffset(script.group(), offset, image.end().last_index, 1);
    ASSERT_TRUE(read.ok()) << read.status();
    ASSERT_EQ(read->entries.size(), 1u) << "seed " << host_.seed << ", offset " << offset;
    EXPECT_LE(read->entries[0].header.base_offset, offset) << "seed " << host_.seed;
    EXPECT_GE(read->entries[0].header.last_offset, offset) << "seed " << host_.seed;
    const Entry& sought = image.entries[random().Below(image.entries.size())];
    const auto time =
        host_.FindTime(script.group(), sought.header.append_time, image.end().last_index);
    ASSERT_TRUE(time.ok()) << time.status();
    for (const Entry& entry : image.entries) {
      if (entry.header.kind != EntryKind::kData || entry.header.last_offset < image.start.offset ||
          entry.header.append_time < sought.header.append_time)
        continue;
      ASSERT_TRUE(time->has_value()) << "seed " << host_.seed;
      EXPECT_EQ((*time)->index, entry.header.first_index) << "seed " << host_.seed;
      return;
    }
    EXPECT_FALSE(time->has_value()) << "seed " << host_.seed;
  }

  DirectoryHost host_;
  Reached& reached_;
  std::vector<std::unique_ptr<LogScript>> scripts_;
  std::vector<uint64_t> segment_bytes_;  // of each
};

TEST(SegmentLogProperty, EveryRecoveredLogIsOneThatWasAskedFor) {
  const auto begin = std::chrono::steady_clock::now();
  uint64_t seed = 1;
  Reached reached;
  // At least these seeds, and as many more as the time allows.
  for (; seed <= 40 || std::chrono::steady_clock::now() - begin < std::chrono::seconds(8); ++seed) {
    RandomRun(seed, &reached).Run();
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
  RecordProperty("seeds", static_cast<int>(seed - 1));
  std::cout << seed - 1 << " seeds; " << reached.rolls_by_size << " rolls by size, "
            << reached.released << " reads behind released segments, " << reached.cut_recoveries
            << " recoveries cut, " << reached.scrub_passes << " scrubbing passes, "
            << reached.cut_behind_opening << " of them behind the opening\n";
  EXPECT_GT(reached.rolls_by_size, 40u);
  EXPECT_GT(reached.released, 10u);
  EXPECT_GT(reached.cut_recoveries, 40u);
  EXPECT_GT(reached.cut_behind_opening, 0u);
  EXPECT_GT(reached.scrub_passes, 100u);
}

}  // namespace
}  // namespace varve::storage
