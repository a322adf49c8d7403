// The pages of the HTTP door, made from a broker that may not be there yet.
#ifndef VARVE_SERVER_PROCESS_ADMIN_PAGES_H_
#define VARVE_SERVER_PROCESS_ADMIN_PAGES_H_

#include <atomic>
#include <map>
#include <string>

#include "common/clock.h"
#include "common/file_system.h"
#include "server/broker.h"
#include "server/http/http_server.h"

namespace varve::server {

// What the pages look at; outlives the HTTP server. Thread-safe.
struct AdminView {
  FileSystem& files;
  std::string data_dir;
  WallTime started;
  size_t dirty_budget_bytes = 0;
  // Set when the broker is open; it then outlives the HTTP server.
  std::atomic<Broker*> broker{nullptr};
  std::atomic<bool> draining{false};
};

// /metrics, /healthz (503 once the disk failed), /readyz (503 while starting and draining),
// /admin/fold?group=N (position of a fold and hash of its content, JSON).
std::map<std::string, HttpHandler> AdminPages(AdminView& view);

}  // namespace varve::server

#endif  // VARVE_SERVER_PROCESS_ADMIN_PAGES_H_
