// Marks of peers in memory, in bytes and in the journal.
#include "storage/peer_marks.h"

#include <gtest/gtest.h>

#include <map>

#include "common/error.h"
#include "common/random.h"
#include "storage/format/journal_frame.h"
#include "storage/format/replica_record.h"
#include "tests/storage/journal_script.h"

namespace varve::storage {
namespace {

DirectoryId Directory(uint8_t number) {
  DirectoryId out;
  out.bytes.fill(number);
  return out;
}

PeerMark Mark(uint32_t node, uint64_t epoch, uint64_t durable, uint8_t directory = 1) {
  return {NodeId{node}, Directory(directory), epoch, 1000 + epoch, CommitSequence{durable}};
}

// --- In memory

TEST(PeerMarks, NeverFall) {
  PeerMarks marks;
  EXPECT_TRUE(marks.Note(Mark(2, 4, 17)));
  EXPECT_FALSE(marks.Note(Mark(2, 4, 17)));
  EXPECT_FALSE(marks.Note(Mark(2, 4, 16)));
  EXPECT_FALSE(marks.Note(Mark(2, 3, 99)));
  EXPECT_TRUE(marks.Note(Mark(2, 4, 18)));
  EXPECT_TRUE(marks.Note(Mark(2, 5, 3)));
  EXPECT_EQ(marks.marks(), std::vector<PeerMark>{Mark(2, 5, 3)});
  // Another life with that epoch does not take its place; one that says less is the same.
  PeerMark other = Mark(2, 5, 90);
  other.incarnation = 1;
  EXPECT_FALSE(marks.Note(other));
  other.incarnation = 0;
  EXPECT_TRUE(marks.Note(other));
  EXPECT_EQ(marks.marks(), std::vector<PeerMark>{Mark(2, 5, 90)});
}

TEST(PeerMarks, AreKeptByNodeAndDirectory) {
  PeerMarks marks;
  EXPECT_TRUE(marks.Note(Mark(3, 1, 1)));
  EXPECT_TRUE(marks.Note(Mark(2, 9, 900, 1)));
  EXPECT_TRUE(marks.Note(Mark(2, 1, 1, 2)));  // its disk was wiped
  EXPECT_EQ(*marks.Find(NodeId{2}, Directory(1)), Mark(2, 9, 900, 1));
  EXPECT_EQ(*marks.Find(NodeId{2}, Directory(2)), Mark(2, 1, 1, 2));
  EXPECT_EQ(marks.Find(NodeId{3}, Directory(2)), nullptr);
  // Of many directories the one seen first goes.
  for (uint8_t directory = 3; directory < 6; ++directory)
    EXPECT_TRUE(marks.Note(Mark(2, 1, 1, directory)));
  EXPECT_EQ(marks.Find(NodeId{2}, Directory(1)), nullptr);
  EXPECT_EQ(marks.marks().size(), PeerMarks::kMaxPerNode + 1);
}

TEST(PeerMarks, AreBounded) {
  PeerMarks marks;
  for (uint32_t node = 1; node <= PeerMarks::kMaxMarks; ++node)
    ASSERT_TRUE(marks.Note(Mark(node, 1, 1)));
  EXPECT_FALSE(marks.Note(Mark(5000, 1, 1)));
  EXPECT_FALSE(marks.Note(Mark(7, 1, 1, 2)));
  EXPECT_TRUE(marks.Note(Mark(7, 1, 2)));
  EXPECT_EQ(marks.marks().size(), PeerMarks::kMaxMarks);
}

TEST(PeerMarks, IncompleteOnesAreNotNoted) {
  PeerMarks marks;
  EXPECT_FALSE(marks.Note({}));
  EXPECT_FALSE(marks.Note({NodeId{2}, {}, 4, 1, CommitSequence{1}}));
  EXPECT_FALSE(marks.Note({NodeId{2}, Directory(1), 0, 1, CommitSequence{1}}));
  EXPECT_FALSE(marks.Note({NodeId{}, Directory(1), 4, 1, CommitSequence{1}}));
}

// --- In bytes

std::string Bytes(const std::vector<PeerMark>& marks) {
  std::string bytes;
  ByteWriter out(&bytes);
  PutPeerMarks(marks, &out);
  return bytes;
}

absl::StatusOr<std::vector<PeerMark>> Read(std::string_view bytes) {
  ByteReader in(bytes);
  return GetPeerMarks(&in);
}

TEST(PeerMarksCodec, ReadsBackWhatWasWrittenAndNothingElse) {
  const std::vector<PeerMark> marks = {Mark(2, 4, 17), Mark(2, 1, 1, 2), Mark(9, 1, 3)};
  const std::string bytes = Bytes(marks);
  ASSERT_EQ(bytes.size(), sizeof(uint32_t) + 3 * kPeerMarkBytes);
  EXPECT_EQ(*Read(bytes), marks);
  for (size_t length = 0; length < bytes.size(); ++length)
    EXPECT_EQ(ReasonOf(Read(bytes.substr(0, length)).status()), Reason::DATA_LOSS) << length;
  std::string reserved = bytes;
  reserved[8] = 1;
  const std::vector<std::string> bad = {reserved,
                                        Bytes({Mark(9, 1, 3), Mark(2, 4, 17)}),
                                        Bytes({Mark(2, 4, 17), Mark(2, 5, 18)}),
                                        Bytes({Mark(0, 4, 17)}),
                                        Bytes({Mark(2, 0, 17)}),
                                        Bytes({{NodeId{2}, {}, 4, 1, CommitSequence{1}}}),
                                        Bytes({Mark(2, 1, 1, 1), Mark(2, 1, 1, 2), Mark(2, 1, 1, 3),
                                               Mark(2, 1, 1, 4), Mark(2, 1, 1, 5)}),
                                        std::string(104, '\xff')};
  for (const std::string& one : bad) EXPECT_EQ(ReasonOf(Read(one).status()), Reason::DATA_LOSS);
}

absl::Status DecodeSealed(const JournalFrame& frame) {
  const FrameImage image = FrameImage::Of(frame);
  std::vector<std::string_view> pieces;
  image.AppendPieces(&pieces);
  std::string bytes;
  for (const std::string_view piece : pieces) bytes.append(piece);
  return DecodeFrame(SharedBytes::Take(std::move(bytes))).status();
}

TEST(PeerMarksCodec, FramesOfNoGroupHoldMarksAndNoOthersDo) {
  JournalFrame frame;
  frame.sequence = FrameSequence{1};
  frame.steps = {PeerMarksStep{{Mark(2, 4, 17)}}};
  EXPECT_TRUE(DecodeSealed(frame).ok()) << DecodeSealed(frame);
  frame.group = GroupId{7};
  EXPECT_EQ(ReasonOf(DecodeSealed(frame)), Reason::DATA_LOSS);
  frame.group = kNoGroup;
  frame.steps = {CreateReplicaStep{}};
  EXPECT_EQ(ReasonOf(DecodeSealed(frame)), Reason::DATA_LOSS);
}

// --- In the journal

bool IsDurable(JournalHost& host, const PeerMark& mark) {
  for (const Journal::KnownPeer& known : host.journal->peer_marks())
    if (known.mark == mark) return known.durable;
  return false;
}

std::vector<PeerMark> Found(JournalHost& host) {
  const auto contents = host.Read();
  EXPECT_TRUE(contents.ok()) << contents.status();
  return contents.ok() ? contents->peers.marks() : std::vector<PeerMark>();
}

TEST(JournalMarks, GoWithTheNextFrames) {
  JournalHost host(1);
  ASSERT_TRUE(host.Start().ok());
  GroupScript a(GroupId{65536}, FileNumber{100});
  host.journal->NotePeer(Mark(2, 4, 17));
  EXPECT_FALSE(IsDurable(host, Mark(2, 4, 17)));
  host.Submit(a.Create());
  ASSERT_TRUE(host.Settle());
  EXPECT_EQ(host.journal->stats().commits, 1u);
  EXPECT_TRUE(IsDurable(host, Mark(2, 4, 17)));
  EXPECT_EQ(Found(host), std::vector<PeerMark>{Mark(2, 4, 17)});
  host.scheduler.RunFor(10 * kSecond);
  EXPECT_EQ(host.journal->stats().commits, 1u);
  // And come back: from the frames, and from checkpoints.
  for (int start = 0; start < 2; ++start) {
    ASSERT_TRUE(host.Start().ok());
    EXPECT_TRUE(IsDurable(host, Mark(2, 4, 17)));
  }
}

TEST(JournalMarks, AnIdleJournalWritesThemOnceASecond) {
  JournalHost host(2);
  ASSERT_TRUE(host.Start().ok());
  host.scheduler.RunFor(kSecond);
  const JournalStats before = host.journal->stats();
  const CommitSequence frames = host.journal->durable_frames();
  uint64_t durable = 1;
  for (int i = 0; i < 100; ++i) {  // a busy peer, for ten seconds
    host.journal->NotePeer(Mark(2, 4, ++durable));
    host.journal->NotePeer(Mark(3, 1, durable));
    host.scheduler.RunFor(100 * kMillisecond);
  }
  EXPECT_GE(host.journal->stats().commits, before.commits + 8);
  EXPECT_LE(host.journal->stats().commits, before.commits + 10);
  host.scheduler.RunFor(2 * kSecond);
  EXPECT_TRUE(IsDurable(host, Mark(2, 4, durable)));
  EXPECT_TRUE(IsDurable(host, Mark(3, 1, durable)));
  EXPECT_EQ(host.journal->stats().seals, before.seals);
  EXPECT_EQ(host.journal->durable_frames(), frames);
  EXPECT_GT(host.journal->durable_through(), frames);
  ASSERT_TRUE(host.scheduler.RunUntilIdle());  // no timer is left
  EXPECT_EQ(Found(host), (std::vector<PeerMark>{Mark(2, 4, durable), Mark(3, 1, durable)}));
}

// Its commit vouches for the one before, as a seal does.
TEST(JournalMarks, ACommitOfThemIsASeal) {
  JournalHost host(3, {.seal_after = 3 * kSecond});
  ASSERT_TRUE(host.Start().ok());
  GroupScript a(GroupId{65536}, FileNumber{100});
  host.Submit(a.Create());
  ASSERT_TRUE(host.Settle());
  host.journal->NotePeer(Mark(2, 4, 17));
  ASSERT_TRUE(host.scheduler.RunUntilIdle());
  EXPECT_EQ(host.journal->stats().commits, 2u);
  EXPECT_EQ(host.journal->stats().seals, 0u);
  EXPECT_EQ(host.Read()->durable_through, CommitSequence{1});
}

TEST(JournalMarks, AFullJournalRollsForThem) {
  JournalHost host(4, {.file_bytes = 160 << 10, .max_live_files = 3});
  ASSERT_TRUE(host.Start().ok());
  for (uint64_t i = 1; i < 100; ++i) {
    host.journal->NotePeer(Mark(2, 4, i));
    host.scheduler.RunFor(2 * kSecond);
    ASSERT_TRUE(IsDurable(host, Mark(2, 4, i))) << i;
  }
  EXPECT_GT(host.journal->stats().checkpoints, 2u);
  EXPECT_LE(host.journal->stats().live_files, 2u);  // they pin nothing
  EXPECT_EQ(Found(host), std::vector<PeerMark>{Mark(2, 4, 99)});
}

// Two nodes that tell each other their marks ten times a second: after the last frame both fall
// silent, though each wrote because of the other.
TEST(JournalMarks, TwoIdleNodesFallSilent) {
  JournalHost a(5), b(6);
  ASSERT_TRUE(a.Start().ok());
  ASSERT_TRUE(b.Start().ok());
  GroupScript group(GroupId{65536}, FileNumber{100});
  a.Submit(group.Create());
  const auto own = [](JournalHost& host, uint32_t node) {
    return PeerMark{NodeId{node}, Directory(static_cast<uint8_t>(node)),
                    host.journal->process_epoch(), node, host.journal->durable_frames()};
  };
  const auto talk = [&](int times) {
    for (int i = 0; i < times; ++i) {
      a.journal->NotePeer(own(b, 2));
      b.journal->NotePeer(own(a, 1));
      a.scheduler.RunFor(100 * kMillisecond);
      b.scheduler.RunFor(100 * kMillisecond);
    }
  };
  talk(50);
  const CommitSequence a_then = a.journal->durable_through();
  const CommitSequence b_then = b.journal->durable_through();
  EXPECT_TRUE(IsDurable(a, own(b, 2)));
  EXPECT_TRUE(IsDurable(b, own(a, 1)));
  talk(600);
  EXPECT_EQ(a.journal->durable_through(), a_then);
  EXPECT_EQ(b.journal->durable_through(), b_then);
  a.Submit(group.Append(1, 10));
  talk(50);
  EXPECT_TRUE(IsDurable(b, own(a, 1)));
}

using MarksByNode = std::map<NodeId, PeerMark>;

// Marks with frames and alone, through several files. Returns what was said to be durable.
MarksByNode RunMarks(JournalHost& host) {
  MarksByNode durable;
  if (!host.Start().ok()) return durable;
  GroupScript a(GroupId{65536}, FileNumber{100});
  host.Submit(a.Create());
  for (uint64_t i = 1; i < 40 && !host.disk.dead(); ++i) {
    host.journal->NotePeer(Mark(2, 1 + i / 7, i));
    if (i % 3 == 0) host.journal->NotePeer(Mark(3, 1, i, static_cast<uint8_t>(1 + i / 12)));
    if (i % 2 == 0) {
      host.Submit(a.Append(1, 20'000));
      host.Settle();
    } else {
      host.scheduler.RunFor(1100 * kMillisecond);
    }
    if (i % 4 == 3) host.NoteAllDurable();
    for (const Journal::KnownPeer& known : host.journal->peer_marks())
      if (known.durable) durable[known.mark.node] = known.mark;
  }
  return durable;
}

void ExpectFound(const MarksByNode& durable, const PeerMarks& found) {
  for (const auto& [node, mark] : durable) {
    const PeerMark* peer = found.Find(node, mark.directory);
    ASSERT_NE(peer, nullptr) << "node " << node;
    ASSERT_GE(std::pair(peer->process_epoch, peer->durable),
              std::pair(mark.process_epoch, mark.durable));
  }
}

// At every write boundary: what was said to be durable is there after the power went, and marks
// never fall.
TEST(JournalMarks, PowerLossAtEveryOperationKeepsWhatWasDurable) {
  constexpr JournalOptions kTiny = {.file_bytes = 160 << 10, .max_live_files = 4};
  JournalHost whole(9, kTiny);
  ASSERT_EQ(RunMarks(whole).size(), 2u);
  ASSERT_GT(whole.journal->stats().recycled, 0u);
  const uint64_t total = whole.disk.ops();
  for (uint64_t ops = 0; ops <= total; ++ops) {
    SCOPED_TRACE(StrCat("power lost after operation ", ops, " of ", total));
    JournalHost host(9, kTiny);
    const auto random = SeededRandom(ops);
    host.disk.FailAfter(ops);
    const MarksByNode durable = RunMarks(host);
    host.Kill();
    host.disk.PowerLoss(*random);
    for (int start = 0; start < 2; ++start) {
      const auto contents = host.Read();
      if (!contents.ok()) {
        ASSERT_TRUE(durable.empty()) << contents.status();
        break;
      }
      ASSERT_NO_FATAL_FAILURE(ExpectFound(durable, contents->peers));
      ASSERT_TRUE(host.Start().ok());
    }
  }
}

}  // namespace
}  // namespace varve::storage
