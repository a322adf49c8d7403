#include "client/demo/broker_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

namespace varve::demo {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kPollInterval{5};

}  // namespace

std::string FreeAddress() {
  static std::mt19937 random{std::random_device()()};
  for (int i = 0; i < 100; ++i) {
    const auto port = std::uniform_int_distribution<uint16_t>(12'000, 31'000)(random);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool is_free = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    close(fd);
    if (is_free) return "127.0.0.1:" + std::to_string(port);
  }
  return "127.0.0.1:0";
}

BrokerProcess::~BrokerProcess() { Kill(); }

std::vector<std::string> BrokerProcess::Flags() const {
  const std::string grpc = grpc_address_.empty() ? FreeAddress() : grpc_address_;
  const std::string http = http_address_.empty() ? FreeAddress() : http_address_;
  std::vector<std::string> flags = {options_.program, "--data_dir=" + options_.data_directory,
                                    "--grpc.address=" + grpc, "--http.address=" + http,
                                    "--ready-file=" + ready_file()};
  flags.insert(flags.end(), options_.extra_flags.begin(), options_.extra_flags.end());
  return flags;
}

void BrokerProcess::Spawn() {
  const std::vector<std::string> flags = Flags();
  std::vector<char*> arguments;
  for (const std::string& flag : flags) arguments.push_back(const_cast<char*>(flag.c_str()));
  arguments.push_back(nullptr);
  const int log = open(options_.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  pid_ = fork();
  if (pid_ != 0) {
    close(log);
    return;
  }
  // The child: only async-signal-safe calls from here. It must not outlive its parent.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (options_.own_group) setpgid(0, 0);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  execv(arguments[0], arguments.data());
  _exit(127);
}

std::string BrokerProcess::Start(milliseconds timeout) {
  if (std::string wrong = Launch(); !wrong.empty()) return wrong;
  return AwaitReady(timeout);
}

std::string BrokerProcess::Launch() {
  unlink(ready_file().c_str());
  Spawn();
  if (pid_ < 0) return std::string("cannot start a process: ") + std::strerror(errno);
  return {};
}

std::string BrokerProcess::AwaitReady(milliseconds timeout) {
  const auto deadline = steady_clock::now() + timeout;
  while (steady_clock::now() < deadline) {
    if (ReadReadyFile()) return {};
    int exit_code = 0;
    if (Reap(milliseconds(0), &exit_code))
      return "varved ended with exit code " + std::to_string(exit_code) + ":\n" + EndOfLog();
    std::this_thread::sleep_for(kPollInterval);
  }
  Kill();
  return "varved was not ready in time:\n" + EndOfLog();
}

// "grpc=HOST:PORT http=HOST:PORT pid=N", written by the broker in one step when it is ready.
bool BrokerProcess::ReadReadyFile() {
  std::ifstream in(ready_file());
  std::string grpc, http;
  if (!(in >> grpc >> http)) return false;
  if (grpc.rfind("grpc=", 0) != 0 || http.rfind("http=", 0) != 0) return false;
  grpc_address_ = grpc.substr(5);
  http_address_ = http.substr(5);
  return true;
}

bool BrokerProcess::Reap(milliseconds timeout, int* exit_code) {
  const auto deadline = steady_clock::now() + timeout;
  for (;;) {
    int status = 0;
    const pid_t ended = waitpid(pid_, &status, WNOHANG);
    if (ended == pid_) {
      *exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      pid_ = 0;
      return true;
    }
    if (ended < 0 && errno != EINTR) {
      pid_ = 0;
      *exit_code = -1;
      return true;
    }
    if (steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(kPollInterval);
  }
}

void BrokerProcess::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  int exit_code = 0;
  Reap(std::chrono::seconds(60), &exit_code);
}

int BrokerProcess::Terminate(milliseconds timeout) {
  if (pid_ <= 0) return 0;
  kill(pid_, SIGTERM);
  int exit_code = 0;
  if (Reap(timeout, &exit_code)) return exit_code;
  Kill();
  return -1;
}

void BrokerProcess::Signal(int signal) const {
  if (pid_ > 0) kill(pid_, signal);
}

std::string BrokerProcess::EndOfLog() const {
  std::ifstream in(options_.log_file);
  std::stringstream all;
  all << in.rdbuf();
  std::string text = all.str();
  constexpr size_t kShown = 2000;
  return text.size() > kShown ? text.substr(text.size() - kShown) : text;
}

}  // namespace varve::demo
