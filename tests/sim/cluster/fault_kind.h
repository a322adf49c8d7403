// What may go wrong in a simulated cluster.
#ifndef VARVE_TESTS_SIM_CLUSTER_FAULT_KIND_H_
#define VARVE_TESTS_SIM_CLUSTER_FAULT_KIND_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace varve::clustersim {

enum class FaultKind : uint8_t {
  kProcessCrash,  // what was written stays
  kPowerLoss,     // what was not synced is kept, lost or torn
  kCleanRestart,
  kFreeze,  // the process runs nothing for a while
  kIsolate,
  kOneWayCut,
  kLaneCut,           // of one direction
  kBreakConnections,  // between two brokers: what is under way may be lost
  kSlowNetwork,       // everywhere
  kDiskStall,         // writes and syncs take long
  kDiskFull,
  kClockStep,  // of one broker's wall clock
  kWipe,       // the disk is another, empty one
};
inline constexpr size_t kFaultKinds = 13;
inline constexpr std::array<std::string_view, kFaultKinds> kFaultNames = {
    "process crash", "power loss", "clean restart", "freeze",   "isolate",
    "one-way cut",   "lane cut",   "broken links",  "slow net", "disk stall",
    "disk full",     "clock step", "wiped disk"};

}  // namespace varve::clustersim

#endif  // VARVE_TESTS_SIM_CLUSTER_FAULT_KIND_H_
