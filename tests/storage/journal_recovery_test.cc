#include <gtest/gtest.h>

#include "common/error.h"
#include "storage/format/journal_mark.h"
#include "storage/journal_files.h"
#include "storage/journal_scan.h"
#include "tests/storage/journal_script.h"

namespace varve::storage {
namespace {

constexpr JournalOptions kTiny = {.file_bytes = 160 << 10, .max_live_files = 4};

constexpr GroupId kA{65536}, kB{65537};

std::string PathOf(const JournalFileRef& ref) { return JoinPath("journal", JournalName(ref.file)); }

// Where the commits of the newest file lie.
std::map<CommitSequence, std::pair<uint64_t, uint64_t>> Extents(JournalHost& host,
                                                                const JournalFileRef& ref) {
  std::map<CommitSequence, std::pair<uint64_t, uint64_t>> out;
  const auto source = OpenJournalSource(host.disk, "journal", ref.file);
  EXPECT_TRUE(source.ok()) << source.status();
  CommitReader reader(*source);
  while (true) {
    const uint64_t from = reader.position();
    const auto commit = reader.Next(std::nullopt);
    if (!commit.ok() || !commit->has_value()) return out;
    out[(*commit)->header.sequence] = {from, reader.position()};
  }
}

class JournalRecoveryTest : public testing::Test {
 protected:
  // Two groups, several commits, one seal at the end if wanted.
  void Fill(bool seal) {
    ASSERT_TRUE(host_.Start().ok());
    GroupScript a(GroupId{65536}, FileNumber{100}), b(GroupId{65537}, FileNumber{101});
    const auto submit = [&](JournalFrame frame) {
      host_.Submit(std::move(frame));
      ASSERT_TRUE(host_.Settle());
    };
    submit(a.Create());
    submit(b.Create());
    submit(a.Append(2, 3000));
    host_.Submit(a.Append(1, 200));
    submit(b.Append(3, 100));
    submit(a.Truncate(Index{2}));
    if (seal) {
      ASSERT_TRUE(host_.scheduler.RunUntilIdle());
    }
    host_.Kill();
    const auto contents = host_.Read();
    ASSERT_TRUE(contents.ok()) << contents.status();
    contents_ = *contents;
    ref_ = contents_.checkpoint.live_files.back();
    extents_ = Extents(host_, ref_);
    ASSERT_EQ(extents_.rbegin()->first, contents_.last_commit);
  }
  std::string path() const { return PathOf(ref_); }
  // Replicas that lost a frame are marked, and all others are what they were.
  void ExpectGraded(const JournalContents& read) {
    for (const auto& [group, record] : contents_.replicas.records()) {
      const ReplicaRecord* found = read.replicas.Find(group);
      ASSERT_NE(found, nullptr) << "group " << group;
      EXPECT_EQ(found->suspect, read.lost_frames.contains(group)) << "group " << group;
      EXPECT_GE(found->scalars.hard_state.term, record.scalars.hard_state.term);
      if (found->suspect) continue;
      ReplicaRecord plain = *found;
      plain.sync_point = record.sync_point;
      EXPECT_EQ(plain, record) << "group " << group;
    }
  }

  // Replicas after the commits up to `last`.
  ReplicaTable Upto(CommitSequence last) {
    ReplicaTable table = contents_.checkpoint.replicas;
    const auto source = OpenJournalSource(host_.disk, "journal", ref_.file);
    CommitReader reader(*source);
    while (true) {
      const auto commit = reader.Next(std::nullopt);
      if (!commit.ok() || !*commit || (*commit)->header.sequence > last) return table;
      for (const JournalFrame& frame : (*commit)->frames) EXPECT_TRUE(table.Apply(frame).ok());
    }
  }

