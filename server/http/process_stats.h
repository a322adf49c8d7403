// What the operating system says about this process, for the process_* series.
#ifndef VARVE_SERVER_HTTP_PROCESS_STATS_H_
#define VARVE_SERVER_HTTP_PROCESS_STATS_H_

#include <cstdint>

namespace varve::server {

// 0 for what could not be read.
struct ProcessStats {
  double cpu_seconds = 0;
  uint64_t resident_bytes = 0;
  uint64_t open_fds = 0;
  uint64_t max_fds = 0;
  uint64_t threads = 0;
};
ProcessStats ReadProcessStats();

}  // namespace varve::server

#endif  // VARVE_SERVER_HTTP_PROCESS_STATS_H_
