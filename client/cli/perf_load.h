// PerfLoad: what `varve perf produce` sends, and when.
#ifndef VARVE_CLIENT_CLI_PERF_LOAD_H_
#define VARVE_CLIENT_CLI_PERF_LOAD_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "varve/status.h"

namespace varve::cli {

// Values and keys, made before the measurement. Random bytes do not compress; bytes of a file
// compress as they do in life.
class PerfPayload {
 public:
  // `file` empty: random bytes, the same in every run. INVALID_REQUEST when the size is 0 or too
  // large; LOCAL_ERROR when the file cannot be read or is shorter than one record.
  static Result<PerfPayload> Make(uint64_t record_bytes, uint32_t keys, const std::string& file);

  // The next record's value; valid as long as the payload.
  std::string_view NextValue();
  // The next record's key, one of `keys` in no order; valid until the next call.
  std::string_view NextKey();
  [[nodiscard]] bool keyed() const { return keys_ > 0; }

 private:
  std::string pool_;
  size_t record_bytes_ = 0;
  size_t at_ = 0;
  uint32_t keys_ = 0;
  uint64_t key_state_ = 0x9e3779b97f4a7c15;
  char key_[16] = {};
};

// Open loop: record i is due at i / rate, whether or not the ones before it have been answered.
class OpenLoop {
 public:
  // `per_second` 0: no schedule, everything is due at once.
  OpenLoop(double per_second, int64_t start_ns) : per_second_(per_second), start_ns_(start_ns) {}
  [[nodiscard]] bool scheduled() const { return per_second_ > 0; }
  // When record `index` is due, in the clock of `start_ns`.
  [[nodiscard]] int64_t DueAt(uint64_t index) const {
    return start_ns_ + static_cast<int64_t>(static_cast<double>(index) * 1e9 / per_second_);
  }

 private:
  const double per_second_;
  const int64_t start_ns_;
};

}  // namespace varve::cli

#endif  // VARVE_CLIENT_CLI_PERF_LOAD_H_
