// Signals of the process, delivered to one waiting thread.
#ifndef VARVE_SERVER_PROCESS_SIGNALS_H_
#define VARVE_SERVER_PROCESS_SIGNALS_H_

#include <functional>

namespace varve::server {

// Call before any thread exists: SIGTERM and SIGINT are blocked everywhere from here on, SIGPIPE is
// ignored. `on_stop` runs once, on a thread of its own, for the first of them; the second ends the
// process at once with 128 + its number. The thread lives as long as the process.
void WatchSignals(std::function<void(int signal)> on_stop);

}  // namespace varve::server

#endif  // VARVE_SERVER_PROCESS_SIGNALS_H_
