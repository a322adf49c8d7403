// Bytes of packets: writing. The layout is in docs/peer_protocol.md, "Packets".
#include <type_traits>

#include "common/config.h"
#include "common/crc32c.h"
#include "raft/shell/packet.h"
#include "raft/shell/packet_layout.h"

namespace varve::raft {
namespace {

void PutReport(const FollowerReport& report, ByteWriter* out) {
  out->Put(report.match.value());
  out->Put(report.received.value());
  out->Put(report.commit.value());
  out->Put(report.folded.value());
  out->Put(static_cast<uint8_t>(report.full));
}

void PutPoint(const InstallPoint& point, ByteWriter* out) {
  out->Put(point.start.index.value());
  out->Put(point.start.offset.value());
  out->Put(point.start.previous_term.value());
  out->Put(point.end.last_index.value());
  out->Put(point.end.last_term.value());
  out->Put(point.end.next_offset.value());
  out->Put(point.end.append_time.value());
  out->Put(point.configuration.index.value());
  out->PutSized(EncodeConfiguration(point.configuration.configuration));
  out->Put(point.consistent_from.value());
  out->Put(static_cast<uint32_t>(point.epochs.size()));
  for (const EpochStart& epoch : point.epochs) {
    out->Put(epoch.term.value());
    out->Put(epoch.index.value());
    out->Put(epoch.offset.value());
  }
}

size_t BytesOf(const std::vector<Entry>& entries) {
  size_t sum = 0;
  for (const Entry& entry : entries) sum += entry.frame.size();
  return sum;
}

void PutEntries(const std::vector<Entry>& entries, ByteWriter* out,
                std::vector<SharedBytes>* parts) {
  out->Put(static_cast<uint32_t>(entries.size()));
  for (const Entry& entry : entries) {
    out->Put(static_cast<uint32_t>(entry.frame.size()));
    parts->push_back(entry.frame);
  }
}

struct PutBody {
  ByteWriter* out;
  std::vector<SharedBytes>* parts;

  void operator()(const VoteRequest& request) const {
    out->Put(static_cast<uint8_t>(request.forced));
    out->Put(request.last_index.value());
    out->Put(request.last_term.value());
  }
  void operator()(const VoteReply& reply) const {
    out->Put(static_cast<uint8_t>(reply.granted));
    out->Put(reply.asked.value());
  }
  void operator()(const AppendRequest& append) const {
    out->Put(append.prev_index.value());
    out->Put(append.prev_term.value());
    out->Put(append.commit.value());
    out->Put(append.floor.value());
    PutEntries(append.entries, out, parts);
  }
  void operator()(const AppendReply& reply) const {
    out->Put(static_cast<uint8_t>(reply.rejected));
    PutReport(reply.report, out);
    out->Put(reply.rejected_prev.value());
    out->Put(reply.hint_index.value());
    out->Put(reply.hint_term.value());
  }
  void operator()(const Heartbeat& heartbeat) const {
    out->Put(heartbeat.commit.value());
    out->Put(heartbeat.floor.value());
    out->Put(static_cast<uint8_t>(heartbeat.vouches));
  }
  void operator()(const HeartbeatReply& reply) const { PutReport(reply.report, out); }
  void operator()(const InstallRequest& request) const { PutPoint(request.point, out); }
  void operator()(const InstallReply& reply) const { PutReport(reply.report, out); }
  void operator()(const ReadProbe& probe) const { out->Put(probe.context); }
  void operator()(const ReadProbeReply& reply) const { out->Put(reply.context); }
  void operator()(const TimeoutNow&) const {}
};

void PutMessage(const Message& message, ByteWriter* out, std::vector<SharedBytes>* parts) {
  out->Put(wire::CodeOf(TypeOf(message)));
  out->Put(message.group.value());
  out->Put(message.from.epoch.value());
  out->Put(message.to.epoch.value());
  out->Put(message.term.value());
  std::visit(PutBody{out, parts}, message.body);
}

void PutPiece(const PieceMessage& message, ByteWriter* out, std::vector<SharedBytes>* parts) {
  std::visit(
      [&](const auto& piece) {
        out->Put(wire::kPieceCode<std::decay_t<decltype(piece)>>);
        out->Put(piece.group.value());
        out->Put(piece.from_replica.epoch.value());
        out->Put(piece.to_replica.epoch.value());
        out->Put(piece.token);
        out->Put(piece.from.value());
      },
      message);
  if (const auto* request = std::get_if<PieceRequest>(&message)) {
    out->Put(request->through.value());
    out->Put(request->max_bytes);
  } else {
    PutEntries(std::get<Piece>(message).entries, out, parts);
  }
}

void PutVersion(const TableVersion& version, ByteWriter* out) {
  out->Put(version.process_epoch);
  out->Put(version.generation);
}

void PutHeartbeat(const NodeHeartbeat& heartbeat, ByteWriter* out) {
  PutVersion(heartbeat.newest, out);
  out->Put(heartbeat.base);
  out->Put(heartbeat.through);
  PutVersion(heartbeat.known, out);
  out->PutSized(heartbeat.note);
  out->Put(heartbeat.clock.value());
  out->Put(heartbeat.recovery_number);
  out->Put(static_cast<uint32_t>(heartbeat.led.size()));
  out->Put(static_cast<uint32_t>(heartbeat.not_led.size()));
  for (const LedGroup& led : heartbeat.led) {
    out->Put(led.group.value());
    out->Put(led.term.value());
    out->Put(static_cast<uint8_t>(led.quiet));
  }
  for (const GroupId group : heartbeat.not_led) out->Put(group.value());
}

}  // namespace

size_t EntryBytes(const Message& message) {
  const auto* append = std::get_if<AppendRequest>(&message.body);
  return append == nullptr ? 0 : BytesOf(append->entries);
}

size_t EntryBytes(const PieceMessage& message) {
  const auto* piece = std::get_if<Piece>(&message);
  return piece == nullptr ? 0 : BytesOf(piece->entries);
}

NodeId ReceiverOf(const PieceMessage& message) {
  return std::visit([](const auto& piece) { return piece.to_replica.node; }, message);
}

OutgoingPacket EncodePacket(const Packet& packet) {
  OutgoingPacket out;
  std::string body;
  ByteWriter writer(&body);
  writer.Put(static_cast<uint8_t>(packet.heartbeat.has_value()));
  if (packet.heartbeat) {
    std::string heartbeat;
    ByteWriter inner(&heartbeat);
    PutHeartbeat(*packet.heartbeat, &inner);
    writer.PutSized(heartbeat);
  }
  writer.Put(static_cast<uint32_t>(packet.messages.size()));
  for (const Message& message : packet.messages) PutMessage(message, &writer, &out.parts);
  writer.Put(static_cast<uint32_t>(packet.pieces.size()));
  for (const PieceMessage& piece : packet.pieces) PutPiece(piece, &writer, &out.parts);

  ByteWriter head(&out.head);
  head.Put(wire::kMagic);
  head.Put(wire::kVersion);
  head.Put(uint16_t{0});
  head.Put(packet.from.value());
  head.Put(packet.to.value());
  head.Put(static_cast<uint32_t>(body.size()));
  // Of the head without itself, then the body.
  head.Put(ExtendCrc32c(Crc32c(out.head), body));
  head.PutBytes(body);
  return out;
}

}  // namespace varve::raft
