// Workload: the clients of one run, at work while a broker is there.
#ifndef VARVE_TESTS_SIM_WORKLOAD_H_
#define VARVE_TESTS_SIM_WORKLOAD_H_

#include <memory>
#include <vector>

#include "tests/sim/unary_clients.h"
#include "tests/sim/world.h"

namespace varve::sim {

// Driven from outside events.
class Workload {
 public:
  explicit Workload(World& world);

  // Clients act, each in its own time, until Pause.
  void Run(server::BrokerService& service);
  void Pause();
  // The broker is gone or about to go: closes sessions, forgets what was under
  // way.
  void Leave();
  // Nobody begins anything new; everything asked for is granted, answered and
  // read.
  void Settle();

 private:
  void Arm(size_t client);

  World& world_;
  std::vector<std::unique_ptr<Client>> clients_;
  bool running_ = false;
  uint64_t round_ = 0;  // of Run: timers of an earlier one do nothing
};

}  // namespace varve::sim

#endif  // VARVE_TESTS_SIM_WORKLOAD_H_
