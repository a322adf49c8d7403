// What is written is of one of three classes, when space on the disk is short.
#ifndef VARVE_STORAGE_SPACE_CLASS_H_
#define VARVE_STORAGE_SPACE_CLASS_H_

#include <cstdint>

namespace varve::storage {

enum class SpaceClass : uint8_t {
  kData,    // what users append: only while the whole reserve is there
  kSystem,  // zero-width entries, transaction markers, internal partitions: before its last part
  kVital,   // hard state, Config entries, trims: as long as anything is left
};

// Bytes.
struct SpaceStats {
  uint64_t reserve = 0;         // on the disk now
  uint64_t reserve_target = 0;  // what is wanted
  uint64_t under_way = 0;       // what journal frames will still take in segments
  uint64_t draws = 0;           // times that a write took room from the reserve
  bool is_short = false;        // user data is refused
};

}  // namespace varve::storage

#endif  // VARVE_STORAGE_SPACE_CLASS_H_
