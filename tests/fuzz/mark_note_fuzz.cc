// Any bytes as a note of marks: refused by name, or read and written again to the same content.
#include <cstdint>
#include <string_view>

#include "common/check.h"
#include "common/error.h"
#include "server/mark_note.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace varve;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto note = server::DecodeMarkNote(bytes, NodeId{1}, NodeId{2});
  if (!note.ok()) {
    VARVE_CHECK(ReasonOf(note.status()) == Reason::DATA_LOSS, MessageOf(note.status()));
    return 0;
  }
  const auto again = server::DecodeMarkNote(server::EncodeMarkNote(*note), NodeId{1}, NodeId{2});
  VARVE_CHECK(again.ok() && again->said.now == note->said.now &&
              again->said.recovered == note->said.recovered &&
              again->remembered == note->remembered);
  // The rule takes any marks.
  (void)storage::JudgeMark(note->said, note->remembered);
  (void)storage::JudgePeer(note->said, note->remembered);
  return 0;
}
