// From batches as they come from a broker to Records.
#ifndef VARVE_CLIENT_CORE_RECORD_DECODER_H_
#define VARVE_CLIENT_CORE_RECORD_DECODER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "varve/reader.h"
#include "varve/record.h"
#include "varve/status.h"

namespace varve {
inline namespace v0 {

// Fills Records.
class RecordsAccess {
 public:
  static std::vector<ReadRecord>& records(Records& to) { return to.records_; }
  static std::vector<std::shared_ptr<const void>>& keep(Records& to) { return to.keep_; }
};

}  // namespace v0

namespace client {

// Appends the records of `batches` with offsets in [from, until) to *out, which then shares the
// bytes. Checks every batch's CRC. On an error (CORRUPT_BATCH, INVALID_BATCH, BATCH_TOO_LARGE,
// UNSUPPORTED_COMPRESSION) the records before the bad batch have been appended.
Status DecodeBatches(std::shared_ptr<const std::string> batches,
                     std::shared_ptr<const TopicPartition> partition, int64_t from, int64_t until,
                     Records* out);

}  // namespace client
}  // namespace varve

#endif  // VARVE_CLIENT_CORE_RECORD_DECODER_H_
