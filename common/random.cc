#include "common/random.h"

#include <sys/random.h>

#include <cerrno>

#include "common/xoshiro.h"

namespace varve {
namespace {

class XoshiroRandom final : public Random {
 public:
  explicit XoshiroRandom(const Xoshiro256::State& state) : generator_(state) {}
  uint64_t Next() override { return generator_.Next(); }

 private:
  Xoshiro256 generator_;
};

}  // namespace

std::unique_ptr<Random> SeededRandom(uint64_t seed) {
  SplitMix64 spread(seed);
  Xoshiro256::State state;
  for (uint64_t& word : state) word = spread.Next();
  return std::make_unique<XoshiroRandom>(state);
}

std::unique_ptr<Random> SystemRandom() {
  Xoshiro256::State state;
  ssize_t got;
  do {
    got = getrandom(state.data(), sizeof state, 0);
  } while (got < 0 && errno == EINTR);
  // Reads of up to 256 bytes are never cut short once the kernel's pool is ready.
  VARVE_CHECK(got == static_cast<ssize_t>(sizeof state), "getrandom gave ", got, " bytes");
  state[0] |= 1;  // the all-zero state would stay zero
  return std::make_unique<XoshiroRandom>(state);
}

}  // namespace varve
