#include "storage/format/checkpoint.h"

#include <gtest/gtest.h>

#include "common/error.h"
#include "storage/format/replica_record.h"
#include "tests/storage/journal_script.h"

namespace varve::storage {
namespace {

constexpr Generation kGeneration{3};

DirectoryId Directory(uint8_t number) {
  DirectoryId out;
  out.bytes.fill(number);
  return out;
}

Checkpoint Sample() {
  Checkpoint out;
  out.process_epoch = 7;
  out.recovery_number = 1;
  out.last_commit = CommitSequence{500};
  out.durable_through = CommitSequence{499};
  out.next_file = FileNumber{30};
  out.next_generation = Generation{4};
  out.live_files = {{FileNumber{2}, Generation{1}}, {FileNumber{8}, kGeneration}};
  out.incarnation = 0x1234567890abcdef;
  out.settled_epoch = 6;
  out.peers.Note({NodeId{2}, Directory(1), 5, 77, CommitSequence{44}});
  out.peers.Note({NodeId{2}, Directory(2), 1, 0, CommitSequence{3}});
  out.peers.Note({NodeId{9}, Directory(3), 4, 78, CommitSequence{1}});
  GroupScript a(GroupId{65536}, FileNumber{11}), b(GroupId{65537}, FileNumber{12});
  out.replicas = TableOf({a.Create(), b.Create(), a.Append(3, 20), b.Vote(Term{4}, NodeId{1})});
  out.replicas.RaiseSyncPoint(a.group(), a.End());
  ReplicaRecord suspect = *out.replicas.Find(b.group());
  suspect.suspect = true;
  suspect.suspect_why = "a file of it is gone";
  out.replicas.Put(suspect);
  return out;
}

TEST(Checkpoint, ReadsBackWhatWasWritten) {
  const std::string bytes = EncodeCheckpoint(Sample(), kGeneration);
  ASSERT_EQ(bytes.size() % 4096, 0u);
  EXPECT_EQ(*CheckpointBytes(bytes, kGeneration), bytes.size());
  const auto read = DecodeCheckpoint(bytes, kGeneration);
  ASSERT_TRUE(read.ok()) << read.status();
  const Checkpoint sample = Sample();
  EXPECT_EQ(read->process_epoch, 7u);
  EXPECT_EQ(read->recovery_number, 1u);
  EXPECT_EQ(read->last_commit, sample.last_commit);
  EXPECT_EQ(read->durable_through, sample.durable_through);
  EXPECT_EQ(read->next_file, sample.next_file);
  EXPECT_EQ(read->next_generation, sample.next_generation);
  EXPECT_EQ(read->live_files, sample.live_files);
  EXPECT_EQ(read->incarnation, sample.incarnation);
  EXPECT_EQ(read->settled_epoch, 6u);
  ASSERT_EQ(read->peers.marks().size(), 3u);
  EXPECT_EQ(read->peers.marks(), sample.peers.marks());
  EXPECT_EQ(read->replicas.records(), sample.replicas.records());
}

TEST(Checkpoint, AnyFlippedBitFailsUnlessItIsPadding) {
  const std::string good = EncodeCheckpoint(Sample(), kGeneration);
  EXPECT_FALSE(DecodeCheckpoint(good, Generation{4}).ok());
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
    const auto read = DecodeCheckpoint(bad, kGeneration);
    if (!read.ok()) continue;
    EXPECT_EQ(good[at], 0) << at;
    EXPECT_EQ(read->replicas.records(), Sample().replicas.records());
  }
}

TEST(Checkpoint, WithoutItsClosingBlockItIsNone) {
  std::string bytes = EncodeCheckpoint(Sample(), kGeneration);
  std::fill(bytes.end() - 4096, bytes.end(), '\0');
  EXPECT_EQ(ReasonOf(DecodeCheckpoint(bytes, kGeneration).status()), Reason::DATA_LOSS);
}

TEST(ReplicaRecordCodec, FieldsOfALaterVersionAreIgnored) {
  const Checkpoint sample = Sample();
  const ReplicaRecord& record = *sample.replicas.Find(GroupId{65536});
  const auto read = DecodeReplicaRecord(EncodeReplicaRecord(record) + "later");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, record);
}

TEST(ReplicaRecordCodec, AnyCutIsDataLoss) {
  const Checkpoint sample = Sample();
  const std::string bytes = EncodeReplicaRecord(*sample.replicas.Find(GroupId{65536}));
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_EQ(ReasonOf(DecodeReplicaRecord(bytes.substr(0, length)).status()), Reason::DATA_LOSS);
  }
}

}  // namespace
}  // namespace varve::storage
