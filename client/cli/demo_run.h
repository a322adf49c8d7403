// DemoRun: three brokers, a load whose every record is accounted for, and what a person sees of it.
#ifndef VARVE_CLIENT_CLI_DEMO_RUN_H_
#define VARVE_CLIENT_CLI_DEMO_RUN_H_

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/cli/command.h"
#include "client/demo/demo_cluster.h"
#include "client/demo/verified_load.h"
#include "varve/admin.h"

namespace varve::cli {

struct DemoOptions {
  std::string varved;    // empty: searched for
  uint32_t kills = 0;    // leaders to kill; 0: none
  uint64_t seconds = 0;  // at least so long; 0: until the kills are done, or a signal
  uint32_t partitions = 6;
  uint64_t rate = 1000;  // records per second, over all partitions
  bool keep = false;     // the directory
};

// What the load came to, for people or programs.
std::string RenderDemoSummary(const demo::LoadSummary& summary, uint32_t kills, double seconds,
                              OutputFormat format);

// 1 when anything that was acknowledged is lost, else 0.
CommandEnd DemoEnd(const demo::LoadSummary& summary);

// One use. Everything that it started or made is gone when it is destroyed, but for a directory
// that is to be kept.
class DemoRun {
 public:
  DemoRun(const GlobalOptions& global, DemoOptions options);
  ~DemoRun();
  CommandEnd Run();

 private:
  using Clock = std::chrono::steady_clock;
  Status StartBrokers();
  Status StartLoad();
  Status KillLeaders();
  Status KillOne(uint32_t number);
  // The node that leads most partitions; 0: none does.
  uint32_t BusiestLeader(size_t* partitions);
  // Shows what goes on until it holds, the time is over, or somebody interrupts; whether it holds.
  template <class Holds>
  bool WatchUntil(Holds holds, std::chrono::milliseconds patience);
  bool Settled();
  void Show();
  std::vector<std::string> Frame(const std::vector<size_t>& leaders, double rate) const;
  CommandEnd Finish();
  void Say(const std::string& line);
  [[nodiscard]] double Seconds() const;

  const GlobalOptions global_;
  const DemoOptions options_;
  const bool live_;  // the view is drawn again and again in its place
  std::string directory_;
  std::unique_ptr<demo::DemoCluster> cluster_;
  std::optional<Client> client_;
  std::unique_ptr<demo::VerifiedLoad> load_;
  Clock::time_point began_;
  Clock::time_point shown_;
  uint64_t acknowledged_shown_ = 0;
  size_t lines_drawn_ = 0;
  uint32_t killed_ = 0;
};

}  // namespace varve::cli

#endif  // VARVE_CLIENT_CLI_DEMO_RUN_H_
