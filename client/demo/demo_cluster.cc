#include "client/demo/demo_cluster.h"

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <set>
#include <utility>
#include <vector>

namespace varve::demo {
namespace {

namespace fs = std::filesystem;

bool IsProgram(const fs::path& path) {
  return access(path.c_str(), X_OK) == 0 && fs::is_regular_file(path);
}

std::vector<std::string> DistinctAddresses(size_t count) {
  std::vector<std::string> out;
  std::set<std::string> seen;
  while (out.size() < count)
    if (std::string address = FreeAddress(); seen.insert(address).second)
      out.push_back(std::move(address));
  return out;
}

}  // namespace

std::string FindVarved() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const char* place : {"varved", "../../server/varved"})
    if (const fs::path path = self / place; !error && IsProgram(path))
      return path.lexically_normal().string();
  const char* path = std::getenv("PATH");
  std::string rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const size_t colon = rest.find(':');
    const fs::path program = fs::path(rest.substr(0, colon)) / "varved";
    if (IsProgram(program)) return program.string();
    rest = colon == std::string::npos ? "" : rest.substr(colon + 1);
  }
  return "";
}

DemoCluster::DemoCluster(std::string varved, std::string directory) {
  const std::vector<std::string> peers = DistinctAddresses(kBrokers);
  std::string seeds;
  for (size_t i = 0; i < kBrokers; ++i)
    seeds += (i == 0 ? "" : ", ") + std::to_string(i + 1) + "@" + peers[i];
  for (size_t i = 0; i < kBrokers; ++i) {
    const std::string node = std::to_string(i + 1);
    BrokerProcessOptions options;
    options.program = varved;
    options.data_directory = directory + "/node" + node;
    options.log_file = directory + "/node" + node + ".log";
    options.extra_flags = {"--node_id=" + node, "--peer.address=" + peers[i],
                           "--bootstrap.nodes=" + seeds};
    options.own_group = true;
    brokers_[i] = std::make_unique<BrokerProcess>(std::move(options));
  }
}

std::string DemoCluster::Start() {
  for (auto& broker : brokers_)
    if (std::string wrong = broker->Launch(); !wrong.empty()) return wrong;
  for (auto& broker : brokers_)
    if (std::string wrong = broker->AwaitReady(std::chrono::seconds(60)); !wrong.empty())
      return wrong;
  return {};
}

void DemoCluster::Stop() {
  for (auto& broker : brokers_) broker->Signal(SIGTERM);
  for (auto& broker : brokers_) broker->Terminate(std::chrono::seconds(10));
}

std::string DemoCluster::addresses() const {
  std::string out;
  for (size_t i = 0; i < kBrokers; ++i) out += (i == 0 ? "" : ",") + address(i);
  return out;
}

}  // namespace varve::demo
