#include "storage/format/journal_frame.h"

#include <gtest/gtest.h>

#include "common/error.h"
#include "common/random.h"
#include "storage/format/replica_record.h"
#include "tests/storage/journal_script.h"

namespace varve::storage {
namespace {

std::string Join(const FrameImage& image) {
  std::vector<std::string_view> pieces;
  image.AppendPieces(&pieces);
  std::string bytes;
  for (const std::string_view piece : pieces) bytes.append(piece);
  return bytes;
}

std::string Encode(const JournalFrame& frame, Generation generation) {
  FrameImage image = FrameImage::Of(frame);
  image.Seal(GenerationSeed(generation));
  EXPECT_EQ(Join(image).size(), image.bytes());
  return Join(image);
}

// One of each step; what the steps mean together is not the codec's business.
JournalFrame Sample() {
  JournalFrame frame;
  frame.group = GroupId{65540};
  frame.replica_epoch = ReplicaEpoch{3};
  frame.sequence = FrameSequence{1};
  frame.scalars.hard_state = {Term{8}, {NodeId{2}, ReplicaEpoch{5}}};
  frame.scalars.commit_index = Index{9};
  frame.scalars.start = {Index{4}, Offset{40}, Term{2}};
  frame.scalars.end = {Index{12}, Term{7}, Offset{120}, WallTime{-1}};
  frame.scalars.consistent_from = Index{6};
  Configurations configurations;
  configurations.committed = {Index{4}, {}};
  configurations.committed.configuration.voters = {{NodeId{1}, ReplicaEpoch{1}}};
  configurations.uncommitted = configurations.committed;
  configurations.uncommitted->configuration.learners = {{NodeId{2}, ReplicaEpoch{1}}};
  frame.steps = {
      CreateReplicaStep{},
      TruncateStep{Index{7}, FileNumber{3}, 8000},
      SegmentSetStep{{FileNumber{1}, FileNumber{2}}, {{FileNumber{3}, Offset{1}, Index{2}, 9999}}},
      AppendStep{FileNumber{3},
                 8000,
                 {TestEntry(frame.group, Index{7}, Term{8}, 100),
                  TestEntry(frame.group, Index{8}, Term{8}, 5000)}},
      ConfigurationsStep{configurations},
      RemoveReplicaStep{}};
  return frame;
}

TEST(JournalFrame, ReadsBackEveryStep) {
  const JournalFrame frame = Sample();
  const SharedBytes bytes = SharedBytes::Take(Encode(frame, Generation{4}));
  const auto verified = VerifyFrame(bytes.view(), GenerationSeed(Generation{4}));
  ASSERT_TRUE(verified.ok()) << verified.status();
  ASSERT_EQ(*verified, bytes.size());
  const auto read = DecodeFrame(bytes);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->group, frame.group);
  EXPECT_EQ(read->replica_epoch, frame.replica_epoch);
  EXPECT_EQ(read->sequence, frame.sequence);
  EXPECT_EQ(read->scalars, frame.scalars);
  ASSERT_EQ(read->steps.size(), frame.steps.size());
  for (size_t i = 0; i < frame.steps.size(); ++i)
    EXPECT_EQ(read->steps[i].index(), frame.steps[i].index()) << i;
  const auto& append = std::get<AppendStep>(read->steps[3]);
  ASSERT_EQ(append.entries.size(), 2u);
  EXPECT_EQ(append.position, 8000u);
  EXPECT_TRUE(VerifyEntryFrame(append.entries[1].frame.view()).ok());
  const auto& set = std::get<SegmentSetStep>(read->steps[2]);
  EXPECT_EQ(set.removed.back(), FileNumber{2});
  EXPECT_EQ(set.put, std::get<SegmentSetStep>(frame.steps[2]).put);
  EXPECT_EQ(std::get<ConfigurationsStep>(read->steps[4]).configurations,
            std::get<ConfigurationsStep>(frame.steps[4]).configurations);
  EXPECT_EQ(std::get<TruncateStep>(read->steps[1]).from, Index{7});
  // Equal frames have equal bytes.
  EXPECT_EQ(Encode(*read, Generation{4}), bytes.view());
}

TEST(JournalFrame, PayloadsAreNotCopied) {
  const JournalFrame frame = Sample();
  const FrameImage image = FrameImage::Of(frame);
  std::vector<std::string_view> pieces;
  image.AppendPieces(&pieces);
  const auto& entry = std::get<AppendStep>(frame.steps[3]).entries[1];
  EXPECT_TRUE(std::any_of(pieces.begin(), pieces.end(), [&](std::string_view piece) {
    return piece.data() == entry.frame.view().data();
  }));
}

TEST(JournalFrame, AnyFlippedBitOrOtherGenerationFails) {
  const std::string good = Encode(Sample(), Generation{4});
  EXPECT_FALSE(VerifyFrame(good, GenerationSeed(Generation{5})).ok());
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
    EXPECT_FALSE(VerifyFrame(bad, GenerationSeed(Generation{4})).ok()) << at;
  }
  for (size_t length = 0; length < good.size(); ++length)
    EXPECT_FALSE(
        VerifyFrame(std::string_view(good).substr(0, length), GenerationSeed(Generation{4})).ok());
}

// The checksum of hostile bytes may be right: decoding stays within them and says what is wrong.
TEST(JournalFrame, HostileContentsAreRefusedOrRead) {
  const std::string good = Encode(Sample(), Generation{4});
  const auto random = SeededRandom(20260101);
  uint64_t refused = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string bad = good;
    for (uint64_t n = random->Below(4) + 1; n > 0; --n)
      bad[random->Below(400)] = static_cast<char>(random->Next());
    if (random->Below(3) == 0) bad.resize(random->Below(bad.size()));
    const auto frame = DecodeFrame(SharedBytes::Take(bad));
    if (frame.ok()) continue;
    ++refused;
    ASSERT_EQ(ReasonOf(frame.status()), Reason::DATA_LOSS);
  }
  EXPECT_GT(refused, 1000u);
}

}  // namespace
}  // namespace varve::storage
