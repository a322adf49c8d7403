// CampaignRun: two groups on a simulated disk, with all that was asked of them; what every kind of
// run of the fault campaign begins and ends with.
#ifndef VARVE_TESTS_STORAGE_FAULT_CAMPAIGN_RUN_H_
#define VARVE_TESTS_STORAGE_FAULT_CAMPAIGN_RUN_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/sim/faulty_file_system.h"
#include "tests/storage/directory_host.h"
#include "tests/storage/fault_campaign.h"

namespace varve::storage {

class CampaignRun {
 public:
  CampaignRun(uint64_t seed, FaultCounts* counts);
  ~CampaignRun();

  bool Begin();
  // Draws so many writes; after each, everything is answered.
  void Steps(int steps);
  // One write.
  void Step(LogScript& script);
  // Whether everything was answered with OK.
  bool Settle();
  void Crash(bool power);
  // What the directory shows; errors in `told`.
  std::string Judge(absl::Status* told);
  // After a crash, which is no damage: what follows it opens and is whole.
  std::string MustBeWhole(const std::string& kind, bool told_before = false);
  // After damage: it shows in an error that names it, or harms nothing.
  std::string MustBeTold(const std::string& kind, absl::Status* told);
  void Note(const std::string& kind, bool told);
  // All files of the directory that end so and are not empty.
  std::vector<std::string> Files(std::string_view suffix);

  DirectoryHost host;
  FaultyFileSystem faulty;  // between the directory and its disk; stalls for up to 5 s
  const std::unique_ptr<Random> draw;
  std::vector<std::unique_ptr<LogScript>> scripts;

 private:
  // What a suspect log shows as committed is what was committed.
  std::string JudgeSuspect(const LogScript& script);
  std::string JudgeTimes(GroupId group, const LogImage& image, absl::Status* told);
  // What the journal says of synced segments holds for the files as they are, before a recovery
  // mends them.
  std::string JudgeSyncPoints();
  std::string JudgeSyncPoint(const LogScript& script, const ReplicaRecord& record);

  FaultCounts* const counts_;
  DirectoryIdentity identity_;
  uint64_t process_epoch_ = 0;
  bool power_lost_ = false;
};

}  // namespace varve::storage

#endif  // VARVE_TESTS_STORAGE_FAULT_CAMPAIGN_RUN_H_
