#include "server/process/signals.h"

#include <signal.h>
#include <unistd.h>

#include <thread>
#include <utility>

namespace varve::server {

void WatchSignals(std::function<void(int signal)> on_stop) {
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  ::sigaddset(&set, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::thread([set, on_stop = std::move(on_stop)] {
    int signal = 0;
    while (::sigwait(&set, &signal) != 0) {
    }
    on_stop(signal);
    while (::sigwait(&set, &signal) != 0) {
    }
    // No destructors: what was acknowledged is durable, and the user asked for now.
    ::_exit(128 + signal);
  }).detach();
}

}  // namespace varve::server
