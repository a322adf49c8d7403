// MarkNote: what brokers tell each other of their data directories with every heartbeat, so that a
// restored image is found out (docs/recovery.md, "Restored images"; docs/peer_protocol.md,
// "Marks").
#ifndef VARVE_SERVER_MARK_NOTE_H_
#define VARVE_SERVER_MARK_NOTE_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "storage/restored_image.h"

namespace varve::server {

struct MarkNote {
  storage::NodeMarks said;       // of the sender's directory
  storage::PeerMark remembered;  // of the receiver's; incomplete: nothing
};

std::string EncodeMarkNote(const MarkNote& note);
// DATA_LOSS for what is not one (hostile input is fine). The notes name no nodes: they are `from`
// and `to`.
absl::StatusOr<MarkNote> DecodeMarkNote(std::string_view bytes, NodeId from, NodeId to);

}  // namespace varve::server

#endif  // VARVE_SERVER_MARK_NOTE_H_
