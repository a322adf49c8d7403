// LedTable and LedView: which groups a node leads, kept by it and mirrored by the others with as
// few bytes as what changed. docs/peer_protocol.md, "Led groups".
#ifndef VARVE_RAFT_SHELL_LED_TABLE_H_
#define VARVE_RAFT_SHELL_LED_TABLE_H_

#include <cstdint>
#include <map>
#include <vector>

#include "raft/shell/packet.h"

namespace varve::raft {

// The groups that this node leads. Each change has a generation, one above the last. A group that
// is not led any more stays as a mark until everybody who mirrors the table knows.
class LedTable {
 public:
  void Set(const LedGroup& led);
  void Remove(GroupId group);
  [[nodiscard]] uint64_t newest() const { return newest_; }
  // Generation of the group's last change; 0: never led.
  [[nodiscard]] uint64_t GenerationOf(GroupId group) const;
  // What changed after `known` (0: begins anew), at most kMaxHeartbeatGroups groups, oldest change
  // first chosen: `base`, `through`, `led` and `not_led` of the heartbeat.
  void WriteChanges(uint64_t known, NodeHeartbeat* heartbeat) const;
  // Everybody knows the table up to here.
  void ForgetRemovedThrough(uint64_t generation);
  [[nodiscard]] size_t size() const { return groups_.size(); }

 private:
  struct Row {
    LedGroup led;
    bool is_led = false;
    uint64_t generation = 0;
  };
  void Change(GroupId group, const LedGroup& led, bool is_led);

  std::map<GroupId, Row> groups_;
  std::map<uint64_t, GroupId> by_generation_;
  std::map<uint64_t, GroupId> removed_;  // those of by_generation_ that are not led
  uint64_t newest_ = 0;
};

// Another node's table as far as it is known here.
class LedView {
 public:
  struct Changes {
    std::vector<LedGroup> led;     // new or different
    std::vector<GroupId> not_led;  // gone
  };
  // Takes what continues the known state, or begins anew; all else is left out. Of an older process
  // nothing is taken.
  Changes Apply(const NodeHeartbeat& heartbeat);
  // The node's process is gone.
  Changes Clear();
  [[nodiscard]] TableVersion known() const { return known_; }
  [[nodiscard]] const std::map<GroupId, LedGroup>& groups() const { return groups_; }

 private:
  TableVersion known_;
  std::map<GroupId, LedGroup> groups_;
};

}  // namespace varve::raft

#endif  // VARVE_RAFT_SHELL_LED_TABLE_H_
