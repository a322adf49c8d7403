// Positions and attribute bits of the batch header, shared by the files that read and write it.
#ifndef VARVE_COMMON_RECORD_BATCH_LAYOUT_H_
#define VARVE_COMMON_RECORD_BATCH_LAYOUT_H_

#include <cstddef>
#include <cstdint>

namespace varve::batch_layout {

inline constexpr size_t kBaseOffsetAt = 0;
inline constexpr size_t kLengthAt = 8;
inline constexpr size_t kLeaderEpochAt = 12;
inline constexpr size_t kMagicAt = 16;
inline constexpr size_t kCrcAt = 17;
inline constexpr size_t kAttributesAt = 21;
inline constexpr size_t kLastOffsetDeltaAt = 23;
inline constexpr size_t kBaseTimestampAt = 27;
inline constexpr size_t kMaxTimestampAt = 35;
inline constexpr size_t kProducerIdAt = 43;
inline constexpr size_t kProducerEpochAt = 51;
inline constexpr size_t kBaseSequenceAt = 53;
inline constexpr size_t kRecordCountAt = 57;

inline constexpr uint16_t kCodecBits = 0x07;
inline constexpr uint16_t kLogAppendTimeBit = 0x08;
inline constexpr uint16_t kTransactionalBit = 0x10;
inline constexpr uint16_t kControlBit = 0x20;
inline constexpr uint16_t kDeleteHorizonBit = 0x40;

}  // namespace varve::batch_layout

#endif  // VARVE_COMMON_RECORD_BATCH_LAYOUT_H_
