// DemoCluster: three varved on this machine, for a demonstration.
#ifndef VARVE_CLIENT_DEMO_DEMO_CLUSTER_H_
#define VARVE_CLIENT_DEMO_DEMO_CLUSTER_H_

#include <array>
#include <memory>
#include <string>

#include "client/demo/broker_process.h"

namespace varve::demo {

// "varved" beside this program, in its build tree, or on PATH; empty when it is in none of them.
std::string FindVarved();

// Brokers on free ports of loopback, each with a directory of its own. Not thread-safe: all calls
// from one thread, which must live as long as the brokers shall. The destructor kills them.
class DemoCluster {
 public:
  static constexpr size_t kBrokers = 3;

  // `directory` exists and is empty.
  DemoCluster(std::string varved, std::string directory);

  // Returns when all are ready. Empty on success, else what went wrong.
  std::string Start();
  // kill -9; returns when it is gone.
  void Kill(size_t broker) { brokers_[broker]->Kill(); }
  // Starts it again on the same ports; as Start.
  std::string Restart(size_t broker) { return brokers_[broker]->Start(); }
  // SIGTERM to all, then waits for each.
  void Stop();

  [[nodiscard]] bool running(size_t broker) const { return brokers_[broker]->running(); }
  // Of the broker with node id `broker` + 1.
  [[nodiscard]] const std::string& address(size_t broker) const {
    return brokers_[broker]->grpc_address();
  }
  // host:port of all, with commas.
  [[nodiscard]] std::string addresses() const;

 private:
  std::array<std::unique_ptr<BrokerProcess>, kBrokers> brokers_;
};

}  // namespace varve::demo

#endif  // VARVE_CLIENT_DEMO_DEMO_CLUSTER_H_
