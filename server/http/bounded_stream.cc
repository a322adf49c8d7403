#include "server/http/bounded_stream.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace varve::server {

bool BoundedStream::Arm(int option) const {
  const auto left = std::chrono::duration_cast<std::chrono::microseconds>(
      deadline_ - std::chrono::steady_clock::now());
  if (left.count() <= 0) return false;
  const timeval wait{left.count() / 1'000'000, left.count() % 1'000'000};
  return ::setsockopt(socket_, SOL_SOCKET, option, &wait, sizeof(wait)) == 0;
}

ssize_t BoundedStream::read(char* to, size_t size) {
  if (taken_ == buffer_.size()) {
    // The library asks for single bytes; the socket is asked for blocks.
    std::array<char, 1024> block;
    if (left_ == 0 || !Arm(SO_RCVTIMEO)) return -1;
    const ssize_t got = ::recv(socket_, block.data(), std::min(block.size(), left_), 0);
    if (got <= 0) return got;
    left_ -= static_cast<size_t>(got);
    buffer_.assign(block.data(), static_cast<size_t>(got));
    taken_ = 0;
  }
  const size_t n = std::min(size, buffer_.size() - taken_);
  std::memcpy(to, buffer_.data() + taken_, n);
  taken_ += n;
  return static_cast<ssize_t>(n);
}

ssize_t BoundedStream::write(const char* from, size_t size) {
  if (!Arm(SO_SNDTIMEO)) return -1;
  return ::send(socket_, from, size, MSG_NOSIGNAL);
}

}  // namespace varve::server
