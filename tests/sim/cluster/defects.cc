#include "tests/sim/cluster/defects.h"

#include <algorithm>

namespace varve::clustersim {
namespace {

using raft::ShellDefect;
using server::Defect;

constexpr ClusterDefect kClusterDefects[] = {
    {"write-counts-at-once", ShellDefect::kWriteCountsAtOnce},
    {"unvouched-forgotten", ShellDefect::kUnvouchedForgotten},
    {"never-wakes", ShellDefect::kNeverWakes},
    {"deaf-for-ever", ShellDefect::kDeafForEver},
    {"lane-takes-one-packet", ShellDefect::kLaneTakesOnePacket},
    {"restart-unnoticed", ShellDefect::kRestartUnnoticed},
    {"acknowledged-when-accepted", Defect::kAcknowledgedWhenAccepted},
    {"unknown-taken-for-lost", Defect::kUnknownTakenForLost},
    {"reads-uncommitted", Defect::kReadsUncommitted},
    {"reads-before-confirmed", Defect::kReadsBeforeConfirmed},
    {"writes-overtake", Defect::kWritesOvertake},
    {"room-unnoticed", Defect::kRoomUnnoticed},
    {"room-not-returned", Defect::kRoomNotReturned},
    {"trimmed-before-committed", Defect::kTrimmedBeforeCommitted},
    {"folds-undurable", Defect::kFoldsUndurable},
    {"removed-data-kept", Defect::kRemovedDataKept},
    {"any-directory-begins", Defect::kAnyDirectoryBegins},
    {"wiped-keeps-epoch", Defect::kWipedKeepsEpoch},
    {"leaving-forgotten", Defect::kLeavingForgotten},
    {"removal-unchecked", Defect::kRemovalUnchecked},
    {"joint-left-out", Defect::kJointLeftOut},
};

void Set(ShellDefect shell, Defect server) {
  raft::planted_shell_defect = shell;
  server::planted_defect = server;
}

}  // namespace

std::span<const ClusterDefect> ClusterDefects() { return kClusterDefects; }

const ClusterDefect* DefectNamed(std::string_view name) {
  const auto* const at =
      std::find_if(std::begin(kClusterDefects), std::end(kClusterDefects),
                   [name](const ClusterDefect& defect) { return defect.name == name; });
  return at == std::end(kClusterDefects) ? nullptr : at;
}

PlantedDefect::PlantedDefect(const ClusterDefect& defect) {
  const auto* shell = std::get_if<ShellDefect>(&defect.at);
  const auto* server = std::get_if<Defect>(&defect.at);
  Set(shell == nullptr ? ShellDefect::kNone : *shell, server == nullptr ? Defect::kNone : *server);
}

PlantedDefect::~PlantedDefect() { Set(ShellDefect::kNone, Defect::kNone); }

}  // namespace varve::clustersim
