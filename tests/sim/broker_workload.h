// BrokerWorkload: seeded clients of a simulated broker, and the memory of what they were promised.
#ifndef VARVE_TESTS_SIM_BROKER_WORKLOAD_H_
#define VARVE_TESTS_SIM_BROKER_WORKLOAD_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/sim_node.h"

namespace varve::sim {

// Produces records whose value is their own number, reads, lists, sends bad batches now and then,
// and checks every answer. Problems are collected, not thrown, so that the seed's run can be told
// whole.
class BrokerWorkload {
 public:
  BrokerWorkload(SimNode& node, uint64_t seed, uint32_t partitions);

  // Starts one operation, drawn at random. Its answer arrives while the scheduler runs.
  void StartOperation();
  // The broker crashed: what was under way stays unanswered for ever.
  void ForgetUnderWay();
  // Runs until everything under way is answered; a problem if that takes more than two minutes.
  void Settle();
  // Reads every partition from start to end and compares with every promise made so far.
  void Verify();
  // Creates the topic; a problem if that fails.
  void CreateTopic();

  [[nodiscard]] uint64_t operations() const { return operations_; }
  [[nodiscard]] uint64_t acknowledged() const { return acknowledged_; }
  [[nodiscard]] uint64_t bad_refused() const { return bad_refused_; }
  [[nodiscard]] uint64_t read_records() const { return read_records_; }
  [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }

 private:
  enum class Fate : uint8_t { kUnknown, kAcknowledged, kRefused };
  struct Sent {
    uint32_t partition = 0;
    Fate fate = Fate::kUnknown;
    Offset offset;
  };
  server::RequestContext Context();
  void Problem(std::string text);
  void Produce();
  void ProduceBad();
  void Fetch();
  void ListOffsets();
  void DescribeTopic();
  void OnRead(uint32_t partition, const server::FetchResult& result);
  void CheckRecord(uint32_t partition, const server::PlainRecord& record);

  SimNode& node_;
  const std::unique_ptr<Random> random_;
  const uint32_t partitions_;
  std::vector<Sent> sent_;  // by record number
  // What is known to be at an offset: whoever read or was promised it first.
  std::vector<std::map<Offset, uint64_t>> known_;
  std::vector<Offset> high_watermarks_;  // highest promised
  uint64_t operations_ = 0, under_way_ = 0, epoch_ = 0;
  uint64_t acknowledged_ = 0, bad_refused_ = 0, read_records_ = 0;
  std::vector<std::string> problems_;
};

}  // namespace varve::sim

#endif  // VARVE_TESTS_SIM_BROKER_WORKLOAD_H_
