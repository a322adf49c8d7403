// Defects of the shell that a test plants to see that it would find them. Only the library
// varve_raft_defects, built with VARVE_RAFT_DEFECTS for tests, knows how to be wrong; elsewhere
// Planted is false at compile time.
#ifndef VARVE_RAFT_SHELL_SHELL_DEFECT_H_
#define VARVE_RAFT_SHELL_SHELL_DEFECT_H_

#include <cstdint>

namespace varve::raft {

enum class ShellDefect : uint8_t {
  kNone,
  kWriteCountsAtOnce,   // the core hears that it is durable when it is handed to the log
  kUnvouchedForgotten,  // who was vouched for is believed for ever
  kNeverWakes,          // a group that fell asleep, whatever becomes of its leader
  kDeafForEver,         // to a process that took the place of one that died
  kLaneTakesOnePacket,  // and counts as down from then on
  kRestartUnnoticed,    // what a former process vouched for counts on
};

#ifdef VARVE_RAFT_DEFECTS
// One at a time; single-threaded tests alone.
inline ShellDefect planted_shell_defect = ShellDefect::kNone;
inline bool Planted(ShellDefect defect) { return planted_shell_defect == defect; }
#else
constexpr bool Planted(ShellDefect /*defect*/) { return false; }
#endif

}  // namespace varve::raft

#endif  // VARVE_RAFT_SHELL_SHELL_DEFECT_H_
