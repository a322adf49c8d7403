#include "server/http/process_stats.h"

#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace varve::server {
namespace {

// The number behind `key` in /proc's "key: number unit" lines, or "key number number" ones.
uint64_t ReadField(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    std::istringstream rest(line.substr(key.size()));
    uint64_t value = 0;
    return rest >> value ? value : 0;
  }
  return 0;
}

}  // namespace

ProcessStats ReadProcessStats() {
  ProcessStats stats;
  stats.cpu_seconds = static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  stats.resident_bytes = ReadField("/proc/self/status", "VmRSS:") * 1024;
  stats.threads = ReadField("/proc/self/status", "Threads:");
  stats.max_fds = ReadField("/proc/self/limits", "Max open files");
  std::error_code error;
  std::filesystem::directory_iterator fds("/proc/self/fd", error);
  // One of them is the iterator's own.
  if (!error) stats.open_fds = static_cast<uint64_t>(std::distance(begin(fds), end(fds))) - 1;
  return stats;
}

}  // namespace varve::server
