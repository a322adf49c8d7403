// RunContext: where a measurement ran. A figure without it is no figure.
#ifndef VARVE_CLIENT_CLI_RUN_CONTEXT_H_
#define VARVE_CLIENT_CLI_RUN_CONTEXT_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace varve::cli {

struct RunContext {
  std::string cpu_model;
  int cores = 0;  // that this process may use
  uint64_t memory_bytes = 0;
  std::string kernel;      // "Linux 6.1.0-18-amd64 x86_64"
  std::string directory;   // whose file system it is; empty: none was named
  std::string filesystem;  // "ext4 on /dev/vda1"
  std::string started;     // RFC 3339
};

// Of this machine, and of the file system of `directory` unless that is empty.
RunContext ReadRunContext(const std::string& directory);

// The value of "model name" of the first processor in the text of /proc/cpuinfo; "unknown" without.
std::string CpuModelIn(std::string_view cpuinfo);
// "TYPE on SOURCE" of the mount that holds `path` (absolute), from the text of /proc/self/mounts.
std::string MountIn(std::string_view mounts, std::string_view path);

}  // namespace varve::cli

#endif  // VARVE_CLIENT_CLI_RUN_CONTEXT_H_
