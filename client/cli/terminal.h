// The process's standard streams and signals, as commands use them.
#ifndef VARVE_CLIENT_CLI_TERMINAL_H_
#define VARVE_CLIENT_CLI_TERMINAL_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "varve/status.h"

namespace varve::cli {

bool IsTerminal(int fd);
// Whether to colour what goes to `fd`: a terminal that is not dumb, and NO_COLOR is not set.
bool UseColour(int fd);

// Writes all of it; a failed write is an error to report, a closed pipe ends the process by
// SIGPIPE.
Status WriteFd(int fd, std::string_view bytes);
// Data to standard output; everything else to standard error, where a failure to write is of no
// use.
Status WriteOut(std::string_view bytes);
void WriteErr(std::string_view bytes);

// SIGINT and SIGTERM ask a streaming command to end; a second one ends the process with 130.
// Idempotent; from the main thread.
void CatchInterrupts();
[[nodiscard]] bool Interrupted();
// Readable once interrupted; for poll(). -1 before CatchInterrupts.
[[nodiscard]] int InterruptFd();

// Bytes of a file or pipe. Read waits for input or an interrupt, which looks like the end.
class InputFile {
 public:
  // "-" is standard input.
  static Result<InputFile> Open(const std::string& path);
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&&) = delete;
  ~InputFile();
  // The number of bytes read; 0 at the end.
  Result<size_t> Read(char* buffer, size_t size);

 private:
  InputFile(int fd, bool owned, std::string name);
  int fd_;
  bool owned_;
  std::string name_;
};

}  // namespace varve::cli

#endif  // VARVE_CLIENT_CLI_TERMINAL_H_
