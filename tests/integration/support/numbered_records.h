// Records that say what they are: a value carries its producer, partition and sequence number, a
// pattern made from them, and a checksum. So a reader can tell lost, torn, doubled and misplaced
// records apart without any other knowledge.
#ifndef VARVE_TESTS_INTEGRATION_SUPPORT_NUMBERED_RECORDS_H_
#define VARVE_TESTS_INTEGRATION_SUPPORT_NUMBERED_RECORDS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace varve::testing {

// One sequence: the records of one producer in one partition, numbered from 0.
struct RecordNumber {
  uint32_t producer = 0;
  uint32_t partition = 0;
  uint64_t sequence = 0;
  bool operator==(const RecordNumber&) const = default;
};

// The value's length is a function of the number, too.
std::string EncodeNumbered(const RecordNumber& number);
// Nothing unless every byte is as EncodeNumbered made it.
std::optional<RecordNumber> DecodeNumbered(std::string_view value);

}  // namespace varve::testing

#endif  // VARVE_TESTS_INTEGRATION_SUPPORT_NUMBERED_RECORDS_H_
