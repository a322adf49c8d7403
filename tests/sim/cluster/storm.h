// Storm: the faults of one run, drawn from its seed.
#ifndef VARVE_TESTS_SIM_CLUSTER_STORM_H_
#define VARVE_TESTS_SIM_CLUSTER_STORM_H_

#include <array>
#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "tests/sim/cluster/world.h"

namespace varve::clustersim {

// Driven from outside events: Step every few milliseconds of simulated time.
class Storm {
 public:
  explicit Storm(World& world);
  // Ends what is over, and begins what is due.
  void Step();
  // Ends everything: brokers run, links are whole, disks have room.
  void End();
  // Brokers that cannot start are started again, as an operator would.
  void Revive();
  // One more fault of a broker that the others must get over; it lasts until End.
  void Strike(size_t node);
  [[nodiscard]] const std::array<uint64_t, kFaultKinds>& counts() const { return counts_; }
  [[nodiscard]] bool wiped(size_t node) const { return wiped_ && node == victim_; }

 private:
  struct Active {
    MonoTime until;
    size_t node;
    std::function<void()> finish;
  };
  static constexpr size_t kNoBroker = SIZE_MAX;
  [[nodiscard]] FaultKind Draw();
  bool Begin(FaultKind kind);
  bool BeginOnBroker(FaultKind kind, size_t node);
  bool BeginOnLinks(FaultKind kind, size_t node);
  bool BeginOnDisk(FaultKind kind, size_t node);
  void Isolate(size_t node);
  void Until(Nanos most, size_t node, std::function<void()> finish);
  Nanos Below(Nanos most);

  World& world_;
  const std::unique_ptr<Random> random_;
  const size_t victim_;  // the only one that loses what it had acknowledged
  bool wiped_ = false;
  MonoTime next_;
  std::vector<Active> active_;
  std::set<size_t> busy_;
  std::array<uint64_t, kFaultKinds> counts_{};
  MonoTime revived_;
};

}  // namespace varve::clustersim

#endif  // VARVE_TESTS_SIM_CLUSTER_STORM_H_
