// Any bytes: the decoders of frames and bodies never misbehave, and what they accept encodes back
// to the same bytes.
#include <cstdint>
#include <string>
#include <string_view>

#include "common/check.h"
#include "common/config.h"
#include "common/entry.h"
#include "common/error.h"
#include "common/meta_entry.h"
#include "common/record_batch.h"

namespace varve {
namespace {

void CheckBodies(std::string_view bytes) {
  if (const auto configuration = DecodeConfiguration(bytes); configuration.ok()) {
    VARVE_CHECK(EncodeConfiguration(*configuration) == bytes, "configuration is not canonical");
  }
  if (const auto body = DecodeMeta(bytes); body.ok()) {
    VARVE_CHECK(EncodeMeta(*body) == bytes, "meta body is not canonical");
    VARVE_CHECK(IsSegmentStart(bytes) == std::holds_alternative<SegmentStart>(*body),
                "segment start misjudged");
  }
}

void CheckFrame(std::string_view bytes) {
  const auto header = DecodeEntryHeader(bytes);
  const auto verified = VerifyEntryFrame(bytes);
  if (!header.ok()) {
    VARVE_CHECK(!verified.ok(), "verified a frame whose header is refused");
    VARVE_CHECK(ReasonOf(header.status()) == Reason::DATA_LOSS, "unexpected reason");
    return;
  }
  if (verified.ok()) VARVE_CHECK(*verified == *header, "headers differ");
  if (header->frame_bytes() != bytes.size()) return;
  // Sealing what the header says must give a frame that verifies, if the batch (if any) is sound.
  const std::string_view payload = bytes.substr(kEntryHeaderBytes);
  const Entry sealed = FrameBuffer::Copy(payload).Seal(*header);
  const auto again = VerifyEntryFrame(sealed.frame.view());
  if (verified.ok()) VARVE_CHECK(sealed.frame.view() == bytes, "sealing again changes the frame");
  if (header->kind != EntryKind::kData) VARVE_CHECK(again.ok(), "sealed frame does not verify");
}

}  // namespace
}  // namespace varve

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  varve::CheckFrame(bytes);
  varve::CheckBodies(bytes);
  if (size > varve::kEntryHeaderBytes) varve::CheckBodies(bytes.substr(varve::kEntryHeaderBytes));
  return 0;
}
