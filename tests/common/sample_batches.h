// Batches for tests: well-formed samples, and headers around arbitrary record bytes.
#ifndef VARVE_TESTS_COMMON_SAMPLE_BATCHES_H_
#define VARVE_TESTS_COMMON_SAMPLE_BATCHES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/compression.h"
#include "common/record_batch.h"
#include "common/record_batch_builder.h"

namespace varve::testing {

inline constexpr Codec kAllCodecs[] = {Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4,
                                       Codec::kZstd};

// The records of golden_batches.py.
std::vector<Record> GoldenRecords();
// The batch of these records; the test fails when the builder refuses one.
std::string BatchOf(const std::vector<Record>& records, const BatchOptions& options = {});
// All records by the reader; `status` says how it ended.
std::vector<Record> RecordsOf(std::string_view batch, absl::Status* status);

// Puts the right CRC back after a test changed bytes.
void FixCrc(std::string* batch);
// A batch with right lengths, counts and CRC around `blob`, which is taken as it is.
struct RawBatch {
  std::string blob;
  int32_t count = 1;
  uint16_t attributes = 0;
  int64_t base_timestamp = 1000;
  int64_t max_timestamp = 1000;
};
std::string Encode(const RawBatch& raw);

// Encoded fields, for records that break a rule.
std::string Varint(int64_t v);
std::string Sized(std::string_view body);  // varint length, then the body

std::string FromHex(std::string_view hex);
// Text that compresses about as logs do; the same for the same seed.
std::string LogText(size_t bytes, uint32_t seed = 1);

}  // namespace varve::testing

#endif  // VARVE_TESTS_COMMON_SAMPLE_BATCHES_H_
