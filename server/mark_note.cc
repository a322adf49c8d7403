#include "server/mark_note.h"

#include <algorithm>

#include "common/bytes.h"
#include "common/error.h"

namespace varve::server {
namespace {

constexpr uint8_t kVersion = 1;

void PutMark(const storage::PeerMark& mark, ByteWriter* out) {
  out->PutBytes(
      {reinterpret_cast<const char*>(mark.directory.bytes.data()), mark.directory.bytes.size()});
  out->Put(mark.process_epoch);
  out->Put(mark.incarnation);
  out->Put(mark.durable.value());
}

storage::PeerMark GetMark(NodeId node, ByteReader* in) {
  storage::PeerMark mark;
  mark.node = node;
  const std::string_view directory = in->GetBytes(mark.directory.bytes.size());
  std::copy(directory.begin(), directory.end(), mark.directory.bytes.begin());
  mark.process_epoch = in->Get<uint64_t>();
  mark.incarnation = in->Get<uint64_t>();
  mark.durable = CommitSequence{in->Get<uint64_t>()};
  return mark;
}

}  // namespace

std::string EncodeMarkNote(const MarkNote& note) {
  std::string bytes;
  ByteWriter out(&bytes);
  out.Put(kVersion);
  out.Put(static_cast<uint8_t>(note.said.recovered.has_value()));
  PutMark(note.said.now, &out);
  PutMark(note.said.recovered.value_or(storage::PeerMark{}), &out);
  out.Put(note.said.settled_epoch);
  PutMark(note.remembered, &out);
  return bytes;
}

absl::StatusOr<MarkNote> DecodeMarkNote(std::string_view bytes, NodeId from, NodeId to) {
  ByteReader in(bytes);
  const auto version = in.Get<uint8_t>();
  const auto recovered = in.Get<uint8_t>();
  MarkNote note;
  note.said.now = GetMark(from, &in);
  const storage::PeerMark began = GetMark(from, &in);
  if (recovered == 1) note.said.recovered = began;
  note.said.settled_epoch = in.Get<uint64_t>();
  note.remembered = GetMark(to, &in);
  if (!in.ok() || version != kVersion || recovered > 1)
    return MakeError(Reason::DATA_LOSS, "a note of ", bytes.size(), " bytes and version ",
                     static_cast<int>(version), " holds no marks of directories");
  return note;
}

}  // namespace varve::server
