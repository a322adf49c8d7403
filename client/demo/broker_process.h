// BrokerProcess: a varved that a program starts, kills and starts again.
#ifndef VARVE_CLIENT_DEMO_BROKER_PROCESS_H_
#define VARVE_CLIENT_DEMO_BROKER_PROCESS_H_

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace varve::demo {

// host:port on loopback where nobody listens now, outside the range from which the kernel takes the
// ports of outgoing connections: otherwise a client that tries to reach a dead broker may be given
// the broker's own port, and the broker could not come back.
std::string FreeAddress();

struct BrokerProcessOptions {
  std::string program;         // path of varved
  std::string data_directory;  // created by the broker when missing
  std::string log_file;        // the broker's output, appended
  std::vector<std::string> extra_flags;
  // In a process group of its own: Ctrl-C at the terminal does not reach it.
  bool own_group = false;
};

// One broker on loopback. The first start takes free ports, later ones the same again, so that
// clients come back by themselves. Not thread-safe: all calls from one thread, which must live as
// long as the broker shall (the kernel kills the broker with it). The destructor kills what still
// runs.
class BrokerProcess {
 public:
  explicit BrokerProcess(BrokerProcessOptions options) : options_(std::move(options)) {}
  ~BrokerProcess();
  BrokerProcess(const BrokerProcess&) = delete;
  BrokerProcess& operator=(const BrokerProcess&) = delete;

  // Returns when the broker says that it is ready. Empty on success, else what went wrong, with the
  // end of its log.
  std::string Start(std::chrono::milliseconds timeout = std::chrono::seconds(60));
  // The two halves of Start: brokers that wait for each other are launched before any is awaited.
  std::string Launch();
  std::string AwaitReady(std::chrono::milliseconds timeout);
  // SIGKILL; returns when the process is gone.
  void Kill();
  // SIGTERM; the exit code, or -1 when it did not end in time (then it was killed).
  int Terminate(std::chrono::milliseconds timeout = std::chrono::seconds(60));
  void Signal(int signal) const;
  [[nodiscard]] bool running() const { return pid_ > 0; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] const std::string& grpc_address() const { return grpc_address_; }
  [[nodiscard]] const std::string& http_address() const { return http_address_; }

 private:
  [[nodiscard]] std::string ready_file() const { return options_.data_directory + ".ready"; }
  [[nodiscard]] std::vector<std::string> Flags() const;
  void Spawn();
  bool ReadReadyFile();
  // Waits for the process to end; false when it did not in time.
  bool Reap(std::chrono::milliseconds timeout, int* exit_code);
  [[nodiscard]] std::string EndOfLog() const;

  const BrokerProcessOptions options_;
  pid_t pid_ = 0;
  std::string grpc_address_;
  std::string http_address_;
};

}  // namespace varve::demo

#endif  // VARVE_CLIENT_DEMO_BROKER_PROCESS_H_
