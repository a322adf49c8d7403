// Bytes of packets: reading what may be hostile. The layout is in docs/peer_protocol.md, "Packets".
#include <utility>

#include "common/config.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "raft/shell/packet.h"
#include "raft/shell/packet_layout.h"

namespace varve::raft {
namespace {

template <class... Pieces>
absl::Status Bad(const Pieces&... pieces) {
  return MakeError(Reason::DATA_LOSS, "a packet of another broker: ", pieces...);
}

// One flag; anything but 0 and 1 is an error of its own, so that room for more is not lost.
bool GetFlag(ByteReader* in, absl::Status* status) {
  const auto flag = in->Get<uint8_t>();
  if (flag > 1) status->Update(Bad("a flag is ", static_cast<int>(flag)));
  return flag == 1;
}

FollowerReport GetReport(ByteReader* in, absl::Status* status) {
  FollowerReport report;
  report.match = Index{in->Get<uint64_t>()};
  report.received = Index{in->Get<uint64_t>()};
  report.commit = Index{in->Get<uint64_t>()};
  report.folded = Index{in->Get<uint64_t>()};
  report.full = GetFlag(in, status);
  return report;
}

absl::StatusOr<InstallPoint> GetPoint(ByteReader* in) {
  InstallPoint point;
  point.start.index = Index{in->Get<uint64_t>()};
  point.start.offset = Offset{in->Get<int64_t>()};
  point.start.previous_term = Term{in->Get<uint64_t>()};
  point.end.last_index = Index{in->Get<uint64_t>()};
  point.end.last_term = Term{in->Get<uint64_t>()};
  point.end.next_offset = Offset{in->Get<int64_t>()};
  point.end.append_time = WallTime{in->Get<int64_t>()};
  point.configuration.index = Index{in->Get<uint64_t>()};
  VARVE_ASSIGN_OR_RETURN(point.configuration.configuration, DecodeConfiguration(in->GetSized()));
  point.consistent_from = Index{in->Get<uint64_t>()};
  const auto count = in->Get<uint32_t>();
  if (count > in->remaining() / wire::kEpochBytes)
    return Bad("an install names ", count, " terms and has ", in->remaining(), " bytes");
  point.epochs.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    EpochStart epoch;
    epoch.term = Term{in->Get<uint64_t>()};
    epoch.index = Index{in->Get<uint64_t>()};
    epoch.offset = Offset{in->Get<int64_t>()};
    point.epochs.push_back(epoch);
  }
  return point;
}

// Reads the messages of one packet. The entries' frames follow behind all of them, in order.
class MessageReader {
 public:
  MessageReader(ByteReader* in, const SharedBytes& bytes, size_t first_part, NodeId from, NodeId to)
      : in_(in), bytes_(bytes), next_part_(first_part), from_(from), to_(to) {}

  absl::StatusOr<Message> Read() {
    Message message;
    const auto code = in_->Get<uint8_t>();
    message.group = GroupId{in_->Get<uint64_t>()};
    message.from = {from_, ReplicaEpoch{in_->Get<uint32_t>()}};
    message.to = {to_, ReplicaEpoch{in_->Get<uint32_t>()}};
    message.term = Term{in_->Get<uint64_t>()};
    absl::Status status;
    VARVE_ASSIGN_OR_RETURN(message.body, ReadBody(code, message.group, &status));
    VARVE_RETURN_IF_ERROR(status);
    if (!in_->ok()) return Bad("a message is cut");
    return message;
  }
  absl::StatusOr<PieceMessage> ReadPiece();
  // Where the frames of the entries end.
  [[nodiscard]] size_t end() const { return next_part_; }

 private:
  absl::StatusOr<MessageBody> ReadBody(uint8_t code, GroupId group, absl::Status* status);
  absl::StatusOr<MessageBody> ReadAppend(GroupId group);
  absl::StatusOr<std::vector<Entry>> ReadEntries(GroupId group);
  absl::Status ReadEntry(GroupId group, uint32_t frame_bytes, std::vector<Entry>* entries);
  MessageBody ReadVote(bool pre, absl::Status* status) {
    VoteRequest request;
    request.pre = pre;
    request.forced = GetFlag(in_, status);
    request.last_index = Index{in_->Get<uint64_t>()};
    request.last_term = Term{in_->Get<uint64_t>()};
    return request;
  }
  MessageBody ReadVoteReply(bool pre, absl::Status* status) {
    VoteReply reply;
    reply.pre = pre;
    reply.granted = GetFlag(in_, status);
    reply.asked = Term{in_->Get<uint64_t>()};
    return reply;
  }
  MessageBody ReadAppendReply(absl::Status* status) {
    AppendReply reply;
    reply.rejected = GetFlag(in_, status);
    reply.report = GetReport(in_, status);
    reply.rejected_prev = Index{in_->Get<uint64_t>()};
    reply.hint_index = Index{in_->Get<uint64_t>()};
    reply.hint_term = Term{in_->Get<uint64_t>()};
    return reply;
  }
  MessageBody ReadHeartbeat(absl::Status* status) {
    Heartbeat heartbeat;
    heartbeat.commit = Index{in_->Get<uint64_t>()};
    heartbeat.floor = Index{in_->Get<uint64_t>()};
    heartbeat.vouches = GetFlag(in_, status);
    return heartbeat;
  }

