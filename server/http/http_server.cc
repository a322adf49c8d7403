#include "server/http/http_server.h"

#include <httplib.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "common/error.h"
#include "server/http/bounded_stream.h"

namespace varve::server {
namespace {

constexpr size_t kMaxHeadBytes = 8192;

// The library's pool queues without bound. Here the accepting thread waits for a free worker, so
// that what is too much stays in the kernel's backlog, which is bounded.
class WaitingPool final : public httplib::TaskQueue {
 public:
  explicit WaitingPool(int threads) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
  }
  void enqueue(std::function<void()> task) override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return tasks_.empty(); });
    tasks_.push_back(std::move(task));
    changed_.notify_all();
  }
  void shutdown() override {
    {
      std::lock_guard lock(mutex_);
      stopped_ = true;
      changed_.notify_all();
    }
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  void Work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return stopped_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      const std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      changed_.notify_all();
      lock.unlock();
      task();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

class BoundedServer final : public httplib::Server {
 public:
  explicit BoundedServer(std::chrono::milliseconds deadline) : deadline_(deadline) {}

 private:
  bool process_and_close_socket(socket_t socket) override {
    BoundedStream stream(socket, kMaxHeadBytes, deadline_);
    bool closed = false;
    const bool ok = process_request(stream, /*close_connection=*/true, closed, nullptr);
    ::shutdown(socket, SHUT_WR);
    // Closing over unread bytes resets the connection, and the client may lose the answer.
    std::array<char, 4096> rest;
    for (int i = 0; i < 16 && ::recv(socket, rest.data(), rest.size(), MSG_DONTWAIT) > 0; ++i) {
    }
    ::close(socket);
    return ok;
  }

  const std::chrono::milliseconds deadline_;
};

// Closes on scope exit.
struct Socket {
  int fd = -1;
  ~Socket() {
    if (fd >= 0) ::close(fd);
  }
};

absl::Status BindError(const std::string& address, int error) {
  if (error == EADDRINUSE)
    return MakeError(Reason::ADDRESS_IN_USE, "cannot listen on ", address, ": already in use");
  if (error == EACCES)
    return MakeError(Reason::PERMISSION_DENIED, "cannot listen on ", address, ": ",
                     std::strerror(error));
  return MakeError(Reason::INVALID_CONFIG, "cannot listen on ", address, ": ",
                   std::strerror(error));
}

class HttpServerImpl final : public HttpServer {
 public:
  explicit HttpServerImpl(const HttpServerOptions& options) : server_(options.deadline) {
    server_.new_task_queue = [threads = options.threads] { return new WaitingPool(threads); };
    // Reuse of addresses, not of ports: a second broker must not share the port in silence.
    server_.set_socket_options([](socket_t socket) {
      const int yes = 1;
      ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    });
    server_.set_payload_max_length(0);
  }
  ~HttpServerImpl() override {
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }

  void Route(std::map<std::string, HttpHandler> handlers) {
    server_.set_pre_routing_handler(
        [handlers = std::move(handlers)](const httplib::Request& request,
                                         httplib::Response& response) {
          Answer(handlers, request, response);
          return httplib::Server::HandlerResponse::Handled;
        });
  }
  absl::Status Listen(const HttpServerOptions& options) {
    VARVE_RETURN_IF_ERROR(ProbeAddress(options.host, options.port));
    if (options.port == 0)
      port_ = server_.bind_to_any_port(options.host);
    else
      port_ = server_.bind_to_port(options.host, options.port) ? options.port : -1;
    if (port_ <= 0)
      return MakeError(Reason::ADDRESS_IN_USE, "cannot listen on ", options.host, ":",
                       options.port);
    thread_ = std::thread([this] {
      server_.listen_after_bind();
      ended_ = true;
    });
    // A stop before the thread accepts would be lost.
    while (!server_.is_running() && !ended_) std::this_thread::yield();
    return absl::OkStatus();
  }
  [[nodiscard]] int port() const override { return port_; }

 private:
  static void Answer(const std::map<std::string, HttpHandler>& handlers,
                     const httplib::Request& request, httplib::Response& response) {
    HttpResponse answer;
    const auto found = handlers.find(request.path);
    if (request.method != "GET" && request.method != "HEAD") {
      answer = {.status = 405, .body = "only GET is allowed here\n"};
      response.set_header("Allow", "GET, HEAD");
    } else if (request.has_header("Transfer-Encoding") ||
               request.get_header_value("Content-Length", 0).find_first_not_of('0') !=
                   std::string::npos) {
      answer = {.status = 400, .body = "a request here has no body\n"};
    } else if (found == handlers.end()) {
      answer = {.status = 404, .body = "not found; there are:\n"};
      for (const auto& [path, handler] : handlers) answer.body += path + "\n";
    } else {
      HttpQuery query;
      for (const auto& [name, value] : request.params) query.emplace(name, value);
      answer = found->second(query);
    }
    response.status = answer.status;
    response.set_content(answer.body, answer.content_type);
    response.set_header("Cache-Control", "no-store");
    response.set_header("X-Content-Type-Options", "nosniff");
  }

  BoundedServer server_;
  int port_ = 0;
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

}  // namespace

absl::Status ProbeAddress(const std::string& host, int port) {
  const std::string address = StrCat(host, ":", port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), StrCat(port).c_str(), &hints, &found);
  if (error != 0)
    return MakeError(Reason::INVALID_CONFIG, "cannot resolve ", address, ": ",
                     ::gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, &::freeaddrinfo);
  const Socket socket{::socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC, 0)};
  if (socket.fd < 0) return BindError(address, errno);
  const int yes = 1;
  ::setsockopt(socket.fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  if (::bind(socket.fd, found->ai_addr, found->ai_addrlen) != 0) return BindError(address, errno);
  // Sockets that do not listen may share an address; only listening tells.
  if (::listen(socket.fd, 1) != 0) return BindError(address, errno);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(
    HttpServerOptions options, std::map<std::string, HttpHandler> handlers) {
  auto server = std::make_unique<HttpServerImpl>(options);
  server->Route(std::move(handlers));
  VARVE_RETURN_IF_ERROR(server->Listen(options));
  return server;
}

}  // namespace varve::server
