#include "common/record_batch.h"

#include "common/bytes.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "common/record_batch_layout.h"

namespace varve {

using namespace batch_layout;  // NOLINT: positions and bits, private to the batch's own files

absl::StatusOr<RecordBatchView> RecordBatchView::ParsePrefix(std::string_view bytes) {
  if (bytes.size() < kBatchHeaderBytes) {
    return MakeError(Reason::CORRUPT_BATCH, "record batch of ", bytes.size(),
                     " bytes is shorter than its header of ", kBatchHeaderBytes);
  }
  const auto length = LoadBig<int32_t>(bytes.data() + kLengthAt);
  constexpr auto kLeast = static_cast<int32_t>(kBatchHeaderBytes - kBatchPrefixBytes);
  if (length < kLeast || static_cast<size_t>(length) > bytes.size() - kBatchPrefixBytes) {
    return MakeError(Reason::CORRUPT_BATCH, "record batch claims ", length, " bytes of the ",
                     bytes.size() - kBatchPrefixBytes, " that follow its length");
  }
  const auto magic = LoadBig<int8_t>(bytes.data() + kMagicAt);
  if (magic != kBatchMagic) {
    return MakeError(Reason::INVALID_BATCH, "record batch of magic ", +magic,
                     "; only version 2 is understood");
  }
  return RecordBatchView(bytes.substr(0, kBatchPrefixBytes + static_cast<size_t>(length)));
}

absl::StatusOr<RecordBatchView> RecordBatchView::Parse(std::string_view bytes) {
  VARVE_ASSIGN_OR_RETURN(RecordBatchView view, ParsePrefix(bytes));
  if (view.bytes().size() != bytes.size()) {
    return MakeError(Reason::CORRUPT_BATCH, "record batch of ", view.bytes().size(), " bytes has ",
                     bytes.size() - view.bytes().size(), " bytes behind it");
  }
  return view;
}

Offset RecordBatchView::base_offset() const {
  return Offset{LoadBig<int64_t>(bytes_.data() + kBaseOffsetAt)};
}
Offset RecordBatchView::last_offset() const {
  // Wraps for a hostile base offset instead of being undefined.
  return Offset{static_cast<int64_t>(static_cast<uint64_t>(base_offset().value()) +
                                     static_cast<uint64_t>(int64_t{last_offset_delta()}))};
}
int32_t RecordBatchView::leader_epoch() const {
  return LoadBig<int32_t>(bytes_.data() + kLeaderEpochAt);
}
uint32_t RecordBatchView::crc() const { return LoadBig<uint32_t>(bytes_.data() + kCrcAt); }
bool RecordBatchView::crc_ok() const { return Crc32c(bytes_.substr(kBatchCrcCoversFrom)) == crc(); }
uint16_t RecordBatchView::attributes() const {
  return LoadBig<uint16_t>(bytes_.data() + kAttributesAt);
}
Codec RecordBatchView::codec() const { return static_cast<Codec>(attributes() & kCodecBits); }
TimestampType RecordBatchView::timestamp_type() const {
  return (attributes() & kLogAppendTimeBit) != 0 ? TimestampType::kLogAppendTime
                                                 : TimestampType::kCreateTime;
}
bool RecordBatchView::is_transactional() const { return (attributes() & kTransactionalBit) != 0; }
bool RecordBatchView::is_control() const { return (attributes() & kControlBit) != 0; }
bool RecordBatchView::has_delete_horizon() const { return (attributes() & kDeleteHorizonBit) != 0; }
int32_t RecordBatchView::last_offset_delta() const {
  return LoadBig<int32_t>(bytes_.data() + kLastOffsetDeltaAt);
}
WallTime RecordBatchView::base_timestamp() const {
  return WallTime{LoadBig<int64_t>(bytes_.data() + kBaseTimestampAt)};
}
WallTime RecordBatchView::max_timestamp() const {
  return WallTime{LoadBig<int64_t>(bytes_.data() + kMaxTimestampAt)};
}
int64_t RecordBatchView::producer_id() const {
  return LoadBig<int64_t>(bytes_.data() + kProducerIdAt);
}
int16_t RecordBatchView::producer_epoch() const {
  return LoadBig<int16_t>(bytes_.data() + kProducerEpochAt);
}
int32_t RecordBatchView::base_sequence() const {
  return LoadBig<int32_t>(bytes_.data() + kBaseSequenceAt);
}
int32_t RecordBatchView::record_count() const {
  return LoadBig<int32_t>(bytes_.data() + kRecordCountAt);
}

void StampBatch(char* batch, Offset base_offset, int32_t leader_epoch) {
  StoreBig(batch + kBaseOffsetAt, base_offset.value());
  StoreBig(batch + kLeaderEpochAt, leader_epoch);
}

}  // namespace varve
