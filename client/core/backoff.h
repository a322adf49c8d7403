// Backoff: how long to wait before attempt after attempt.
#ifndef VARVE_CLIENT_CORE_BACKOFF_H_
#define VARVE_CLIENT_CORE_BACKOFF_H_

#include <algorithm>

#include "common/clock.h"
#include "common/random.h"

namespace varve::client {

struct BackoffLimits {
  Nanos first = 50 * kMillisecond;
  Nanos most = kSecond;
};

// Doubles from `first` to `most` with the number of failures (from 1), and takes off up to half at
// random, so that clients that failed together do not come back together.
inline Nanos BackoffAfter(uint32_t failures, const BackoffLimits& limits, Random& random) {
  const uint32_t doublings = std::min(failures > 0 ? failures - 1 : 0, 20u);
  const Nanos full = std::min(limits.most, limits.first << doublings);
  return full - static_cast<Nanos>(random.Below(static_cast<uint64_t>(full / 2 + 1)));
}

}  // namespace varve::client

#endif  // VARVE_CLIENT_CORE_BACKOFF_H_
