// Any bytes as a derived state: refused by name, or read and written again to the same bytes. The
// second time with a right checksum and, where the items can be read, with their digest, so that
// more than those is reached.
#include <cstdint>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/check.h"
#include "common/crc32c.h"
#include "common/derived_state.h"
#include "common/error.h"

namespace varve {
namespace {

constexpr size_t kHeadBytes = 72;
constexpr size_t kDigestAt = 40;
constexpr size_t kTailBytes = 8;

void SealChecksum(std::string* bytes) {
  StoreLittle(bytes->data() + bytes->size() - 4,
              Crc32c(std::string_view(*bytes).substr(0, bytes->size() - 4)));
}

// The digest of whatever items can be made out.
void Seal(std::string* bytes) {
  if (bytes->size() < kHeadBytes + kTailBytes) return;
  bytes->replace(0, 4, "VDST");
  bytes->replace(bytes->size() - kTailBytes, 4, "VDSE");
  StateItems items;
  ByteReader in(
      std::string_view(*bytes).substr(kHeadBytes, bytes->size() - kHeadBytes - kTailBytes));
  while (in.remaining() > 0 && in.ok()) {
    const auto type = in.Get<uint16_t>();
    (void)in.Get<uint16_t>();
    (void)in.Get<uint32_t>();
    const auto count = in.Get<uint64_t>();
    (void)in.Get<uint64_t>();
    for (uint64_t i = 0; i < count && in.ok() && in.remaining() > 0; ++i) {
      const std::string_view key = in.GetSized();
      const std::string_view value = in.GetSized();
      if (!in.ok() || type < 1 || type > kStateSections || key.size() > kMaxStateKeyBytes ||
          value.size() > kMaxStateValueBytes)
        break;
      items.Put(static_cast<StateSection>(type), key, value);
    }
  }
  StoreLittle(bytes->data() + kDigestAt, items.digest().sum[0]);
  StoreLittle(bytes->data() + kDigestAt + 8, items.digest().sum[1]);
  StoreLittle(bytes->data() + kDigestAt + 16, items.digest().items);
  SealChecksum(bytes);
}

void Check(std::string_view bytes) {
  StateItems items;
  const auto read = DecodeState(bytes, &items);
  if (!read.ok()) {
    const Reason why = ReasonOf(read.status());
    VARVE_CHECK(why == Reason::DATA_LOSS || why == Reason::NEWER_FORMAT, MessageOf(read.status()));
    return;
  }
  VARVE_CHECK(EncodeState(read->at, items) == bytes, "reading and writing changed a state");
}

}  // namespace
}  // namespace varve

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  varve::Check(bytes);
  varve::Seal(&bytes);
  varve::Check(bytes);
  return 0;
}
