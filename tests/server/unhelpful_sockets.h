// Sockets on loopback that do what networks do: swallow, relay, freeze.
#ifndef VARVE_TESTS_SERVER_UNHELPFUL_SOCKETS_H_
#define VARVE_TESTS_SERVER_UNHELPFUL_SOCKETS_H_

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/strings.h"

namespace varve::server {

inline sockaddr_in LoopbackAddress(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}
inline int PortOf(int socket) {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  EXPECT_EQ(::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length), 0);
  return ntohs(address.sin_port);
}

// A socket that listens but never accepts, with its queue full: connecting gets no answer.
class BlackHole {
 public:
  BlackHole() : listening_(Socket()) {
    sockaddr_in address = LoopbackAddress(0);
    EXPECT_EQ(::bind(listening_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    socklen_t length = sizeof address;
    EXPECT_EQ(::getsockname(listening_, reinterpret_cast<sockaddr*>(&address), &length), 0);
    EXPECT_EQ(::listen(listening_, 0), 0);
    port_ = ntohs(address.sin_port);
    for (int& filler : fillers_) {
      filler = Socket();
      (void)::connect(filler, reinterpret_cast<sockaddr*>(&address), sizeof address);
    }
  }
  ~BlackHole() {
    for (const int filler : fillers_) ::close(filler);
    ::close(listening_);
  }
  BlackHole(const BlackHole&) = delete;
  BlackHole& operator=(const BlackHole&) = delete;
  [[nodiscard]] std::string address() const { return StrCat("127.0.0.1:", port_); }

 private:
  static int Socket() { return ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }
  int listening_;
  int port_ = 0;
  std::array<int, 4> fillers_{};
};

// Passes bytes between whoever connects and a port, until it freezes: then it reads and passes
// nothing more, and all sockets stay open, as when a cable is pulled. (Kernels go on
// acknowledging.)
class Relay {
 public:
  explicit Relay(int to) : to_(to), listening_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = LoopbackAddress(0);
    EXPECT_EQ(::bind(listening_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listening_, 16), 0);
    port_ = PortOf(listening_);
    thread_ = std::thread([this] { Run(); });
  }
  ~Relay() {
    stop_ = true;
    thread_.join();
    for (const Pair& pair : pairs_) {
      ::close(pair.client);
      ::close(pair.server);
    }
    ::close(listening_);
  }
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  [[nodiscard]] std::string address() const { return StrCat("127.0.0.1:", port_); }

  void Freeze() { frozen_ = true; }
  // Pieces passed on, in either direction, from now on.
  void WaitForChunks(int count) {
    std::unique_lock lock(mutex_);
    const int target = chunks_ + count;
    EXPECT_TRUE(
        changed_.wait_for(lock, std::chrono::seconds(60), [&] { return chunks_ >= target; }));
  }
  // Connections that the port's owner has ended.
  void WaitForServerCloses(int count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(
        changed_.wait_for(lock, std::chrono::seconds(60), [&] { return server_closes_ >= count; }));
  }

 private:
  struct Pair {
    int client = -1;
    int server = -1;
    bool client_closed = false;
    bool server_closed = false;
  };
  void Run() {
    while (!stop_) {
      std::vector<pollfd> polled{{listening_, static_cast<short>(frozen_ ? 0 : POLLIN), 0}};
      for (const Pair& pair : pairs_) {
        // While frozen only the end of a connection is looked for.
        const short events = frozen_ ? POLLRDHUP : POLLIN;
        polled.push_back({pair.client_closed ? -1 : pair.client, events, 0});
        polled.push_back({pair.server_closed ? -1 : pair.server, events, 0});
      }
      if (::poll(polled.data(), polled.size(), 20) <= 0) continue;
      for (size_t i = 0; i < pairs_.size(); ++i) {
        if (polled[2 * i + 1].revents != 0) Pass(pairs_[i], pairs_[i].client, pairs_[i].server);
        if (polled[2 * i + 2].revents != 0) Pass(pairs_[i], pairs_[i].server, pairs_[i].client);
      }
      if (polled[0].revents != 0) Accept();
    }
  }
  void Accept() {
    Pair pair{::accept(listening_, nullptr, nullptr),
              ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const sockaddr_in address = LoopbackAddress(to_);
    EXPECT_EQ(::connect(pair.server, reinterpret_cast<const sockaddr*>(&address), sizeof address),
              0);
    pairs_.push_back(pair);
  }
  void Pass(Pair& pair, int from, int to) {
    std::array<char, 65536> buffer{};
    const ssize_t got = frozen_ ? 0 : ::recv(from, buffer.data(), buffer.size(), 0);
    if (got > 0) (void)::send(to, buffer.data(), static_cast<size_t>(got), MSG_NOSIGNAL);
    std::lock_guard lock(mutex_);
    if (got > 0) {
      ++chunks_;
    } else if (from == pair.server) {
      ++server_closes_;
      pair.server_closed = true;
    } else {
      pair.client_closed = true;
    }
    changed_.notify_all();
  }

  const int to_;
  const int listening_;
  int port_ = 0;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> frozen_ = false;
  std::vector<Pair> pairs_;  // the thread's
  std::mutex mutex_;
  std::condition_variable changed_;
  int chunks_ = 0;
  int server_closes_ = 0;
  std::thread thread_;
};

}  // namespace varve::server

#endif  // VARVE_TESTS_SERVER_UNHELPFUL_SOCKETS_H_
