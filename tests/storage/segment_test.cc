#include "storage/segment.h"

#include <gtest/gtest.h>

#include "common/error.h"
#include "common/limits.h"
#include "common/meta_entry.h"
#include "common/record_batch_builder.h"
#include "common/sim/sim_file_system.h"
#include "storage/segment_names.h"

namespace varve::storage {
namespace {

constexpr GroupId kGroup{70'000};
constexpr SegmentRef kRef{FileNumber{9}, Offset{100}, Index{5}, 0};

// A segment start, then 60 entries of 9 to 11 KiB, every seventh without records: about ten rows.
class SegmentTest : public ::testing::Test {
 protected:
  void SetUp() override {
    context_.identity.node = NodeId{1};
    ASSERT_TRUE(disk.CreateDirectory("g").ok());
    segment = Make();
    ASSERT_TRUE(segment->Create().ok());
    SegmentStart start;
    start.config.voters = {{NodeId{1}, ReplicaEpoch{1}}};
    Append(FrameBuffer::Copy(EncodeMeta(start)).Seal(Next(EntryKind::kMeta)));
    for (int i = 1; i <= 60; ++i)
      Append(i % 7 == 0 ? FrameBuffer::Copy("").Seal(Next(EntryKind::kBarrier)) : Data(i));
    ASSERT_TRUE(segment->SaveIndex(segment->TakeUnsavedRows(end)).ok());
    ASSERT_TRUE(segment->SyncData().ok());
  }

  std::unique_ptr<Segment> Make() { return std::make_unique<Segment>(context_, "g", kGroup, kRef); }
  EntryHeader Next(EntryKind kind) const {
    EntryHeader header;
    header.kind = kind;
    header.group = kGroup;
    header.first_index = header.last_index = log_end.last_index + 1;
    header.term = Term{2};
    header.base_offset = log_end.next_offset;
    header.last_offset = header.base_offset - 1;
    header.append_time = log_end.append_time + 10;
    return header;
  }
  Entry Data(int i) const {
    RecordBatchBuilder builder;
    const std::string value(9000 + (i * 977) % 2000, 'v');
    for (int record = 0; record <= i % 3; ++record)
      EXPECT_TRUE(builder.Add(WallTime{5}, "key", record == 0 ? value : "").ok());
    EntryHeader header = Next(EntryKind::kData);
    header.last_offset = header.base_offset + i % 3;
    return FrameBuffer::Copy(*builder.Build()).Seal(header);
  }
  void Append(const Entry& entry) {
    segment->Note(entry.header, MaxRecordTimestamp(entry.header, entry.frame.view()), end);
    ASSERT_TRUE(segment->Write(end, {entry}).ok());
    positions.push_back(end);
    entries.push_back(entry);
    end += entry.header.frame_bytes();
    log_end = {entry.header.last_index, entry.header.term, entry.header.next_offset(),
               entry.header.append_time};
  }
  // Every index and offset is found, from a row near it.
  void ExpectFindsAll(Segment& in) {
    for (size_t i = 0; i < entries.size(); ++i) {
      const EntryHeader& header = entries[i].header;
      const WalkStart start = in.Before(header.first_index);
      EXPECT_LE(start.position, positions[i]);
      EXPECT_LE(positions[i] - start.position, limits::kIndexIntervalBytes + 11'500);
      ExpectReads(in, start, header.first_index, std::nullopt, i);
      if (header.zero_width()) continue;
      for (Offset offset = header.base_offset; offset <= header.last_offset; offset = offset + 1)
        ExpectReads(in, in.Before(offset), kRef.first_index, offset, i);
    }
  }
  void ExpectReads(Segment& in, WalkStart start, Index from, std::optional<Offset> skip_to,
                   size_t expected) {
    const auto read = in.Read(start, end, from, log_end.last_index, skip_to, 1);
    ASSERT_TRUE(read.ok()) << read.status();
    ASSERT_EQ(read->size(), 1u);
    EXPECT_EQ((*read)[0].frame.view(), entries[expected].frame.view());
  }
  static void ExpectDataLoss(const absl::Status& status, std::string_view part) {
    EXPECT_EQ(ReasonOf(status), Reason::DATA_LOSS) << status;
    EXPECT_NE(MessageOf(status).find(part), std::string_view::npos) << status;
  }

  SimFileSystem disk;
  SegmentContext context_{disk, std::make_shared<FilePool>(disk, 4), {}};
  const std::string log_path = JoinPath("g", SegmentFileName(kRef.base_offset, kRef.file));
  const std::string index_path = JoinPath("g", IndexFileName(kRef.base_offset, kRef.file));
  std::unique_ptr<Segment> segment;
  std::vector<Entry> entries;
  std::vector<uint64_t> positions;
  uint64_t end = kFileHeaderBytes;
  LogEnd log_end{kRef.first_index - 1, Term{}, kRef.base_offset, WallTime{1000}};
};

TEST_F(SegmentTest, FindsEveryEntryNearARowOfItsIndex) { ExpectFindsAll(*segment); }

TEST_F(SegmentTest, LoadedAgainFindsTheSame) {
  for (const bool closed : {true, false}) {
    const auto again = Make();
    if (closed) {
      ASSERT_TRUE(again->Load(end).ok());
    } else {
      const auto found = again->LoadUpTo(log_end);
      ASSERT_TRUE(found.ok()) << found.status();
      EXPECT_EQ(*found, end);
    }
    ExpectFindsAll(*again);
    EXPECT_EQ(again->max_append_time(), log_end.append_time);
  }
}

TEST_F(SegmentTest, DoesWithoutItsIndexFile) {
  ASSERT_TRUE(disk.RemoveFile(index_path).ok());
  const auto again = Make();
  ASSERT_TRUE(again->Load(end).ok());
  ExpectFindsAll(*again);
  // And writes it again, as it was.
  ASSERT_TRUE(again->SaveIndex(again->TakeUnsavedRows(end)).ok());
  const auto third = Make();
  ASSERT_TRUE(third->Load(end).ok());
  EXPECT_EQ(third->TakeUnsavedRows(end).count, 0u);
  ExpectFindsAll(*third);
}

TEST_F(SegmentTest, DoesWithAnIndexFileThatIsDamagedAnywhere) {
  const uint64_t size = disk.Stat(index_path)->size;
  ASSERT_GT(size, kFileHeaderBytes + 5 * kIndexRowBytes);
  for (uint64_t at = 0; at < size; at += at < kFileHeaderBytes ? 512 : 7) {
    const auto before = ReadWholeFile(disk, index_path, size);
    ASSERT_TRUE(before.ok());
    ASSERT_TRUE(disk.FlipBit(index_path, at, 3).ok());
    const auto again = Make();
    ASSERT_TRUE(again->Load(end).ok()) << at;
    ExpectFindsAll(*again);
    if (HasFailure()) FAIL() << "damage at " << at;
    ASSERT_TRUE(again->SaveIndex(again->TakeUnsavedRows(end)).ok());
    // Written again as it was, but for the reserved bytes, which nobody looks at.
    if (at >= kFileHeaderBytes && (at - kFileHeaderBytes) % kIndexRowBytes >= 44) {
      ASSERT_TRUE(disk.FlipBit(index_path, at, 3).ok());
    }
    ASSERT_TRUE(*ReadWholeFile(disk, index_path, size) == *before) << at;
  }
}

TEST_F(SegmentTest, SearchesOfTimesBeginBeforeThem) {
  for (size_t i = 0; i < entries.size(); ++i) {
    const WallTime time = entries[i].header.append_time;
    for (const WallTime sought : {time - 5, time}) {
      const WalkStart start = segment->BeforeTime(sought);
      EXPECT_LE(start.position, positions[i]);
      EXPECT_LE(positions[i] - start.position, limits::kIndexIntervalBytes + 11'500);
    }
  }
}

TEST_F(SegmentTest, ReadsRunsWithinTheirBounds) {
  for (const size_t max_bytes : {size_t{1}, size_t{25'000}, size_t{1} << 20}) {
    for (const Index through : {Index{7}, Index{30}, log_end.last_index}) {
      const auto read =
          segment->Read(segment->Before(Index{6}), end, Index{6}, through, std::nullopt, max_bytes);
      ASSERT_TRUE(read.ok()) << read.status();
      ASSERT_FALSE(read->empty());
      EXPECT_EQ(read->front().header.first_index, Index{6});
      EXPECT_LE(read->back().header.last_index, through);
      size_t bytes = 0;
      for (size_t i = 0; i < read->size(); ++i) {
        EXPECT_EQ((*read)[i].frame.view(), entries[i + 1].frame.view());
        bytes += (*read)[i].frame.size();
      }
      EXPECT_TRUE(bytes <= max_bytes || read->size() == 1);
      const bool all = read->back().header.last_index == through;
      EXPECT_TRUE(all || bytes + entries[read->size() + 1].frame.size() > max_bytes);
    }
  }
}

TEST_F(SegmentTest, ATruncationTakesRowsAndBytesWithIt) {
  const uint64_t cut = positions[40];
  segment->Forget(cut);
  ASSERT_TRUE(segment->Truncate(cut).ok());
  entries.resize(40);
  positions.resize(40);
  const Entry& last = entries.back();
  log_end = {last.header.last_index, last.header.term, last.header.next_offset(),
             last.header.append_time};
  end = cut;
  for (int i = 0; i < 30; ++i) Append(Data(i + 1));
  ExpectFindsAll(*segment);
  ASSERT_TRUE(segment->SaveIndex(segment->TakeUnsavedRows(end)).ok());
  const auto again = Make();
  ASSERT_TRUE(again->Load(end).ok());
  ExpectFindsAll(*again);
}

// Rows that were taken before a truncation must not reach the file behind it.
TEST_F(SegmentTest, RowsFromBeforeATruncationAreNotSaved) {
  ASSERT_TRUE(disk.RemoveFile(index_path).ok());
  const auto again = Make();
  ASSERT_TRUE(again->Load(end).ok());
  const UnsavedRows rows = again->TakeUnsavedRows(end);
  EXPECT_GT(rows.count, 3u);
  again->Forget(positions[40]);
  ASSERT_TRUE(again->Truncate(positions[40]).ok());
  ASSERT_TRUE(again->SaveIndex(rows).ok());
  EXPECT_TRUE(absl::IsNotFound(disk.Stat(index_path).status()));
}

TEST_F(SegmentTest, AnEndThatIsNoFramesEndIsDamage) {
  ExpectDataLoss(Make()->Load(positions[50] + 1), log_path);
  ExpectDataLoss(Make()->Load(end + 1), log_path);
  LogEnd beyond = log_end;
  beyond.last_index = beyond.last_index + 1;
  ExpectDataLoss(Make()->LoadUpTo(beyond).status(), "is missing");
  LogEnd other = log_end;
  other.last_term = Term{3};
  ExpectDataLoss(Make()->LoadUpTo(other).status(), log_path);
}

TEST_F(SegmentTest, DamageOfAPayloadIsFoundByWhoReadsIt) {
  ASSERT_TRUE(disk.FlipBit(log_path, positions[30] + 5000, 1).ok());
  ASSERT_TRUE(Make()->Load(end).ok()) << "loading reads headers";
  const Index damaged = entries[30].header.first_index;
  const auto read = segment->Read(segment->Before(damaged), end, damaged, damaged, std::nullopt, 1);
  ExpectDataLoss(read.status(), StrCat("position ", positions[30]));
  const Index next = damaged + 1;
  EXPECT_TRUE(segment->Read(segment->Before(next), end, next, next, std::nullopt, 1).ok());
}

TEST_F(SegmentTest, ATornTailIsDamageWhereTheLogShouldGoOn) {
  ASSERT_TRUE(disk.TruncateDurable(log_path, positions[59] + 100).ok());
  ExpectDataLoss(Make()->LoadUpTo(log_end).status(), log_path);
  ExpectDataLoss(Make()->Load(end), log_path);
}

TEST_F(SegmentTest, AnotherSegmentsHeaderIsRefused) {
  ASSERT_TRUE(disk.FlipBit(log_path, 64, 0).ok());
  ExpectDataLoss(Make()->Load(end), log_path);
  ASSERT_TRUE(disk.FlipBit(log_path, 64, 0).ok());
  ASSERT_TRUE(Make()->Load(end).ok());
  SegmentContext other = context_;
  other.identity.cluster.bytes[3] = 1;
  EXPECT_EQ(ReasonOf(Segment(other, "g", kGroup, kRef).Load(end)), Reason::FOREIGN_DIRECTORY);
  ExpectDataLoss(Segment(context_, "g", kGroup + 1, kRef).Load(end), "another segment");
}

// docs/formats.md, "Index file": rows tell record timestamps and append times apart, whether they
// were noted while appending or rebuilt from the frames.
TEST_F(SegmentTest, RowsHoldTheLargestRecordTimestamp) {
  const auto check = [&](Segment& in) {
    const UnsavedRows rows = in.TakeUnsavedRows(end);
    ASSERT_GT(rows.count, 3u);
    const auto row = [&](size_t i) {
      return DecodeIndexRow(std::string_view(rows.bytes).substr(i * kIndexRowBytes, kIndexRowBytes),
                            kRef.file);
    };
    EXPECT_EQ(row(0)->max_record_timestamp, WallTime(-1));
    EXPECT_EQ(row(rows.count - 1)->max_record_timestamp, WallTime(5));
    EXPECT_GT(row(rows.count - 1)->max_append_time, WallTime(5));
  };
  segment->Forget(end);  // saved rows count as unsaved again
  check(*segment);
  ASSERT_TRUE(disk.RemoveFile("g/" + IndexFileName(kRef.base_offset, kRef.file)).ok());
  const auto rebuilt = Make();
  ASSERT_TRUE(rebuilt->Load(end).ok());
  check(*rebuilt);
}

}  // namespace
}  // namespace varve::storage
