#include "tests/integration/support/run_program.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

namespace varve::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr uid_t kNobody = 65534;

struct Pipe {
  Pipe() {
    if (pipe2(ends, O_CLOEXEC) != 0) std::abort();
  }
  ~Pipe() {
    CloseRead();
    CloseWrite();
  }
  void CloseRead() { Close(ends[0]); }
  void CloseWrite() { Close(ends[1]); }
  static void Close(int& fd) {
    if (fd >= 0) close(fd);
    fd = -1;
  }
  int ends[2] = {-1, -1};
};

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

std::vector<std::string> Environment(const std::vector<std::string>& more) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) out.emplace_back(*entry);
  out.insert(out.end(), more.begin(), more.end());
  return out;
}

// In the child: only async-signal-safe calls.
[[noreturn]] void Become(char* const* arguments, char* const* environment, bool as_nobody) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (as_nobody && geteuid() == 0) {
    // Opened before root is given up: the path to it may be closed to others.
    const int program = open(arguments[0], O_RDONLY | O_CLOEXEC);
    if (setgroups(0, nullptr) != 0 || setgid(kNobody) != 0 || setuid(kNobody) != 0) _exit(126);
    fexecve(program, arguments, environment);
  } else {
    execve(arguments[0], arguments, environment);
  }
  _exit(127);
}

class Child {
 public:
  Child(const std::vector<std::string>& arguments, const RunOptions& options)
      : input_(options.input) {
    const std::vector<std::string> texts = Environment(options.environment);
    const std::vector<char*> environment = Pointers(texts);
    const std::vector<char*> pointers = Pointers(arguments);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(in_.ends[0], STDIN_FILENO);
      dup2(out_.ends[1], STDOUT_FILENO);
      dup2(err_.ends[1], STDERR_FILENO);
      Become(pointers.data(), environment.data(), options.as_nobody);
    }
    in_.CloseRead();
    out_.CloseWrite();
    err_.CloseWrite();
    if (input_.empty()) in_.CloseWrite();
  }

  RunResult Finish(milliseconds timeout) {
    RunResult result;
    const auto deadline = steady_clock::now() + timeout;
    while (out_.ends[0] >= 0 || err_.ends[0] >= 0)
      if (!Exchange(deadline, result)) break;
    // Both outputs are closed, or the time is over.
    const bool late = out_.ends[0] >= 0 || err_.ends[0] >= 0;
    if (late) kill(pid_, SIGKILL);
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    if (!late) result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return result;
  }

 private:
  bool Exchange(steady_clock::time_point deadline, RunResult& result) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now());
    std::array<pollfd, 3> fds = {pollfd{out_.ends[0], POLLIN, 0}, pollfd{err_.ends[0], POLLIN, 0},
                                 pollfd{in_.ends[1], POLLOUT, 0}};
    if (left.count() <= 0 || poll(fds.data(), fds.size(), static_cast<int>(left.count())) == 0)
      return false;
    if (fds[0].revents != 0) Read(out_, result.out);
    if (fds[1].revents != 0) Read(err_, result.err);
    if (fds[2].revents != 0) Write();
    return true;
  }
  static void Read(Pipe& from, std::string& to) {
    std::array<char, 65536> buffer{};
    const ssize_t n = read(from.ends[0], buffer.data(), buffer.size());
    if (n > 0) to.append(buffer.data(), static_cast<size_t>(n));
    if (n == 0) from.CloseRead();
  }
  void Write() {
    // At most what a pipe that is ready takes without blocking.
    const ssize_t n = write(in_.ends[1], input_.data() + written_,
                            std::min<size_t>(input_.size() - written_, 4096));
    if (n > 0) written_ += static_cast<size_t>(n);
    if (n < 0 || written_ == input_.size()) in_.CloseWrite();
  }

  const std::string& input_;
  Pipe in_, out_, err_;
  size_t written_ = 0;
  pid_t pid_ = 0;
};

}  // namespace

std::ostream& operator<<(std::ostream& out, const RunResult& result) {
  return out << "exit code " << result.exit_code << "\nstdout: " << result.out
             << "\nstderr: " << result.err;
}

RunResult RunProgram(const std::vector<std::string>& arguments, const RunOptions& options) {
  signal(SIGPIPE, SIG_IGN);
  return Child(arguments, options).Finish(options.timeout);
}

}  // namespace varve::testing