  ByteReader* const in_;
  const SharedBytes& bytes_;
  size_t next_part_;
  const NodeId from_, to_;
};

absl::StatusOr<MessageBody> MessageReader::ReadBody(uint8_t code, GroupId group,
                                                    absl::Status* status) {
  switch (code) {
    case wire::CodeOf(MessageType::kPreVote):
      return ReadVote(true, status);
    case wire::CodeOf(MessageType::kPreVoteReply):
      return ReadVoteReply(true, status);
    case wire::CodeOf(MessageType::kVote):
      return ReadVote(false, status);
    case wire::CodeOf(MessageType::kVoteReply):
      return ReadVoteReply(false, status);
    case wire::CodeOf(MessageType::kAppend):
      return ReadAppend(group);
    case wire::CodeOf(MessageType::kAppendReply):
      return ReadAppendReply(status);
    case wire::CodeOf(MessageType::kHeartbeat):
      return ReadHeartbeat(status);
    case wire::CodeOf(MessageType::kHeartbeatReply):
      return HeartbeatReply{GetReport(in_, status)};
    case wire::CodeOf(MessageType::kInstall): {
      VARVE_ASSIGN_OR_RETURN(InstallPoint point, GetPoint(in_));
      return InstallRequest{std::move(point)};
    }
    case wire::CodeOf(MessageType::kInstallReply):
      return InstallReply{GetReport(in_, status)};
    case wire::CodeOf(MessageType::kReadProbe):
      return ReadProbe{in_->Get<uint64_t>()};
    case wire::CodeOf(MessageType::kReadProbeReply):
      return ReadProbeReply{in_->Get<uint64_t>()};
    case wire::CodeOf(MessageType::kTimeoutNow):
      return TimeoutNow{};
    default:
      return Bad("message type ", static_cast<int>(code), " is unknown");
  }
}

absl::StatusOr<MessageBody> MessageReader::ReadAppend(GroupId group) {
  AppendRequest append;
  append.prev_index = Index{in_->Get<uint64_t>()};
  append.prev_term = Term{in_->Get<uint64_t>()};
  append.commit = Index{in_->Get<uint64_t>()};
  append.floor = Index{in_->Get<uint64_t>()};
  VARVE_ASSIGN_OR_RETURN(append.entries, ReadEntries(group));
  return append;
}

absl::StatusOr<std::vector<Entry>> MessageReader::ReadEntries(GroupId group) {
  const auto count = in_->Get<uint32_t>();
  if (count > in_->remaining() / sizeof(uint32_t))
    return Bad("it names ", count, " entries and has ", in_->remaining(), " bytes");
  std::vector<Entry> entries;
  entries.reserve(count);
  for (uint32_t i = 0; i < count; ++i)
    VARVE_RETURN_IF_ERROR(ReadEntry(group, in_->Get<uint32_t>(), &entries));
  return entries;
}

absl::StatusOr<PieceMessage> MessageReader::ReadPiece() {
  const auto code = in_->Get<uint8_t>();
  const GroupId group{in_->Get<uint64_t>()};
  const ReplicaId from{from_, ReplicaEpoch{in_->Get<uint32_t>()}};
  const ReplicaId to{to_, ReplicaEpoch{in_->Get<uint32_t>()}};
  const auto token = in_->Get<uint64_t>();
  const Index first{in_->Get<uint64_t>()};
  PieceMessage out;
  if (code == wire::kPieceCode<PieceRequest>) {
    const Index through{in_->Get<uint64_t>()};
    out = PieceRequest{group, from, to, token, first, through, in_->Get<uint32_t>()};
  } else if (code == wire::kPieceCode<Piece>) {
    VARVE_ASSIGN_OR_RETURN(std::vector<Entry> entries, ReadEntries(group));
    out = Piece{group, from, to, token, first, std::move(entries)};
  } else {
    return Bad("piece type ", static_cast<int>(code), " is unknown");
  }
  if (!in_->ok()) return Bad("a piece is cut");
  return out;
}

absl::Status MessageReader::ReadEntry(GroupId group, uint32_t frame_bytes,
                                      std::vector<Entry>* entries) {
  if (frame_bytes > bytes_.size() - next_part_)
    return Bad("an entry of ", frame_bytes, " bytes goes beyond the end");
  Entry entry;
  entry.frame = bytes_.Slice(next_part_, frame_bytes);
  VARVE_ASSIGN_OR_RETURN(entry.header, VerifyEntryFrame(entry.frame.view()));
  if (entry.header.group != group)
    return Bad("an entry of group ", entry.header.group, " in a message of group ", group);
  next_part_ += frame_bytes;
  entries->push_back(std::move(entry));
  return absl::OkStatus();
}

TableVersion GetVersion(ByteReader* in) {
  TableVersion version;
  version.process_epoch = in->Get<uint64_t>();
  version.generation = in->Get<uint64_t>();
  return version;
}

absl::Status GetLedGroups(ByteReader* in, NodeHeartbeat* out) {
  const auto led = in->Get<uint32_t>();
  const auto not_led = in->Get<uint32_t>();
  const uint64_t needed = uint64_t{led} * wire::kLedGroupBytes + uint64_t{not_led} * 8;
  if (needed > in->remaining())
    return Bad("a heartbeat names ", led, " and ", not_led, " groups and has ", in->remaining(),
               " bytes");
  absl::Status status;
  out->led.reserve(led);
  for (uint32_t i = 0; i < led; ++i) {
    const GroupId group{in->Get<uint64_t>()};
    const Term term{in->Get<uint64_t>()};
    out->led.push_back({group, term, GetFlag(in, &status)});
    if (i > 0 && out->led[i - 1].group >= group)
      return Bad("the groups of a heartbeat have no order");
  }
  out->not_led.reserve(not_led);
  for (uint32_t i = 0; i < not_led; ++i) {
    out->not_led.push_back(GroupId{in->Get<uint64_t>()});
    if (i > 0 && out->not_led[i - 1] >= out->not_led[i])
      return Bad("the groups of a heartbeat have no order");
  }
  return status;
}

// Bytes behind what this version knows are of a later one.
absl::StatusOr<NodeHeartbeat> GetHeartbeat(std::string_view bytes) {
  ByteReader in(bytes);
  NodeHeartbeat out;
  out.newest = GetVersion(&in);
  out.base = in.Get<uint64_t>();
  out.through = in.Get<uint64_t>();
  out.known = GetVersion(&in);
  const std::string_view note = in.GetSized();
  if (note.size() > kMaxNoteBytes) return Bad("a note of ", note.size(), " bytes");
  out.note = std::string(note);
  out.clock = WallTime{in.Get<int64_t>()};
  out.recovery_number = in.Get<uint64_t>();
  VARVE_RETURN_IF_ERROR(GetLedGroups(&in, &out));
  if (!in.ok()) return Bad("a heartbeat is cut");
  if (out.base > out.through || out.through > out.newest.generation)
    return Bad("a heartbeat goes from generation ", out.base, " to ", out.through, " of ",
               out.newest.generation);
  return out;
}

// The head; `body` is what it says, with the right checksum.
absl::StatusOr<Packet> ReadHead(const SharedBytes& bytes, std::string_view* body) {
  ByteReader head(bytes.view());
  const auto magic = head.Get<uint32_t>();
  const auto version = head.Get<uint16_t>();
  const auto reserved = head.Get<uint16_t>();
  Packet packet;
  packet.from = NodeId{head.Get<uint32_t>()};
  packet.to = NodeId{head.Get<uint32_t>()};
  const auto body_bytes = head.Get<uint32_t>();
  const auto crc = head.Get<uint32_t>();
  *body = head.GetBytes(body_bytes);
  if (!head.ok()) return Bad("it is cut");
  if (magic != wire::kMagic) return Bad("it does not begin as one");
  if (version != wire::kVersion || reserved != 0)
    return Bad("version ", version, " is unknown; is the other broker newer?");
  if (ExtendCrc32c(Crc32c(bytes.view().substr(0, wire::kHeadBytes - 4)), *body) != crc)
    return Bad("the checksum differs");
  return packet;
}

}  // namespace

