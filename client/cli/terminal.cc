#include "client/cli/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "client/cli/cli_error.h"

namespace varve::cli {
namespace {

// Of the signal handler: lock-free and set before it is installed.
std::atomic<bool> interrupted = false;
int interrupt_pipe[2] = {-1, -1};

void OnInterrupt(int) {
  const int saved = errno;
  if (interrupted.exchange(true)) _exit(kExitInterrupted);
  const char byte = 0;
  [[maybe_unused]] const ssize_t written = write(interrupt_pipe[1], &byte, 1);
  errno = saved;
}

}  // namespace

bool IsTerminal(int fd) { return isatty(fd) == 1; }

bool UseColour(int fd) {
  const char* no_colour = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  if (no_colour != nullptr && *no_colour != '\0') return false;
  if (terminal != nullptr && std::string_view(terminal) == "dumb") return false;
  return IsTerminal(fd);
}

Status WriteFd(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written > 0) {
      bytes.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EAGAIN) {  // somebody shares the pipe and made it non-blocking
      pollfd ready{.fd = fd, .events = POLLOUT, .revents = 0};
      poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      return LocalError("cannot write the output", errno, "Check where the output goes to.");
    }
  }
  return Status();
}

Status WriteOut(std::string_view bytes) { return WriteFd(STDOUT_FILENO, bytes); }
void WriteErr(std::string_view bytes) { (void)WriteFd(STDERR_FILENO, bytes); }

void CatchInterrupts() {
  if (interrupt_pipe[0] >= 0) return;
  if (pipe2(interrupt_pipe, O_CLOEXEC | O_NONBLOCK) != 0) return;
  struct sigaction action {};
  action.sa_handler = OnInterrupt;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool Interrupted() { return interrupted.load(std::memory_order_relaxed); }
int InterruptFd() { return interrupt_pipe[0]; }

InputFile::InputFile(int fd, bool owned, std::string name)
    : fd_(fd), owned_(owned), name_(std::move(name)) {}

InputFile::InputFile(InputFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), owned_(other.owned_), name_(std::move(other.name_)) {}

InputFile::~InputFile() {
  if (owned_ && fd_ >= 0) close(fd_);
}

Result<InputFile> InputFile::Open(const std::string& path) {
  if (path == "-") return InputFile(STDIN_FILENO, false, "standard input");
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return LocalError("cannot open " + path, errno, "Check the file's name and rights.");
  return InputFile(fd, true, path);
}

Result<size_t> InputFile::Read(char* buffer, size_t size) {
  while (true) {
    pollfd ready[2] = {{.fd = fd_, .events = POLLIN, .revents = 0},
                       {.fd = InterruptFd(), .events = POLLIN, .revents = 0}};
    if (poll(ready, 2, -1) < 0 && errno != EINTR)
      return LocalError("cannot wait for " + name_, errno, "Check the file's name and rights.");
    if (Interrupted()) return size_t{0};
    if (ready[0].revents == 0) continue;
    const ssize_t got = read(fd_, buffer, size);
    if (got >= 0) return static_cast<size_t>(got);
    if (errno != EINTR && errno != EAGAIN)
      return LocalError("cannot read " + name_, errno, "Check the file's name and rights.");
  }
}

}  // namespace varve::cli
