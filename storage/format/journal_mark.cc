#include "storage/format/journal_mark.h"

#include "common/bytes.h"
#include "common/crc32c.h"

namespace varve::storage {
namespace {

constexpr uint32_t kMagic = 0x4B524D56;  // "VMRK"
constexpr uint32_t kVersion = 1;
constexpr size_t kVersionAt = 4;
constexpr size_t kFileAt = 8;
constexpr size_t kGenerationAt = 16;
constexpr size_t kBytesAt = 24;
constexpr size_t kCrcAt = 32;

std::optional<JournalMark> DecodeSlot(std::string_view slot) {
  const char* at = slot.data();
  if (LoadLittle<uint32_t>(at) != kMagic) return std::nullopt;
  if (LoadLittle<uint32_t>(at + kCrcAt) != Crc32c(slot.substr(0, kCrcAt))) return std::nullopt;
  // A newer version says more, not something else: the fields stay.
  JournalMark mark;
  mark.newest.file = FileNumber{LoadLittle<uint64_t>(at + kFileAt)};
  mark.newest.generation = Generation{LoadLittle<uint64_t>(at + kGenerationAt)};
  mark.bytes = LoadLittle<uint64_t>(at + kBytesAt);
  return mark;
}

}  // namespace

std::string EncodeJournalMark(const JournalMark& mark) {
  std::string slot(limits::kBlockBytes, '\0');
  char* at = slot.data();
  StoreLittle(at, kMagic);
  StoreLittle(at + kVersionAt, kVersion);
  StoreLittle(at + kFileAt, mark.newest.file.value());
  StoreLittle(at + kGenerationAt, mark.newest.generation.value());
  StoreLittle(at + kBytesAt, mark.bytes);
  StoreLittle(at + kCrcAt, Crc32c(std::string_view(slot).substr(0, kCrcAt)));
  return slot;
}

uint64_t JournalMarkPosition(Generation generation) {
  return generation.value() % 2 * limits::kBlockBytes;
}

std::optional<JournalMark> DecodeJournalMark(std::string_view file) {
  std::optional<JournalMark> newest;
  for (size_t at = 0; at + limits::kBlockBytes <= file.size() && at < kJournalMarkBytes;
       at += limits::kBlockBytes) {
    const auto mark = DecodeSlot(file.substr(at, limits::kBlockBytes));
    if (mark && (!newest || newest->newest.generation < mark->newest.generation)) newest = mark;
  }
  return newest;
}

}  // namespace varve::storage