absl::StatusOr<Packet> DecodePacket(const SharedBytes& bytes) {
  if (bytes.size() > kMaxPacketBytes) return Bad(bytes.size(), " bytes are too many");
  std::string_view body;
  VARVE_ASSIGN_OR_RETURN(Packet packet, ReadHead(bytes, &body));
  ByteReader in(body);
  absl::Status status;
  if (GetFlag(&in, &status)) {
    VARVE_ASSIGN_OR_RETURN(packet.heartbeat, GetHeartbeat(in.GetSized()));
  }
  const auto count = in.Get<uint32_t>();
  VARVE_RETURN_IF_ERROR(status);
  if (count > in.remaining() / wire::kMessageHeadBytes)
    return Bad(count, " messages in ", in.remaining(), " bytes");
  MessageReader reader(&in, bytes, wire::kHeadBytes + body.size(), packet.from, packet.to);
  packet.messages.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    VARVE_ASSIGN_OR_RETURN(Message message, reader.Read());
    packet.messages.push_back(std::move(message));
  }
  const auto pieces = in.Get<uint32_t>();
  if (pieces > in.remaining() / wire::kPieceHeadBytes)
    return Bad(pieces, " pieces in ", in.remaining(), " bytes");
  packet.pieces.reserve(pieces);
  for (uint32_t i = 0; i < pieces; ++i) {
    VARVE_ASSIGN_OR_RETURN(PieceMessage piece, reader.ReadPiece());
    packet.pieces.push_back(std::move(piece));
  }
  if (!in.ok() || in.remaining() > 0 || reader.end() != bytes.size())
    return Bad("it does not end where its messages do");
  return packet;
}

}  // namespace varve::raft
