// LoadLedger: which numbered records were sent, acknowledged and read back, and the longest time in
// which a partition acknowledged nothing.
#ifndef VARVE_CLIENT_DEMO_LOAD_LEDGER_H_
#define VARVE_CLIENT_DEMO_LOAD_LEDGER_H_

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace varve::demo {

struct LoadSummary {
  uint64_t sent = 0;
  uint64_t acknowledged = 0;
  uint64_t failed = 0;  // reported as such; they may be in the log or not
  // Of what was read back:
  uint64_t read = 0;
  uint64_t lost = 0;        // acknowledged, and not in the log
  uint64_t duplicated = 0;  // copies beyond the first
  std::chrono::milliseconds longest_gap{0};
};

// Thread-safe. Each partition has numbers of its own, from 0.
class LoadLedger {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit LoadLedger(uint32_t partitions) : partitions_(partitions) {}

  // The number of the next record of the partition, which counts as sent from now on.
  uint64_t Send(uint32_t partition);
  void Acknowledge(uint32_t partition, uint64_t number, Time now);
  void Fail();
  // A record that was read back. False when it was never sent.
  bool Read(uint32_t partition, uint64_t number);

  [[nodiscard]] LoadSummary Summary() const;
  // Whether each partition has acknowledged something since then.
  [[nodiscard]] bool AllAcknowledgedSince(Time time) const;
  // The longest time without an acknowledgement that any partition had, ended after `time`.
  [[nodiscard]] std::chrono::milliseconds LongestGapSince(Time time) const;

  // A record's value, and back; none for anything else.
  static std::string ValueOf(uint64_t number);
  static std::optional<uint64_t> ParseValue(std::string_view value);

 private:
  struct Gap {
    Time end;
    std::chrono::milliseconds length;
  };
  struct Partition {
    std::vector<bool> acknowledged;  // by number; as many as were sent
    std::vector<uint32_t> copies;    // read back
    std::optional<Time> last;
    std::vector<Gap> gaps;  // those of 10 ms or more
  };
  mutable std::mutex mutex_;
  std::vector<Partition> partitions_;
  uint64_t failed_ = 0;
};

}  // namespace varve::demo

#endif  // VARVE_CLIENT_DEMO_LOAD_LEDGER_H_
