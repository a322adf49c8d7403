// AckLedger: what was acknowledged, kept by a process that survives the broker, and the judgement
// of what the broker has later.
#ifndef VARVE_TESTS_INTEGRATION_ACK_LEDGER_H_
#define VARVE_TESTS_INTEGRATION_ACK_LEDGER_H_

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "tests/integration/support/numbered_records.h"

namespace varve::testing {

// Acknowledge and acknowledged are thread-safe; reading is for one thread at a time. The producers
// send each lane (producer, partition) in order of sequence number, and send again what was not
// acknowledged. Then a log is right exactly if
// - its offsets have no gap and its values are intact, in the partition they were sent to;
// - within a lane, each record follows its predecessor; a jump back, to send a batch again, is
//   allowed once for each kill, and repeats up to where the lane had been;
// - each acknowledged record lies at the offset of its acknowledgement, which is its last copy.
class AckLedger {
 public:
  AckLedger(uint32_t producers, uint32_t partitions);

  void Acknowledge(const RecordNumber& number, int64_t offset);
  [[nodiscard]] uint64_t acknowledged() const;

  // Begins reading at the first offset again.
  void BeginReading();
  // The next record of a partition. Empty, or what is wrong.
  std::string Read(uint32_t partition, int64_t offset, std::string_view value, uint32_t kills);
  // After Read of everything that was there when the acknowledgements in `known` were all in: none
  // is missing. Empty, or what is wrong.
  [[nodiscard]] std::string Judge(const std::vector<std::vector<int64_t>>& known) const;
  // For each lane, the offset at which each sequence number was acknowledged; -1: not yet.
  [[nodiscard]] std::vector<std::vector<int64_t>> Known() const;
  // Where reading goes on.
  [[nodiscard]] int64_t next_offset(uint32_t partition) const { return next_offset_[partition]; }
  [[nodiscard]] uint64_t copies() const { return copies_; }

 private:
  struct Lane {
    std::vector<int64_t> last_copy;  // of each sequence number read
    uint64_t next = 0;               // sequence number that must come now, or a jump back from it
    uint32_t jumps = 0;
  };
  [[nodiscard]] size_t LaneOf(const RecordNumber& number) const {
    return static_cast<size_t>(number.producer) * partitions_ + number.partition;
  }

  const uint32_t producers_;
  const uint32_t partitions_;
  mutable std::mutex mutex_;                        // guards the next two
  std::vector<std::vector<int64_t>> acknowledged_;  // by lane and sequence number: offset
  uint64_t count_ = 0;
  std::vector<Lane> lanes_;
  std::vector<int64_t> next_offset_;
  uint64_t copies_ = 0;
};

}  // namespace varve::testing

#endif  // VARVE_TESTS_INTEGRATION_ACK_LEDGER_H_
