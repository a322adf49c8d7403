// FingerprintHasher: hashes integers in the order in which they are added, equally in every build.
// Abseil's hash is salted per process and the standard one is unspecified, so neither can serve to
// compare runs.
#ifndef VARVE_RAFT_CORE_FINGERPRINT_H_
#define VARVE_RAFT_CORE_FINGERPRINT_H_

#include <cstdint>
#include <optional>
#include <type_traits>
#include <vector>

#include "common/log_state.h"
#include "common/meta_entry.h"

namespace varve::raft {

class FingerprintHasher {
 public:
  template <class Int>
  requires std::is_integral_v<Int> || std::is_enum_v<Int>
  void Add(Int value) {
    state_ = (state_ ^ static_cast<uint64_t>(value)) * 0x9e3779b97f4a7c15;
    state_ ^= state_ >> 29;
  }
  template <class Tag, class Rep>
  void Add(StrongInt<Tag, Rep> value) {
    Add(value.value());
  }
  // Presence or count first, so that neighbours cannot run into each other.
  template <class T>
  void Add(const std::optional<T>& value) {
    Add(value.has_value());
    if (value) Add(*value);
  }
  template <class T>
  void Add(const std::vector<T>& values) {
    Add(values.size());
    for (const T& value : values) Add(value);
  }
  void Add(const ReplicaId& replica);
  void Add(const HardState& state);
  void Add(const LogEnd& end);
  void Add(const Configuration& configuration);
  void Add(const ConfigurationAt& at);
  void Add(const Configurations& configurations);
  void Add(const LogStart& start);
  void Add(const EpochStart& epoch);
  // Header and checksum, not the payload.
  void Add(const Entry& entry);
  [[nodiscard]] uint64_t hash() const { return state_ ^ (state_ >> 32); }

 private:
  uint64_t state_ = 0xcbf29ce484222325;
};

}  // namespace varve::raft

#endif  // VARVE_RAFT_CORE_FINGERPRINT_H_
