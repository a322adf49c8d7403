// The names of a simulated disk: directories as they are, as they are durable, and the changes
// between.
#ifndef VARVE_COMMON_SIM_SIM_NAMES_H_
#define VARVE_COMMON_SIM_SIM_NAMES_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/random.h"
#include "common/sim/sim_content.h"

namespace varve {

// A file or a directory. Lives as long as a name or an open file refers to it.
struct SimNode {
  using Entries = std::map<std::string, std::shared_ptr<SimNode>, std::less<>>;
  uint64_t number = 0;
  bool is_directory = false;
  bool linked = true;  // has a name now
  SimContent content;  // of a file
  Entries entries;     // of a directory, now
  Entries durable;     // of a directory, after a power loss
};

class SimNames {
 public:
  struct Place {
    int error = 0;                    // errno; then the rest is not set
    std::shared_ptr<SimNode> parent;  // null for the root
    std::string name;
    std::shared_ptr<SimNode> node;  // null when the last name does not exist
  };

  SimNames();
  // ENOENT and ENOTDIR for what leads to the last name; EINVAL for "..".
  [[nodiscard]] Place Find(std::string_view path) const;
  // `place` must be free. Returns the new node.
  std::shared_ptr<SimNode> Create(const Place& place, bool is_directory);
  void Remove(const Place& place);
  // The node at `to` loses its name.
  void Rename(const Place& from, const Place& to);
  void Sync(const SimNode& directory);
  // Names and contents become what a power loss leaves.
  void PowerLoss(Random& random);
  // Calls visit(path, node) for all but the root, in order of path components.
  void Visit(const std::function<void(const std::string&, SimNode&)>& visit) const;

 private:
  // Creation (only `to`), removal (only `from`) or rename (both) of `node`.
  struct Change {
    std::shared_ptr<SimNode> node;
    std::shared_ptr<SimNode> from;
    std::string from_name;
    std::shared_ptr<SimNode> to;
    std::string to_name;
  };
  static void MakeDurable(const Change& change);
  void Settle(Random& random);

  const std::shared_ptr<SimNode> root_;
  uint64_t last_number_ = 0;
  std::vector<Change> changes_;  // not yet durable, in order
};

// "a/b" from "/a//./b": the spelling that SimFileOp, SimFault and messages use.
std::string SimPath(std::string_view path);

}  // namespace varve

#endif  // VARVE_COMMON_SIM_SIM_NAMES_H_
