#include "common/entry.h"

#include <limits>

#include "common/check.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "common/limits.h"
#include "common/record_batch.h"

namespace varve {
namespace {

// Positions in the frame header; docs/formats.md, "Entry frame".
constexpr size_t kLengthAt = 0;
constexpr size_t kCrcAt = 4;
constexpr size_t kVersionAt = 8;
constexpr size_t kKindAt = 9;
constexpr size_t kFlagsAt = 10;
constexpr size_t kReservedAt = 12;
constexpr size_t kGroupAt = 16;
constexpr size_t kFirstIndexAt = 24;
constexpr size_t kLastIndexAt = 32;
constexpr size_t kTermAt = 40;
constexpr size_t kBaseOffsetAt = 48;
constexpr size_t kLastOffsetAt = 56;
constexpr size_t kAppendTimeAt = 64;
static_assert(kAppendTimeAt + sizeof(int64_t) == kEntryHeaderBytes);

// Smallest encodings of the zero-width bodies: a configuration of empty lists, a meta header.
constexpr size_t kMinConfigurationBytes = 20;
constexpr size_t kMinMetaBytes = 4;

// Header and every payload byte that no checksum of the payload covers, but for the checksum
// itself.
uint32_t FrameCrc(EntryKind kind, std::string_view frame) {
  const size_t end =
      kind == EntryKind::kData ? kEntryHeaderBytes + kBatchCrcCoversFrom : frame.size();
  return ExtendCrc32c(Crc32c(frame.substr(0, kCrcAt)), frame.substr(kVersionAt, end - kVersionAt));
}

void StoreHeader(const EntryHeader& header, char* at) {
  StoreLittle(at + kLengthAt, static_cast<uint32_t>(header.frame_bytes()));
  StoreLittle(at + kCrcAt, uint32_t{0});
  StoreLittle(at + kVersionAt, kEntryVersion);
  StoreLittle(at + kKindAt, static_cast<uint8_t>(header.kind));
  StoreLittle(at + kFlagsAt, header.flags);
  StoreLittle(at + kReservedAt, uint32_t{0});
  StoreLittle(at + kGroupAt, header.group.value());
  StoreLittle(at + kFirstIndexAt, header.first_index.value());
  StoreLittle(at + kLastIndexAt, header.last_index.value());
  StoreLittle(at + kTermAt, header.term.value());
  StoreLittle(at + kBaseOffsetAt, header.base_offset.value());
  StoreLittle(at + kLastOffsetAt, header.last_offset.value());
  StoreLittle(at + kAppendTimeAt, header.append_time.value());
}

EntryHeader LoadHeader(const char* at) {
  EntryHeader header;
  header.kind = static_cast<EntryKind>(LoadLittle<uint8_t>(at + kKindAt));
  header.flags = LoadLittle<uint16_t>(at + kFlagsAt);
  header.payload_bytes = LoadLittle<uint32_t>(at + kLengthAt) - uint32_t{kEntryHeaderBytes};
  header.group = GroupId{LoadLittle<uint64_t>(at + kGroupAt)};
  header.first_index = Index{LoadLittle<uint64_t>(at + kFirstIndexAt)};
  header.last_index = Index{LoadLittle<uint64_t>(at + kLastIndexAt)};
  header.term = Term{LoadLittle<uint64_t>(at + kTermAt)};
  header.base_offset = Offset{LoadLittle<int64_t>(at + kBaseOffsetAt)};
  header.last_offset = Offset{LoadLittle<int64_t>(at + kLastOffsetAt)};
  header.append_time = WallTime{LoadLittle<int64_t>(at + kAppendTimeAt)};
  return header;
}

bool PayloadSizeFits(EntryKind kind, size_t bytes) {
  switch (kind) {
    case EntryKind::kData:
      return bytes >= kBatchHeaderBytes;
    case EntryKind::kBarrier:
      return bytes == 0;
    case EntryKind::kConfig:
      return bytes >= kMinConfigurationBytes;
    case EntryKind::kMeta:
      return bytes >= kMinMetaBytes;
  }
  return false;
}

bool OffsetsFit(const EntryHeader& header) {
  constexpr int64_t kLast = std::numeric_limits<int64_t>::max() - 1;  // next_offset() must exist
  const int64_t base = header.base_offset.value();
  const int64_t last = header.last_offset.value();
  if (base < 0 || base > kLast || last > kLast) return false;
  if (header.kind != EntryKind::kData) return last == base - 1;
  return last >= base && last - base <= std::numeric_limits<int32_t>::max();
}

// What is wrong with the fields taken together; empty when nothing is.
std::string_view Contradiction(const EntryHeader& header) {
  if (header.kind < EntryKind::kData || header.kind > EntryKind::kMeta) return "unknown kind";
  if ((header.flags & ~kEntryFlagCompacted) != 0) return "unknown flags";
  if (header.payload_bytes > limits::kMaxEntryPayloadBytes) return "length beyond the limit";
  if (!PayloadSizeFits(header.kind, header.payload_bytes)) return "length does not fit the kind";
  if (header.group == GroupId{}) return "no group";
  // Term 0 is that of the bootstrap entry alone, which no leader wrote (docs/formats.md).
  const bool bootstrap = header.kind == EntryKind::kMeta && header.first_index == Index{1};
  if ((header.term == Term{} && !bootstrap) || header.term > kMaxTerm) return "term out of range";
  const bool compacted = (header.flags & kEntryFlagCompacted) != 0;
  if (header.first_index == Index{} || header.last_index < header.first_index ||
      (!compacted && header.last_index != header.first_index)) {
    return "indices contradict each other";
  }
  if (!OffsetsFit(header)) return "offsets contradict each other";
  return {};
}

absl::Status Damaged(const EntryHeader& header, std::string_view what) {
  return MakeError(Reason::DATA_LOSS, "entry frame of group ", header.group, " index ",
                   header.first_index, " kind ", static_cast<int>(header.kind), ": ", what);
}

// The batch of a Data frame: its own checksum, and what header and batch both say.
absl::Status CheckBatch(const EntryHeader& header, std::string_view payload) {
  const auto batch = RecordBatchView::Parse(payload);
  if (!batch.ok()) return Damaged(header, MessageOf(batch.status()));
  if (!batch->crc_ok()) return Damaged(header, "record batch fails its CRC");
  if (batch->base_offset() != header.base_offset) return Damaged(header, "base offset differs");
  if (batch->leader_epoch() != static_cast<int32_t>(header.term.value())) {
    return Damaged(header, "leader epoch of the batch is not the term");
  }
  if (batch->last_offset_delta() != header.last_offset - header.base_offset) {
    return Damaged(header, "last offset differs");
  }
  return absl::OkStatus();
}

}  // namespace

// The array comes without zeroes: the payload is overwritten in full.
FrameBuffer::FrameBuffer(size_t payload_bytes)
    : bytes_(std::make_shared_for_overwrite<char[]>(kEntryHeaderBytes + payload_bytes)),
      payload_bytes_(payload_bytes) {}

FrameBuffer FrameBuffer::Copy(std::string_view payload) {
  FrameBuffer out(payload.size());
  if (!payload.empty()) std::memcpy(out.payload(), payload.data(), payload.size());
  return out;
}

Entry FrameBuffer::Seal(EntryHeader header) && {
  VARVE_CHECK(!empty(), "sealing an empty frame buffer");
  VARVE_CHECK(payload_bytes_ <= limits::kMaxEntryPayloadBytes, "payload of ", payload_bytes_,
              " bytes");
  header.payload_bytes = static_cast<uint32_t>(payload_bytes_);
  const std::string_view wrong = Contradiction(header);
  VARVE_CHECK(wrong.empty(), "group ", header.group, " index ", header.first_index, ": ", wrong);
  if (header.kind == EntryKind::kData) {
    StampBatch(payload(), header.base_offset, static_cast<int32_t>(header.term.value()));
  }
  StoreHeader(header, bytes_.get());
  const std::string_view frame(bytes_.get(), header.frame_bytes());
  StoreLittle(bytes_.get() + kCrcAt, FrameCrc(header.kind, frame));
  payload_bytes_ = 0;
  return Entry{header, SharedBytes(std::move(bytes_), frame)};
}

absl::StatusOr<EntryHeader> DecodeEntryHeader(std::string_view bytes) {
  if (bytes.size() < kEntryHeaderBytes) {
    return MakeError(Reason::DATA_LOSS, "entry frame: ", bytes.size(), " bytes are no header");
  }
  const char* at = bytes.data();
  const auto version = LoadLittle<uint8_t>(at + kVersionAt);
  if (version != kEntryVersion) {
    return MakeError(Reason::DATA_LOSS, "entry frame of unknown version ", +version);
  }
  const auto length = LoadLittle<uint32_t>(at + kLengthAt);
  if (length < kEntryHeaderBytes || LoadLittle<uint32_t>(at + kReservedAt) != 0) {
    return MakeError(Reason::DATA_LOSS, "entry frame: length ", length, " or reserved bytes wrong");
  }
  const EntryHeader header = LoadHeader(at);
  const std::string_view wrong = Contradiction(header);
  if (!wrong.empty()) return Damaged(header, wrong);
  return header;
}

absl::StatusOr<EntryHeader> VerifyEntryFrame(std::string_view bytes) {
  VARVE_ASSIGN_OR_RETURN(const EntryHeader header, DecodeEntryHeader(bytes));
  if (bytes.size() != header.frame_bytes()) {
    return MakeError(Reason::DATA_LOSS, "entry frame of ", header.frame_bytes(), " bytes in ",
                     bytes.size());
  }
  if (FrameCrc(header.kind, bytes) != LoadLittle<uint32_t>(bytes.data() + kCrcAt)) {
    return Damaged(header, "checksum differs");
  }
  if (header.kind == EntryKind::kData) {
    VARVE_RETURN_IF_ERROR(CheckBatch(header, bytes.substr(kEntryHeaderBytes)));
  }
  return header;
}

}  // namespace varve
