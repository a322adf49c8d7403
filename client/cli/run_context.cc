#include "client/cli/run_context.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <sstream>

#include "client/cli/quantity.h"

namespace varve::cli {
namespace {

std::string ReadText(const char* path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// The next word of a line; words end at blanks.
std::string_view TakeWord(std::string_view& line) {
  const size_t end = line.find(' ');
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(end == std::string_view::npos ? line.size() : end + 1);
  return word;
}

std::string_view TakeLine(std::string_view& text) {
  const size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

// Whether `path` is the mount point or lies below it.
bool Holds(std::string_view mount_point, std::string_view path) {
  if (mount_point == "/") return true;
  return path.starts_with(mount_point) &&
         (path.size() == mount_point.size() || path[mount_point.size()] == '/');
}

int UsableCores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  return static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
}

}  // namespace

std::string CpuModelIn(std::string_view cpuinfo) {
  while (!cpuinfo.empty()) {
    const std::string_view line = TakeLine(cpuinfo);
    if (!line.starts_with("model name")) continue;
    const size_t colon = line.find(": ");
    if (colon != std::string_view::npos) return std::string(line.substr(colon + 2));
  }
  return "unknown";
}

std::string MountIn(std::string_view mounts, std::string_view path) {
  std::string found = "unknown";
  size_t longest = 0;
  while (!mounts.empty()) {
    std::string_view line = TakeLine(mounts);
    const std::string_view source = TakeWord(line);
    const std::string_view point = TakeWord(line);
    const std::string_view type = TakeWord(line);
    // A later mount on the same point hides the earlier one.
    if (point.empty() || !Holds(point, path) || point.size() < longest) continue;
    longest = point.size();
    found = std::string(type) + " on " + std::string(source);
  }
  return found;
}

RunContext ReadRunContext(const std::string& directory) {
  RunContext context;
  context.cpu_model = CpuModelIn(ReadText("/proc/cpuinfo"));
  context.cores = UsableCores();
  context.memory_bytes =
      static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  utsname name{};
  uname(&name);
  context.kernel = std::string(name.sysname) + " " + name.release + " " + name.machine;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  context.started = FormatTime(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  if (!directory.empty()) {
    const std::unique_ptr<char, decltype(&free)> real(realpath(directory.c_str(), nullptr), &free);
    context.directory = real ? real.get() : directory;
    context.filesystem = MountIn(ReadText("/proc/self/mounts"), context.directory);
  }
  return context;
}

}  // namespace varve::cli
