// Writes the seed inputs of record_batch_fuzz, entry_fuzz, derived_state_fuzz, directory_fuzz and
// packet_fuzz, and of journal_fuzz those with marks of peers, below the directory given. The seeds
// are kept in tests/fuzz/corpus; run this again when a format gains something that mutation hardly
// finds.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>

#include "common/bytes.h"
#include "common/check.h"
#include "common/config.h"
#include "common/derived_state.h"
#include "common/entry.h"
#include "common/meta_entry.h"
#include "common/record_batch_builder.h"
#include "raft/shell/packet.h"
#include "storage/format/checkpoint.h"
#include "storage/format/file_header.h"
#include "storage/format/journal_frame.h"
#include "storage/format/journal_mark.h"
#include "storage/format/replica_record.h"
#include "storage/index_row.h"

namespace varve {
namespace {

void Write(const std::filesystem::path& path, std::string_view bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  VARVE_CHECK(out.good(), path.string());
}

std::string Batch(Codec codec, int records) {
  RecordBatchBuilder builder({.codec = codec});
  const RecordHeaderView headers[] = {{"trace", "abc"}, {"empty", std::nullopt}};
  for (int i = 0; i < records; ++i) {
    const std::string value(static_cast<size_t>(i * 17 % 90), 'v');
    const auto key = i % 3 == 0 ? std::nullopt : std::optional<std::string_view>("key");
    const auto added = builder.Add(WallTime{1000 + i % 7}, key, value,
                                   std::span(headers).first(static_cast<size_t>(i % 3)));
    VARVE_CHECK(added.ok());
  }
  return *builder.Build();
}

Entry Seal(EntryKind kind, std::string_view payload, int64_t records) {
  EntryHeader header;
  header.kind = kind;
  header.group = GroupId{70'000};
  header.first_index = Index{5};
  header.last_index = Index{5};
  header.term = Term{3};
  header.base_offset = Offset{100};
  header.last_offset = Offset{99 + records};
  header.append_time = WallTime{1'700'000'000'000};
  return FrameBuffer::Copy(payload).Seal(header);
}

SegmentStart Start() {
  SegmentStart start;
  start.config_index = Index{2};
  start.config.voters = {{NodeId{1}, ReplicaEpoch{1}}, {NodeId{2}, ReplicaEpoch{1}}};
  start.config.outgoing = {{NodeId{1}, ReplicaEpoch{1}}, {NodeId{3}, ReplicaEpoch{1}}};
  start.config.learners_next = {{NodeId{3}, ReplicaEpoch{1}}};
  start.config.auto_leave = true;
  start.epochs = {{Term{1}, Index{1}, Offset{0}}, {Term{3}, Index{4}, Offset{50}}};
  start.digest = {{1, 2}, 3};
  return start;
}

// An edit of the file that is `file`th by its path.
std::string Edit(uint8_t file, uint8_t what, uint32_t position, uint8_t byte) {
  std::string bytes;
  ByteWriter out(&bytes);
  out.Put(file);
  out.Put(what);
  out.Put(position);
  out.Put(byte);
  return bytes;
}

storage::ReplicaRecord Record() {
  storage::ReplicaRecord record;
  record.group = GroupId{70'000};
  record.replica_epoch = ReplicaEpoch{2};
  record.scalars.hard_state.term = Term{3};
  record.scalars.end.last_index = Index{9};
  record.sync_point.file = FileNumber{4};
  record.configurations.committed = {Index{2}, Start().config};
  record.configurations.uncommitted = {Index{8}, Start().config};
  record.segments = {{FileNumber{4}, Offset{0}, Index{1}, 9000},
                     {FileNumber{5}, Offset{7}, Index{8}, 0}};
  return record;
}

// The first byte is the fuzzer's choice.
void WriteDirectorySeeds(const std::filesystem::path& directory) {
  using storage::FileKind;
  Write(directory / "edit_nothing", std::string(1, 0));
  for (uint8_t file = 0; file < 8; ++file) {
    Write(directory / ("edit_head_" + std::to_string(file)),
          std::string(1, 0) + Edit(file, 0, 40, 0xff));
    Write(directory / ("edit_body_" + std::to_string(file)),
          std::string(1, 0) + Edit(file, 7, 4200, 0));
    Write(directory / ("edit_cut_" + std::to_string(file)),
          std::string(1, 0) + Edit(file, 254, 5000, 0));
    Write(directory / ("edit_missing_" + std::to_string(file)),
          std::string(1, 0) + Edit(file, 255, 0, 0));
  }
  storage::FileHeader header;
  header.identity.cluster.bytes[3] = 1;
  header.identity.node = NodeId{1};
  header.generation = Generation{4};
  const std::pair<FileKind, const char*> kinds[] = {{FileKind::kIdentity, "header_identity"},
                                                    {FileKind::kJournal, "header_journal"},
                                                    {FileKind::kSegment, "header_segment"},
                                                    {FileKind::kIndex, "header_index"},
                                                    {FileKind::kDerivedState, "header_state"}};
  for (const auto& [kind, name] : kinds) {
    header.kind = kind;
    Write(directory / name, std::string{1, static_cast<char>(kind)} +
                                storage::EncodeFileHeader(header).substr(8, 128));
  }
  const auto slot = [](uint64_t generation) {
    return storage::EncodeJournalMark({{FileNumber{3}, Generation{generation}}, 1 << 16})
        .substr(4, 28);
  };
  Write(directory / "mark_both", std::string{2, 3} + slot(6) + slot(7));
  Write(directory / "mark_torn", std::string{2, 1} + slot(6) + slot(7));
  Write(directory / "mark_cut", std::string{2, 3} + slot(6) + slot(7) + "12345678");
  Write(directory / "record", std::string(1, 3) + storage::EncodeReplicaRecord(Record()));
  std::string rows(1, 4);
  for (uint64_t i = 1; i < 4; ++i)
    storage::EncodeIndexRow({Index{i}, Offset{0}, 4096 * i, WallTime{1}, WallTime{2}},
                            FileNumber{9}, &rows);
  Write(directory / "rows", rows);
}

// Those with marks of peers; the first byte is the fuzzer's choice.
void WriteJournalSeeds(const std::filesystem::path& directory) {
  storage::PeerMark mark{NodeId{2}, {}, 4, 99, CommitSequence{17}};
  mark.directory.bytes.fill(7);
  storage::JournalFrame frame;
  frame.sequence = FrameSequence{5};
  frame.steps = {storage::PeerMarksStep{{mark}}};
  const storage::FrameImage image = storage::FrameImage::Of(frame);
  std::vector<std::string_view> pieces;
  image.AppendPieces(&pieces);
  std::string bytes(1, 0);
  for (const std::string_view piece : pieces) bytes.append(piece);
  Write(directory / "frame_marks", bytes);
  storage::Checkpoint checkpoint;
  checkpoint.process_epoch = 3;
  checkpoint.incarnation = 98;
  checkpoint.settled_epoch = 2;
  checkpoint.peers.Note(mark);
  storage::ReplicaRecord record = Record();
  record.suspect = true;
  record.suspect_why = "a file is gone";
  checkpoint.replicas.Put(record);
  const std::string whole = storage::EncodeCheckpoint(checkpoint, Generation{1});
  const auto body_bytes = LoadLittle<uint64_t>(whole.data() + 16);
  Write(directory / "checkpoint_marks",
        std::string(1, 8) + whole.substr(storage::kCheckpointFixedBytes, body_bytes));
}

void WriteAll(const std::filesystem::path& directory) {
  WriteJournalSeeds(directory / "journal_fuzz");

  for (const Codec codec :
       {Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd}) {
    const std::string name(CodecName(codec));
    Write(directory / "record_batch_fuzz" / (name + "_1"), Batch(codec, 1));
    Write(directory / "record_batch_fuzz" / (name + "_40"), Batch(codec, 40));
  }
  const std::filesystem::path entries = directory / "entry_fuzz";
  Write(entries / "data", Seal(EntryKind::kData, Batch(Codec::kNone, 2), 2).frame.view());
  Write(entries / "barrier", Seal(EntryKind::kBarrier, "", 0).frame.view());
  const std::string config = EncodeConfiguration(Start().config);
  Write(entries / "config", Seal(EntryKind::kConfig, config, 0).frame.view());
  Write(entries / "config_body", config);
  const std::string start = EncodeMeta(Start());
  Write(entries / "segment_start", Seal(EntryKind::kMeta, start, 0).frame.view());
  Write(entries / "segment_start_body", start);
  Write(entries / "trim_body", EncodeMeta(Trim{Offset{77}}));
  WriteDirectorySeeds(directory / "directory_fuzz");
}

void WriteStates(const std::filesystem::path& directory) {
  const StatePosition at{GroupId{70'000}, Index{9}, Term{3}, Offset{40}};
  StateItems items;
  Write(directory / "empty", EncodeState(at, items));
  items.Put(StateSection::kProducers, "alice", "12345678");
  items.Put(StateSection::kProducers, "bob", "");
  Write(directory / "one_section", EncodeState(at, items));
  for (uint16_t section = 2; section <= kStateSections; ++section)
    items.Put(static_cast<StateSection>(section), std::string(section, 'k'), "value");
  Write(directory / "all_sections", EncodeState(at, items));
}

// One packet with a message of each kind.
std::string PacketWith(std::vector<raft::MessageBody> bodies, bool heartbeat) {
  raft::Packet packet{NodeId{1}, NodeId{2}, std::nullopt, {}, {}};
  if (heartbeat) {
    packet.heartbeat.emplace();
    packet.heartbeat->newest = {3, 9};
    packet.heartbeat->through = 9;
    packet.heartbeat->led = {{GroupId{70'000}, Term{3}, true}, {GroupId{70'001}, Term{4}, false}};
    packet.heartbeat->not_led = {GroupId{70'002}};
    const ReplicaId from{NodeId{1}, ReplicaEpoch{1}}, to{NodeId{2}, ReplicaEpoch{1}};
    packet.pieces.emplace_back(
        raft::PieceRequest{GroupId{70'000}, from, to, 9, Index{1}, Index{5}, 1 << 20});
    packet.pieces.emplace_back(
        raft::Piece{GroupId{70'000}, from, to, 9, Index{5}, {Seal(EntryKind::kBarrier, "", 0)}});
  }
  for (raft::MessageBody& body : bodies)
    packet.messages.push_back({GroupId{70'000},
                               {NodeId{1}, ReplicaEpoch{1}},
                               {NodeId{2}, ReplicaEpoch{1}},
                               Term{3},
                               std::move(body)});
  const raft::OutgoingPacket out = raft::EncodePacket(packet);
  std::string bytes = out.head;
  for (const SharedBytes& part : out.parts) bytes.append(part.view());
  return bytes;
}

void WritePackets(const std::filesystem::path& directory) {
  raft::InstallPoint point;
  point.end = {Index{5}, Term{3}, Offset{100}, WallTime{7}};
  point.configuration.configuration.voters = {{NodeId{1}, ReplicaEpoch{1}}};
  point.epochs = {{Term{1}, Index{1}, Offset{0}}};
  const raft::FollowerReport report{Index{4}, Index{5}, Index{3}, Index{2}, false};
  raft::AppendRequest append{Index{4}, Term{3}, Index{3}, Index{1}, {}};
  append.entries.push_back(Seal(EntryKind::kData, Batch(Codec::kNone, 2), 2));
  append.entries.push_back(Seal(EntryKind::kBarrier, "", 0));
  Write(directory / "heartbeat", PacketWith({}, true));
  Write(directory / "votes", PacketWith({raft::VoteRequest{true, false, Index{5}, Term{3}},
                                         raft::VoteReply{false, true, Term{4}}},
                                        false));
  Write(directory / "append", PacketWith({append}, true));
  Write(directory / "replies",
        PacketWith({raft::AppendReply{true, report, Index{4}, Index{2}, Term{1}},
                    raft::HeartbeatReply{report}, raft::InstallReply{report}},
                   false));
  Write(directory / "others",
        PacketWith({raft::Heartbeat{Index{3}, Index{1}, true}, raft::InstallRequest{point},
                    raft::ReadProbe{5}, raft::ReadProbeReply{5}, raft::TimeoutNow{}},
                   false));
}

}  // namespace
}  // namespace varve

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_corpus DIRECTORY\n");
    return 2;
  }
  varve::WriteAll(argv[1]);
  varve::WriteStates(std::filesystem::path(argv[1]) / "derived_state_fuzz");
  varve::WritePackets(std::filesystem::path(argv[1]) / "packet_fuzz");
  return 0;
}
