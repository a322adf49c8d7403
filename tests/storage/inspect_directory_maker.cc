#include "tests/storage/inspect_directory_maker.h"

#include <gtest/gtest.h>

#include "common/bytes.h"
#include "common/crc32c.h"
#include "common/meta_entry.h"
#include "common/record_batch_builder.h"
#include "storage/format/checkpoint.h"
#include "storage/format/file_header.h"
#include "storage/format/journal_commit.h"
#include "storage/format/journal_frame.h"
#include "storage/format/replica_record.h"

namespace varve::storage {
namespace {

constexpr Term kTerm{3};

Configuration OneVoter() {
  Configuration configuration;
  configuration.voters = {{NodeId(1), ReplicaEpoch(1)}};
  return configuration;
}

Entry SegmentStartEntry(const LogEnd& before) {
  EntryHeader header;
  header.kind = EntryKind::kMeta;
  header.group = kMadeGroup;
  header.first_index = header.last_index = before.last_index + 1;
  header.term = before.last_index == Index{} ? Term{} : kTerm;
  header.base_offset = before.next_offset;
  header.last_offset = before.next_offset - 1;
  header.append_time = std::max(before.append_time, WallTime(1000));
  SegmentStart start;
  start.config = OneVoter();
  return FrameBuffer::Copy(EncodeMeta(start)).Seal(header);
}

Entry DataEntry(const LogEnd& before) {
  RecordBatchBuilder builder;
  EXPECT_TRUE(
      builder.Add(WallTime(before.append_time.value() + 5), "key", std::string(200, 'v')).ok());
  EntryHeader header;
  header.group = kMadeGroup;
  header.first_index = header.last_index = before.last_index + 1;
  header.term = kTerm;
  header.base_offset = header.last_offset = before.next_offset;
  header.append_time = before.append_time + 1;
  return FrameBuffer::Copy(builder.Build().value()).Seal(header);
}

std::string IndexRowBytes(FileNumber number, const EntryHeader& header, uint64_t position,
                          WallTime max_append_time) {
  std::string salt, row;
  ByteWriter(&salt).Put<uint64_t>(number.value());
  ByteWriter writer(&row);
  writer.Put<uint64_t>(header.first_index.value());
  writer.Put<int64_t>(header.base_offset.value());
  writer.Put<uint64_t>(position);
  writer.Put<int64_t>(max_append_time.value());
  writer.Put<int64_t>(max_append_time.value() + 5);
  writer.Put<uint32_t>(ExtendCrc32c(Crc32c(salt), row));
  writer.Put<uint32_t>(0);
  return row;
}

}  // namespace

DirectoryIdentity MadeIdentity() {
  DirectoryIdentity identity;
  identity.cluster.bytes.fill(1);
  identity.directory.bytes.fill(2);
  identity.node = NodeId(1);
  return identity;
}

MadeSegment MakeSegment(const DirectoryIdentity& identity, FileNumber number, const LogEnd& before,
                        int data_entries) {
  MadeSegment made;
  made.ref = {number, before.next_offset, before.last_index + 1, 0};
  FileHeader header;
  header.kind = FileKind::kSegment;
  header.identity = identity;
  header.file = number;
  header.group = kMadeGroup;
  header.base_offset = before.next_offset;
  header.first_index = before.last_index + 1;
  made.log = EncodeFileHeader(header);
  header.kind = FileKind::kIndex;
  made.index = EncodeFileHeader(header);
  made.end = before;
  for (int n = 0; n <= data_entries; ++n) {
    const Entry entry = n == 0 ? SegmentStartEntry(made.end) : DataEntry(made.end);
    made.positions.push_back(made.log.size());
    if (n > 0)
      made.index += IndexRowBytes(number, entry.header, made.log.size(), made.end.append_time);
    made.log += entry.frame.view();
    made.entries.push_back(entry);
    made.end = {entry.header.last_index, entry.header.term, entry.header.next_offset(),
                entry.header.append_time};
  }
  made.end_position = made.log.size();
  return made;
}

ReplicaRecord MakeRecord(const std::vector<MadeSegment>& segments) {
  ReplicaRecord record;
  record.group = kMadeGroup;
  record.replica_epoch = ReplicaEpoch(1);
  record.scalars.hard_state = {kTerm, {NodeId(1), ReplicaEpoch(1)}};
  record.scalars.end = segments.back().end;
  record.scalars.commit_index = segments.back().end.last_index;
  record.configurations.committed = {Index(1), OneVoter()};
  record.last_frame = FrameSequence(9);
  for (const MadeSegment& made : segments) {
    record.segments.push_back(made.ref);
    record.segments.back().end_position = made.end_position;
  }
  record.segments.back().end_position = 0;
  record.sync_point = {segments.back().ref.file, segments.back().end_position,
                       segments.back().end.last_index, segments.back().end.next_offset};
  return record;
}

std::string MakeIdentityFile(const DirectoryIdentity& identity) {
  FileHeader header;
  header.identity = identity;
  return EncodeFileHeader(header);
}

AppendStep AppendOf(const MadeSegment& segment, size_t first) {
  AppendStep step{segment.ref.file, segment.positions[first], {}};
  step.entries.assign(segment.entries.begin() + first, segment.entries.end());
  return step;
}

MadeJournal MakeJournal(const DirectoryIdentity& identity, const JournalFileRef& ref,
                        Checkpoint checkpoint, const std::vector<JournalFrame>& frames) {
  checkpoint.live_files.push_back(ref);
  const std::string body = EncodeCheckpoint(checkpoint, ref.generation);
  FileHeader header;
  header.kind = FileKind::kJournal;
  header.identity = identity;
  header.file = ref.file;
  header.generation = ref.generation;
  header.first_commit_position = kFileHeaderBytes + body.size();
  MadeJournal made;
  made.bytes = EncodeFileHeader(header) + body;
  std::vector<GroupFrame> preceding;
  CommitSequence sequence = checkpoint.last_commit;
  for (const JournalFrame& frame : frames) {
    FrameImage image = FrameImage::Of(frame);
    image.Seal(GenerationSeed(ref.generation));
    std::vector<std::string_view> pieces;
    image.AppendPieces(&pieces);
    const std::vector<GroupFrame> groups = {{frame.group, frame.sequence}};
    CommitHeader commit;
    commit.generation = ref.generation;
    commit.durable_through = sequence;
    commit.sequence = ++sequence;
    commit.frames = 1;
    made.commit_positions.push_back(made.bytes.size());
    made.bytes += EncodeCommitHeader(&commit, groups, preceding, image.bytes());
    for (const std::string_view piece : pieces) made.bytes += piece;
    made.bytes += EncodeCommitEnd(commit, groups, image.bytes());
    preceding = groups;
  }
  made.bytes.resize(std::max<size_t>(made.bytes.size(), 1 << 20), '\0');
  return made;
}

}  // namespace varve::storage
