// Any bytes as a packet of another broker: refused by name, or read and written again to the same
// bytes. Bytes with a right magic get right checksums first, so that more than those is reached.
#include <cstdint>
#include <string>
#include <string_view>

#include "common/check.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "raft/shell/packet.h"
#include "raft/shell/packet_layout.h"

namespace varve::raft {
namespace {

void Seal(std::string* bytes) {
  if (bytes->size() < wire::kHeadBytes) return;
  const std::string_view head = std::string_view(*bytes).substr(0, wire::kHeadBytes - 4);
  const auto body_bytes = LoadLittle<uint32_t>(bytes->data() + wire::kHeadBytes - 8);
  const std::string_view body = std::string_view(*bytes).substr(wire::kHeadBytes, body_bytes);
  StoreLittle(bytes->data() + wire::kHeadBytes - 4, ExtendCrc32c(Crc32c(head), body));
}

void Check(std::string bytes) {
  const auto read = DecodePacket(SharedBytes::Copy(bytes));
  if (!read.ok()) {
    VARVE_CHECK(ReasonOf(read.status()) == Reason::DATA_LOSS, MessageOf(read.status()));
    return;
  }
  const OutgoingPacket again = EncodePacket(*read);
  std::string out = again.head;
  for (const SharedBytes& part : again.parts) out.append(part.view());
  // A later version's heartbeat may be longer; all else comes back as it was.
  if (!read->heartbeat) VARVE_CHECK(out == bytes, "reading and writing changed a packet");
}

}  // namespace
}  // namespace varve::raft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  varve::raft::Check(bytes);
  varve::raft::Seal(&bytes);
  varve::raft::Check(std::move(bytes));
  return 0;
}
