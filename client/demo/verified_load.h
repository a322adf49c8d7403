// VerifiedLoad: numbered records into every partition of a topic at a steady rate, and the proof of
// what became of them.
#ifndef VARVE_CLIENT_DEMO_VERIFIED_LOAD_H_
#define VARVE_CLIENT_DEMO_VERIFIED_LOAD_H_

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "client/demo/load_ledger.h"
#include "varve/client.h"
#include "varve/producer.h"

namespace varve::demo {

// Begin, End and Verify from one thread, in this order. A batch whose fate is unknown is sent
// again: nothing is lost, and what is in the log twice is counted.
class VerifiedLoad {
 public:
  VerifiedLoad(const Client& client, std::string topic, uint32_t partitions,
               uint64_t records_per_second);
  ~VerifiedLoad();

  Status Begin();
  // Sends no more and waits until everything was reported; DEADLINE_EXCEEDED when that takes
  // longer.
  Status End(std::chrono::milliseconds timeout);
  // Reads the whole topic into the ledger. An error when it cannot be read, or holds what was never
  // sent.
  Status Verify(std::chrono::milliseconds timeout);

  [[nodiscard]] const LoadLedger& ledger() const { return *ledger_; }

 private:
  void Run();

  const Client client_;
  const std::string topic_;
  const uint32_t partitions_;
  const uint64_t records_per_second_;
  // Reports may come until the producer is gone.
  const std::shared_ptr<LoadLedger> ledger_;
  std::unique_ptr<Producer> producer_;
  std::thread sender_;
  std::atomic<bool> stop_{false};
};

}  // namespace varve::demo

#endif  // VARVE_CLIENT_DEMO_VERIFIED_LOAD_H_
