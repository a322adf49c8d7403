#include "common/sim/sim_names.h"

#include <cerrno>
#include <set>
#include <utility>

#include "common/check.h"
#include "common/file_system.h"

namespace varve {
namespace {

// The next component of *path that names something, removed from it; empty at the end.
std::string_view NextComponent(std::string_view* path) {
  while (!path->empty()) {
    const std::string_view component = path->substr(0, path->find('/'));
    path->remove_prefix(std::min(path->size(), component.size() + 1));
    if (!component.empty() && component != ".") return component;
  }
  return {};
}

void VisitBelow(const std::string& path, const SimNode& directory,
                const std::function<void(const std::string&, SimNode&)>& visit) {
  for (const auto& [name, node] : directory.entries) {
    const std::string below = JoinPath(path, name);
    visit(below, *node);
    if (node->is_directory) VisitBelow(below, *node, visit);
  }
}

void Unlink(SimNode& node) { node.linked = false; }

void MarkUnlinked(const SimNode::Entries& entries) {
  for (const auto& [name, node] : entries) {
    Unlink(*node);
    MarkUnlinked(node->entries);
  }
}

void RestoreBelow(SimNode& directory, Random& random) {
  directory.entries = directory.durable;
  for (const auto& [name, node] : directory.entries) {
    node->linked = true;
    if (node->is_directory) {
      RestoreBelow(*node, random);
    } else {
      node->content.PowerLoss(random);
    }
  }
}

}  // namespace

std::string SimPath(std::string_view path) {
  std::string out;
  for (std::string_view at = NextComponent(&path); !at.empty(); at = NextComponent(&path)) {
    if (!out.empty()) out += '/';
    out += at;
  }
  return out;
}

SimNames::SimNames() : root_(std::make_shared<SimNode>()) { root_->is_directory = true; }

SimNames::Place SimNames::Find(std::string_view path) const {
  Place place;
  place.node = root_;
  for (std::string_view at = NextComponent(&path); !at.empty(); at = NextComponent(&path)) {
    if (at == "..") return {.error = EINVAL, .parent = {}, .name = {}, .node = {}};
    if (place.node == nullptr) return {.error = ENOENT, .parent = {}, .name = {}, .node = {}};
    if (!place.node->is_directory) return {.error = ENOTDIR, .parent = {}, .name = {}, .node = {}};
    place.parent = std::move(place.node);
    place.name = at;
    const auto found = place.parent->entries.find(at);
    place.node = found == place.parent->entries.end() ? nullptr : found->second;
  }
  return place;
}

std::shared_ptr<SimNode> SimNames::Create(const Place& place, bool is_directory) {
  VARVE_CHECK(place.node == nullptr);
  auto node = std::make_shared<SimNode>();
  node->number = ++last_number_;
  node->is_directory = is_directory;
  place.parent->entries.emplace(place.name, node);
  changes_.push_back({node, nullptr, {}, place.parent, place.name});
  return node;
}

void SimNames::Remove(const Place& place) {
  place.parent->entries.erase(place.name);
  Unlink(*place.node);
  changes_.push_back({place.node, place.parent, place.name, nullptr, {}});
}

void SimNames::Rename(const Place& from, const Place& to) {
  if (to.node != nullptr) Unlink(*to.node);
  from.parent->entries.erase(from.name);
  to.parent->entries[to.name] = from.node;
  changes_.push_back({from.node, from.parent, from.name, to.parent, to.name});
}

void SimNames::Sync(const SimNode& directory) {
  // A change takes along the earlier ones of its node: no disk knows where a file went but not
  // whence.
  std::set<uint64_t> nodes;
  std::vector<bool> chosen(changes_.size());
  for (size_t i = changes_.size(); i-- > 0;) {
    const Change& change = changes_[i];
    const auto& home = change.to != nullptr ? change.to : change.from;
    if (home.get() == &directory) nodes.insert(change.node->number);
    chosen[i] = nodes.contains(change.node->number);
  }
  std::vector<Change> left;
  for (size_t i = 0; i < changes_.size(); ++i) {
    if (chosen[i]) {
      MakeDurable(changes_[i]);
    } else {
      left.push_back(std::move(changes_[i]));
    }
  }
  changes_ = std::move(left);
}

void SimNames::PowerLoss(Random& random) {
  Settle(random);
  MarkUnlinked(root_->entries);
  RestoreBelow(*root_, random);
}

void SimNames::Visit(const std::function<void(const std::string&, SimNode&)>& visit) const {
  VisitBelow("", *root_, visit);
}

void SimNames::MakeDurable(const Change& change) {
  if (change.from != nullptr) {
    const auto at = change.from->durable.find(change.from_name);
    if (at != change.from->durable.end() && at->second == change.node)
      change.from->durable.erase(at);
  }
  if (change.to != nullptr) change.to->durable[change.to_name] = change.node;
}

void SimNames::Settle(Random& random) {
  const bool in_order = random.OneIn(2);
  const uint64_t prefix = random.Below(changes_.size() + 1);
  std::set<uint64_t> lost;  // nodes; what came later for them is lost as well
  for (size_t i = 0; i < changes_.size(); ++i) {
    const Change& change = changes_[i];
    const bool kept = in_order ? i < prefix : random.OneIn(2);
    if (!kept) lost.insert(change.node->number);
    if (!lost.contains(change.node->number)) MakeDurable(change);
  }
  changes_.clear();
}

}  // namespace varve
