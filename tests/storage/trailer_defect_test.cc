// Why a commit whose trailer nobody looks at is never seen by the fault campaign: every byte that
// recovery takes from a commit has another checksum. docs/testing.md, "The storage fault campaign".
#include <gtest/gtest.h>

#include "common/limits.h"
#include "storage/defect.h"
#include "storage/format/journal_commit.h"
#include "storage/format/journal_frame.h"
#include "storage/format/replica_record.h"
#include "tests/storage/fault_campaign.h"

namespace varve::storage {
namespace {

constexpr Generation kGeneration{7};

struct Encoded {
  std::string bytes;
  size_t frames_end = 0;
};

Encoded SomeCommit(uint32_t frames) {
  Encoded out;
  std::vector<GroupFrame> groups;
  std::string body;
  for (uint32_t i = 0; i < frames; ++i) {
    JournalFrame frame;
    frame.group = GroupId{100 + i};
    frame.sequence = FrameSequence{10 + i};
    frame.replica_epoch = ReplicaEpoch{1};
    frame.scalars.commit_index = Index{5};
    groups.push_back({frame.group, frame.sequence});
    FrameImage image = FrameImage::Of(frame);
    image.Seal(GenerationSeed(kGeneration));
    std::vector<std::string_view> pieces;
    image.AppendPieces(&pieces);
    for (const std::string_view piece : pieces) body.append(piece);
  }
  CommitHeader header;
  header.generation = kGeneration;
  header.sequence = CommitSequence{3};
  header.durable_through = CommitSequence{2};
  header.frames = frames;
  out.bytes = EncodeCommitHeader(&header, groups, {}, body.size()) + body;
  out.frames_end = out.bytes.size();
  out.bytes += EncodeCommitEnd(header, groups, body.size());
  return out;
}

bool Accepted(std::string bytes) {
  const auto header = DecodeCommitHeader(bytes, kGeneration);
  if (!header.ok() || header->bytes != bytes.size()) return false;
  if (!VerifyCommit(bytes, *header).ok()) return false;
  return DecodeCommit(SharedBytes::Take(std::move(bytes)), *header).ok();
}

class TrailerIgnored : public testing::Test {
 protected:
  void SetUp() override { planted_defect = Defect::kTrailerIgnored; }
  void TearDown() override { planted_defect = Defect::kNone; }
};

// Whatever is accepted decodes to what was written: no bit before the end of the frames differs.
TEST_F(TrailerIgnored, NoBitOfHeaderListsOrFramesMayFlip) {
  for (uint32_t frames = 0; frames <= 3; ++frames) {
    const Encoded commit = SomeCommit(frames);
    ASSERT_TRUE(Accepted(commit.bytes));
    for (size_t at = 0; at < commit.bytes.size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string flipped = commit.bytes;
        flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
        ASSERT_EQ(Accepted(std::move(flipped)), at >= commit.frames_end)
            << frames << " frames, byte " << at << ", bit " << bit;
      }
    }
  }
}

// The same for a torn write: what any sector held before shows only behind the frames.
TEST_F(TrailerIgnored, NoSectorOfTheFramesMayBeLost) {
  constexpr size_t kSector = 512;
  const Encoded commit = SomeCommit(8);
  ASSERT_GT(commit.frames_end, 2 * kSector);
  for (size_t at = 0; at < commit.bytes.size(); at += kSector) {
    for (const char before : {'\0', 'x'}) {
      std::string torn = commit.bytes;
      torn.replace(at, kSector, kSector, before);
      EXPECT_EQ(Accepted(std::move(torn)), at >= commit.frames_end) << "sector at " << at;
    }
  }
}

// When the campaign does see it, the rule has become needed, and the list of defects is to say so.
TEST_F(TrailerIgnored, IsNotSeenByTheCampaign) {
  FaultCounts counts;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    EXPECT_EQ(RunCrash(seed, &counts), "") << seed;
    EXPECT_EQ(RunDamage(seed, &counts), "") << seed;
    EXPECT_EQ(RunTargetedDamage(seed, &counts), "") << seed;
    EXPECT_EQ(RunTornReuse(seed, &counts), "") << seed;
  }
}

}  // namespace
}  // namespace varve::storage
