// BoundedStream: one accepted connection with a byte limit on what is read and a deadline on all of
// it.
#ifndef VARVE_SERVER_HTTP_BOUNDED_STREAM_H_
#define VARVE_SERVER_HTTP_BOUNDED_STREAM_H_

#include <httplib.h>

#include <chrono>
#include <string>

namespace varve::server {

// The library bounds single lines and single waits, not their number; a client that sends one byte
// a second would hold a thread for hours. Does not own the socket.
class BoundedStream final : public httplib::Stream {
 public:
  BoundedStream(socket_t socket, size_t max_read_bytes, std::chrono::milliseconds deadline)
      : socket_(socket),
        left_(max_read_bytes),
        deadline_(std::chrono::steady_clock::now() + deadline) {}

  [[nodiscard]] bool is_readable() const override { return left_ > 0; }
  [[nodiscard]] bool is_writable() const override { return true; }
  ssize_t read(char* to, size_t size) override;
  ssize_t write(const char* from, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override { ip.clear(), port = 0; }
  void get_local_ip_and_port(std::string& ip, int& port) const override { ip.clear(), port = 0; }
  [[nodiscard]] socket_t socket() const override { return socket_; }

 private:
  // Lets the next receive or send (`option`) wait until the deadline; false when it has passed.
  [[nodiscard]] bool Arm(int option) const;

  const socket_t socket_;
  size_t left_;
  const std::chrono::steady_clock::time_point deadline_;
  std::string buffer_;  // read from the socket, not yet asked for
  size_t taken_ = 0;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_HTTP_BOUNDED_STREAM_H_
