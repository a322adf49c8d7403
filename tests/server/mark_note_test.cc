// Notes of marks: what is written is read back, and nothing else is believed.
#include "server/mark_note.h"

#include <gtest/gtest.h>

#include "common/error.h"
#include "raft/shell/packet.h"

namespace varve::server {
namespace {

storage::PeerMark Mark(uint32_t node, uint8_t id, uint64_t epoch) {
  storage::PeerMark mark;
  mark.node = NodeId{node};
  mark.directory.bytes[3] = id;
  mark.process_epoch = epoch;
  mark.incarnation = epoch * 1'000;
  mark.durable = CommitSequence{epoch + 50};
  return mark;
}

TEST(MarkNoteTest, IsReadBackAsItWasWritten) {
  for (const bool recovered : {false, true}) {
    MarkNote note;
    note.said.now = Mark(1, 9, 4);
    if (recovered) note.said.recovered = Mark(1, 9, 3);
    note.said.settled_epoch = 2;
    note.remembered = Mark(2, 8, 7);
    const std::string bytes = EncodeMarkNote(note);
    EXPECT_LE(bytes.size(), raft::kMaxNoteBytes);
    const auto read = DecodeMarkNote(bytes, NodeId{1}, NodeId{2});
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->said.now, note.said.now);
    EXPECT_EQ(read->said.recovered, note.said.recovered);
    EXPECT_EQ(read->said.settled_epoch, 2u);
    EXPECT_EQ(read->remembered, note.remembered);
    for (size_t at = 0; at < bytes.size(); ++at) {
      const auto cut = DecodeMarkNote(std::string_view(bytes).substr(0, at), NodeId{1}, NodeId{2});
      EXPECT_EQ(ReasonOf(cut.status()), Reason::DATA_LOSS) << at;
    }
  }
}

TEST(MarkNoteTest, AnotherVersionAndAFlagThatIsNoneAreRefused) {
  std::string bytes = EncodeMarkNote({});
  bytes[0] = 2;
  EXPECT_FALSE(DecodeMarkNote(bytes, NodeId{1}, NodeId{2}).ok());
  bytes[0] = 1;
  bytes[1] = 2;
  EXPECT_FALSE(DecodeMarkNote(bytes, NodeId{1}, NodeId{2}).ok());
}

TEST(MarkNoteTest, NothingRememberedIsIncomplete) {
  const auto read = DecodeMarkNote(EncodeMarkNote({}), NodeId{1}, NodeId{2});
  ASSERT_TRUE(read.ok());
  EXPECT_FALSE(read->remembered.complete());
}

}  // namespace
}  // namespace varve::server
