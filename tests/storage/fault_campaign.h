// One run of the storage fault campaign: a seeded script on a data directory, something that goes
// wrong, a recovery, and a judgement of what the directory then shows.
#ifndef VARVE_TESTS_STORAGE_FAULT_CAMPAIGN_H_
#define VARVE_TESTS_STORAGE_FAULT_CAMPAIGN_H_

#include <cstdint>
#include <map>
#include <string>

#include "storage/recovery_table.h"

namespace varve::storage {

// How often each kind was reached, and how often it showed in an error.
struct FaultCounts {
  struct Kind {
    uint64_t reached = 0, told = 0;
  };
  std::map<std::string, Kind> kinds;
  RecoveryTrace rows;  // of all recoveries
  [[nodiscard]] std::string Text() const;
};

// The power goes, or the process, at a moment drawn from the seed. Empty when all that was
// acknowledged is there and nothing else than what was asked for; else what is wrong.
std::string RunCrash(uint64_t seed, FaultCounts* counts);
// A call to the disk fails once or for ever, or the disk fills up; then as RunCrash.
std::string RunFailingDisk(uint64_t seed, FaultCounts* counts);
// One file is damaged while nothing runs, long after the last write. What opens must be whole, or
// tell of the damage when it is read.
std::string RunDamage(uint64_t seed, FaultCounts* counts);
// One bit of what nothing but a checksum protects flips: in the newest checkpoint, or in the frames
// of the last commit. It must be told.
std::string RunTargetedDamage(uint64_t seed, FaultCounts* counts);
// Writes go on in bursts while the disk stalls, so that passes, commits and rolls overlap; then as
// RunCrash.
std::string RunSlowDisk(uint64_t seed, FaultCounts* counts);
// A pass over one group takes its time while that group goes on writing, in another file too; the
// power goes when the journal has rolled behind it.
std::string RunSlowPass(uint64_t seed, FaultCounts* counts);
// Truncations replace entries by others of the same sizes and later times; then as RunCrash.
std::string RunRewrite(uint64_t seed, FaultCounts* counts);
// Commits of the same shapes again and again in the same journal files, with frames that begin
// where sectors do; the power goes within one of them.
std::string RunTornReuse(uint64_t seed, FaultCounts* counts);
// One write goes astray, is torn, lost or flipped, or one read of the recovery shows wrong bytes,
// while the disk says that all is well; later writes follow a wrong one. Then as RunDamage.
std::string RunLyingDisk(uint64_t seed, FaultCounts* counts);
// Some calls to the disk take up to 5 seconds: everything is answered, nothing fails, nothing is
// lost.
std::string RunStallingDisk(uint64_t seed, FaultCounts* counts);

}  // namespace varve::storage

#endif  // VARVE_TESTS_STORAGE_FAULT_CAMPAIGN_H_