  JournalHost host_{21, kTiny};
  JournalContents contents_;
  JournalFileRef ref_;
  std::map<CommitSequence, std::pair<uint64_t, uint64_t>> extents_;
};

TEST_F(JournalRecoveryTest, NoFlippedByteShortensWhatWasAcknowledged) {
  Fill(/*seal=*/true);
  const uint64_t end = extents_.rbegin()->second.second;
  uint64_t refused = 0, graded = 0, equal = 0, cut = 0;
  for (uint64_t at = 0; at < end; ++at) {
    const unsigned bit = static_cast<unsigned>(at % 8);
    ASSERT_TRUE(host_.disk.FlipBit(path(), at, bit).ok());
    const auto read = host_.Read();
    ASSERT_TRUE(host_.disk.FlipBit(path(), at, bit).ok());
    if (!read.ok()) {
      ASSERT_EQ(ReasonOf(read.status()), Reason::DATA_LOSS) << at << ": " << read.status();
      ++refused;
    } else if (!read->lost_frames.empty()) {
      ASSERT_EQ(read->last_commit, contents_.last_commit) << at;
      ASSERT_NO_FATAL_FAILURE(ExpectGraded(*read)) << at;
      ++graded;
    } else if (read->last_commit == contents_.last_commit) {
      ASSERT_TRUE(SameReplicas(read->replicas, contents_.replicas)) << at;
      ++equal;
    } else {
      // Only the seal, which nothing later vouches for.
      ASSERT_EQ(read->last_commit + 1, contents_.last_commit) << at;
      ASSERT_TRUE(SameReplicas(read->replicas, contents_.replicas)) << at;
      ++cut;
    }
  }
  EXPECT_GT(refused, 4000u);
  EXPECT_GT(graded, 4000u);
  EXPECT_GT(equal, 1000u);  // padding
  EXPECT_GT(cut, 50u);
}

TEST_F(JournalRecoveryTest, DamagedSpansAreNeverTakenForATornWrite) {
  Fill(/*seal=*/true);
  const CommitSequence proven = contents_.last_commit - 1;
  for (const auto& [sequence, extent] : extents_) {
    const auto [from, to] = extent;
    for (const std::string& damage :
         {std::string(to - from, '\0'), std::string(512, '\xff'), std::string(4096, '\0')}) {
      std::string old(damage.size(), '\0');
      auto file = host_.disk.Open(path(), OpenMode::kRead);
      ASSERT_EQ(*(*file)->ReadAt(from, old.size(), old.data()), old.size());
      ASSERT_TRUE(host_.disk.Corrupt(path(), from, damage).ok());
      const auto read = host_.Read();
      ASSERT_TRUE(host_.disk.Corrupt(path(), from, old).ok());
      if (sequence <= proven && !read.ok()) {
        EXPECT_EQ(ReasonOf(read.status()), Reason::DATA_LOSS) << "commit " << sequence;
        EXPECT_NE(MessageOf(read.status()).find(path()), std::string_view::npos);
      } else if (sequence <= proven) {
        EXPECT_FALSE(read->lost_frames.empty()) << "commit " << sequence;
        ASSERT_NO_FATAL_FAILURE(ExpectGraded(*read)) << "commit " << sequence;
        for (const auto& [group, why] : read->lost_frames)
          EXPECT_NE(why.find(path()), std::string::npos) << why;
      } else {
        ASSERT_TRUE(read.ok()) << read.status();
        EXPECT_EQ(read->last_commit, proven);
      }
    }
  }
}

TEST_F(JournalRecoveryTest, TornLastCommitIsCutAtEverySector) {
  Fill(/*seal=*/false);
  const auto [from, to] = extents_.rbegin()->second;
  const CommitSequence last = contents_.last_commit;
  std::string whole(to - from, '\0');
  auto file = host_.disk.Open(path(), OpenMode::kRead);
  ASSERT_EQ(*(*file)->ReadAt(from, whole.size(), whole.data()), whole.size());
  const ReplicaTable before = Upto(last - 1);
  for (const bool head_survives : {true, false}) {
    for (uint64_t at = 512; at < whole.size(); at += 512) {
      std::string torn = whole;
      if (head_survives) {
        std::fill(torn.begin() + static_cast<long>(at), torn.end(), '\0');
      } else {
        std::fill(torn.begin(), torn.begin() + static_cast<long>(at), '\0');
      }
      ASSERT_TRUE(host_.disk.Corrupt(path(), from, torn).ok());
      const auto read = host_.Read();
      ASSERT_TRUE(read.ok()) << read.status();
      EXPECT_EQ(read->last_commit, last - 1) << at;
      EXPECT_TRUE(SameReplicas(read->replicas, before)) << at;
      EXPECT_EQ(read->notes.size(), 1u) << at;
    }
  }
}

TEST_F(JournalRecoveryTest, MissingOrForeignFilesAreRefused) {
  Fill(/*seal=*/true);
  DirectoryIdentity other = TestIdentity();
  other.node = NodeId{8};
  EXPECT_EQ(ReasonOf(ReadJournal(host_.disk, "journal", other).status()),
            Reason::FOREIGN_DIRECTORY);
  ASSERT_TRUE(host_.disk.RemoveFile(path()).ok());
  EXPECT_EQ(ReasonOf(host_.Read().status()), Reason::DATA_LOSS);
  EXPECT_EQ(ReadJournal(host_.disk, "nowhere", TestIdentity()).status().code(),
            absl::StatusCode::kNotFound);
}

// Several live files: each must be there, of the generation listed, and whole.
TEST(JournalRecovery, EveryListedFileIsNeeded) {
  JournalHost host(22, kTiny);
  ASSERT_TRUE(host.Start().ok());
  GroupScript a(GroupId{65536}, FileNumber{100});
  host.Submit(a.Create());
  for (int i = 0; i < 40; ++i) {
    host.Submit(a.Append(1, 9000));
    ASSERT_TRUE(host.Settle());
  }
  host.Kill();
  const auto contents = host.Read();
  ASSERT_TRUE(contents.ok()) << contents.status();
  const auto& live = contents->checkpoint.live_files;
  ASSERT_GE(live.size(), 3u);
  uint64_t frames = 0;
  ASSERT_TRUE(ReplayJournal(host.disk, "journal", *contents, [&](const JournalFrame&) {
                ++frames;
                return absl::OkStatus();
              }).ok());
  EXPECT_EQ(frames, host.acknowledged.size());
  for (size_t i = 0; i + 1 < live.size(); ++i) {
    const auto extents = Extents(host, live[i]);
    for (const uint64_t at : {uint64_t{100}, uint64_t{4100}}) {
      ASSERT_TRUE(host.disk.FlipBit(PathOf(live[i]), at, 3).ok());
      EXPECT_EQ(ReasonOf(host.Read().status()), Reason::DATA_LOSS) << i << " at " << at;
      ASSERT_TRUE(host.disk.FlipBit(PathOf(live[i]), at, 3).ok());
    }
    for (const uint64_t at :
         {extents.begin()->second.first + 100, extents.rbegin()->second.second - 10}) {
      ASSERT_TRUE(host.disk.FlipBit(PathOf(live[i]), at, 3).ok());
      const auto read = host.Read();
      ASSERT_TRUE(read.ok()) << i << " at " << at << ": " << read.status();
      EXPECT_TRUE(read->lost_frames.contains(a.group())) << i << " at " << at;
      EXPECT_EQ(read->last_commit, contents->last_commit);
      uint64_t visited = 0;
      ASSERT_TRUE(ReplayJournal(host.disk, "journal", *read, [&](const JournalFrame&) {
                    ++visited;
                    return absl::OkStatus();
                  }).ok());
      EXPECT_LT(visited, frames);
      ASSERT_TRUE(host.disk.FlipBit(PathOf(live[i]), at, 3).ok());
    }
    ASSERT_TRUE(host.disk.Rename(PathOf(live[i]), "aside").ok());
    EXPECT_EQ(ReasonOf(host.Read().status()), Reason::DATA_LOSS) << i;
    ASSERT_TRUE(host.disk.Rename("aside", PathOf(live[i])).ok());
  }
}

// What a group lost in a commit before the newest checkpoint lies in synced segments.
TEST(JournalRecovery, ALaterCheckpointCoversALostCommit) {
  JournalHost host(24, kTiny);
  ASSERT_TRUE(host.Start().ok());
  GroupScript a(kA, FileNumber{100}), b(kB, FileNumber{101});
  const auto submit = [&](JournalFrame frame) {
    host.Submit(std::move(frame));
    ASSERT_TRUE(host.Settle());
  };
  submit(a.Create());
  submit(b.Create());
  submit(b.Append(1, 3000));
  host.journal->NoteDurableInSegments(kB, b.last_frame(), b.End());
  for (int i = 0; i < 20; ++i) submit(a.Append(1, 9000));  // pins the first file
  host.Kill();
  const auto whole = host.Read();
  ASSERT_TRUE(whole.ok()) << whole.status();
  const auto& live = whole->checkpoint.live_files;
  ASSERT_GE(live.size(), 2u);
  size_t of_b = 0;
  for (const auto& [sequence, extent] : Extents(host, live.front())) {
    const uint64_t at = extent.first + 200;  // within the frame
    for (unsigned bit = 0; bit < 8; ++bit)
      ASSERT_TRUE(host.disk.FlipBit(PathOf(live.front()), at, bit).ok());
    const auto read = host.Read();
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->last_commit, whole->last_commit);
    ASSERT_EQ(read->skipped.size(), 1u) << "commit " << sequence;
    EXPECT_TRUE(read->skipped[0].in_checkpoint);
    const GroupId group = read->skipped[0].groups.at(0);
    EXPECT_EQ(read->lost_frames.contains(group), group == kA) << "commit " << sequence;
    EXPECT_EQ(read->replicas.Find(group)->suspect, group == kA) << "commit " << sequence;
    // Bytes of before the gap could overwrite what is synced.
    FrameSequence last;
    ASSERT_TRUE(ReplayJournal(host.disk, "journal", *read, [&](const JournalFrame& frame) {
                  if (frame.group == group && last == FrameSequence{}) last = frame.sequence;
                  return absl::OkStatus();
                }).ok());
    of_b += group == kB ? 1 : 0;
    if (of_b == 2 && group == kB) {
      EXPECT_EQ(last, FrameSequence{}) << "both frames lie before it";
    }
    for (unsigned bit = 0; bit < 8; ++bit)
      ASSERT_TRUE(host.disk.FlipBit(PathOf(live.front()), at, bit).ok());
  }
  EXPECT_EQ(of_b, 2u);
}

TEST(JournalRecovery, TornRollIsIgnoredAndItsGenerationNotUsedAgain) {
  JournalHost host(23, kTiny);
  ASSERT_TRUE(host.Start().ok());
  GroupScript a(GroupId{65536}, FileNumber{100});
  host.Submit(a.Create());
  ASSERT_TRUE(host.Settle());
  ASSERT_TRUE(host.Close().ok());
  host.Kill();
  const auto closed = host.Read();
  const JournalFileRef newest = closed->checkpoint.live_files.back();
  // The closing checkpoint's file has no commit: without its mark, damage in its head is like a
  // torn roll. With it, the head was once durable.
  ASSERT_TRUE(host.disk.FlipBit(PathOf(newest), 4100, 1).ok());
  EXPECT_EQ(ReasonOf(host.Read().status()), Reason::DATA_LOSS);
  ASSERT_TRUE(host.disk
                  .Corrupt(JoinPath("journal", kJournalMarkName),
                           JournalMarkPosition(newest.generation),
                           std::string(limits::kBlockBytes, '\0'))
                  .ok());
  const auto read = host.Read();
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(SameReplicas(read->replicas, closed->replicas));
  EXPECT_EQ(read->notes.size(), 1u);
  EXPECT_GT(read->checkpoint.next_generation, newest.generation);
}

TEST_F(JournalRecoveryTest, AMissingNewestFileIsNoShorterJournal) {
  Fill(/*seal=*/true);
  host_.Kill();
  ASSERT_TRUE(host_.Start().ok());  // a second file, with a checkpoint of its own
  GroupScript c(GroupId{65538}, FileNumber{103});
  host_.Submit(c.Create());
  ASSERT_TRUE(host_.Settle());
  host_.Kill();
  const auto whole = host_.Read();
  ASSERT_TRUE(whole.ok()) << whole.status();
  ASSERT_TRUE(host_.disk.RemoveFile(PathOf(whole->checkpoint.live_files.back())).ok());
  const auto read = host_.Read();
  EXPECT_EQ(ReasonOf(read.status()), Reason::DATA_LOSS) << read.status();
  EXPECT_NE(MessageOf(read.status()).find("is missing"), std::string::npos) << read.status();
}

TEST_F(JournalRecoveryTest, ACutNewestFileIsNoShorterJournal) {
  Fill(/*seal=*/true);
  host_.Kill();
  const auto whole = host_.Read();
  ASSERT_TRUE(whole.ok()) << whole.status();
  const std::string path = PathOf(whole->checkpoint.live_files.back());
  const uint64_t first = Extents(host_, whole->checkpoint.live_files.back()).begin()->second.first;
  ASSERT_TRUE(host_.disk.TruncateDurable(path, first).ok());
  const auto read = host_.Read();
  EXPECT_EQ(ReasonOf(read.status()), Reason::DATA_LOSS) << read.status();
  EXPECT_NE(MessageOf(read.status()).find("is cut"), std::string::npos) << read.status();
}

TEST_F(JournalRecoveryTest, NoJournalFileIsNoNewDirectory) {
  Fill(/*seal=*/false);
  host_.Kill();
  const auto whole = host_.Read();
  ASSERT_TRUE(whole.ok()) << whole.status();
  for (const JournalFileRef& ref : whole->checkpoint.live_files)
    ASSERT_TRUE(host_.disk.RemoveFile(PathOf(ref)).ok());
  EXPECT_EQ(ReasonOf(host_.Read().status()), Reason::DATA_LOSS);
}

TEST_F(JournalRecoveryTest, ADamagedMarkAccusesNobody) {
  Fill(/*seal=*/true);
  host_.Kill();
  const std::string path = JoinPath("journal", kJournalMarkName);
  ASSERT_TRUE(host_.disk.Corrupt(path, 0, std::string(kJournalMarkBytes, '\x5a')).ok());
  EXPECT_TRUE(host_.Read().ok());
  ASSERT_TRUE(host_.disk.RemoveFile(path).ok());
  EXPECT_TRUE(host_.Read().ok());
}

TEST(JournalMark, TheNewerValidSlotCounts) {
  const JournalMark older{{FileNumber{3}, Generation{6}}, 64 << 20};
  const JournalMark newer{{FileNumber{5}, Generation{7}}, 128 << 20};
  EXPECT_EQ(JournalMarkPosition(Generation{6}), 0u);
  EXPECT_EQ(JournalMarkPosition(Generation{7}), limits::kBlockBytes);
  std::string file = EncodeJournalMark(older) + EncodeJournalMark(newer);
  EXPECT_EQ(DecodeJournalMark(file), newer);
  file[limits::kBlockBytes + 20] ^= 1;  // torn
  EXPECT_EQ(DecodeJournalMark(file), older);
  file[20] ^= 1;
  EXPECT_EQ(DecodeJournalMark(file), std::nullopt);
  for (const size_t size : {size_t{0}, size_t{1}, limits::kBlockBytes - 1})
    EXPECT_EQ(DecodeJournalMark(EncodeJournalMark(older).substr(0, size)), std::nullopt);
}

}  // namespace
}  // namespace varve::storage
