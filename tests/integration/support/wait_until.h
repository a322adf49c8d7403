// Waiting for a condition of another process: the only place where these tests sleep.
#ifndef VARVE_TESTS_INTEGRATION_SUPPORT_WAIT_UNTIL_H_
#define VARVE_TESTS_INTEGRATION_SUPPORT_WAIT_UNTIL_H_

#include <chrono>
#include <thread>

namespace varve::testing {

// Polls until `condition` holds; false when `timeout` is over first.
template <class Condition>
bool WaitUntil(Condition condition, std::chrono::milliseconds timeout,
               std::chrono::milliseconds interval = std::chrono::milliseconds(2)) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return condition();
    // check-allow(sleep): another process tells nobody when it changes; this is where we poll
    std::this_thread::sleep_for(interval);
  }
  return true;
}

}  // namespace varve::testing

#endif  // VARVE_TESTS_INTEGRATION_SUPPORT_WAIT_UNTIL_H_
