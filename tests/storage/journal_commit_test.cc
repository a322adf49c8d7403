#include "storage/format/journal_commit.h"

#include <gtest/gtest.h>

#include "common/error.h"
#include "storage/format/journal_frame.h"
#include "storage/format/replica_record.h"
#include "tests/storage/journal_script.h"

namespace varve::storage {
namespace {

constexpr Generation kGeneration{6};

std::string Commit(const std::vector<JournalFrame>& frames, std::vector<GroupFrame> groups,
                   const std::vector<GroupFrame>& preceding) {
  std::string body;
  for (const JournalFrame& frame : frames) {
    FrameImage image = FrameImage::Of(frame);
    image.Seal(GenerationSeed(kGeneration));
    std::vector<std::string_view> pieces;
    image.AppendPieces(&pieces);
    for (const std::string_view piece : pieces) body.append(piece);
  }
  CommitHeader header;
  header.generation = kGeneration;
  header.sequence = CommitSequence{12};
  header.durable_through = CommitSequence{11};
  header.frames = static_cast<uint32_t>(frames.size());
  const std::string head = EncodeCommitHeader(&header, groups, preceding, body.size());
  return head + body + EncodeCommitEnd(header, groups, body.size());
}

std::string Sample() {
  GroupScript a(GroupId{65536}, FileNumber{1}), b(GroupId{65537}, FileNumber{2});
  return Commit({a.Create(), b.Create(), a.Append(2, 700)},
                {{a.group(), FrameSequence{2}}, {b.group(), FrameSequence{1}}},
                {{GroupId{9}, FrameSequence{77}}});
}

absl::StatusOr<JournalCommit> Read(const std::string& bytes) {
  VARVE_ASSIGN_OR_RETURN(const CommitHeader header, DecodeCommitHeader(bytes, kGeneration));
  if (header.bytes != bytes.size()) return MakeError(Reason::DATA_LOSS, "another length");
  VARVE_RETURN_IF_ERROR(VerifyCommit(bytes, header));
  return DecodeCommit(SharedBytes::Copy(bytes), header);
}

TEST(JournalCommit, ReadsBackWhatWasWritten) {
  const std::string bytes = Sample();
  ASSERT_EQ(bytes.size() % 4096, 0u);
  const auto commit = Read(bytes);
  ASSERT_TRUE(commit.ok()) << commit.status();
  EXPECT_EQ(commit->header.sequence, CommitSequence{12});
  EXPECT_EQ(commit->header.durable_through, CommitSequence{11});
  ASSERT_EQ(commit->frames.size(), 3u);
  EXPECT_EQ(commit->frames[2].sequence, FrameSequence{2});
  ASSERT_EQ(commit->preceding.size(), 1u);
  EXPECT_EQ(commit->preceding[0].last, FrameSequence{77});
  const auto tail = DecodeCommitTail(bytes, kGeneration);
  ASSERT_TRUE(tail.ok());
  EXPECT_EQ(tail->sequence, CommitSequence{12});
}

TEST(JournalCommit, SealIsOneBlock) {
  const std::string bytes = Commit({}, {}, {{GroupId{9}, FrameSequence{77}}});
  EXPECT_EQ(bytes.size(), 4096u);
  EXPECT_TRUE(Read(bytes).ok());
}

TEST(JournalCommit, OtherGenerationDoesNotValidate) {
  EXPECT_FALSE(DecodeCommitHeader(Sample(), Generation{7}).ok());
  EXPECT_FALSE(DecodeCommitTail(Sample(), Generation{7}).ok());
  Generation found;
  EXPECT_TRUE(IsCommitOfAnyGeneration(Sample(), &found));
  EXPECT_EQ(found, kGeneration);
  // A generation that is merely written over the old one takes no checksum along.
  std::string moved = Sample();
  moved[8] = 7;
  EXPECT_FALSE(IsCommitOfAnyGeneration(moved, &found));
}

TEST(JournalCommit, AnyFlippedBitFailsUnlessItIsPadding) {
  const std::string good = Sample();
  uint64_t harmless = 0;
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
    if (!Read(bad).ok()) continue;
    ++harmless;
    EXPECT_EQ(good[at], 0) << "position " << at << " is covered by no checksum";
  }
  EXPECT_LT(harmless, 4096u);
}

TEST(JournalCommit, ListOfGroupsMustBeThatOfTheFrames) {
  GroupScript a(GroupId{65536}, FileNumber{1});
  const std::string wrong = Commit({a.Create()}, {{a.group(), FrameSequence{2}}}, {});
  const auto header = DecodeCommitHeader(wrong, kGeneration);
  ASSERT_TRUE(header.ok());
  EXPECT_TRUE(VerifyCommit(wrong, *header).ok());
  EXPECT_EQ(ReasonOf(DecodeCommit(SharedBytes::Copy(wrong), *header).status()), Reason::DATA_LOSS);
}

}  // namespace
}  // namespace varve::storage
