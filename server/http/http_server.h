// HttpServer: the small HTTP door for metrics, health and admin. GET only, no body, no keep-alive.
#ifndef VARVE_SERVER_HTTP_HTTP_SERVER_H_
#define VARVE_SERVER_HTTP_HTTP_SERVER_H_

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace varve::server {

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};
// Query parameters by name; the first of a repeated name.
using HttpQuery = std::map<std::string, std::string>;
// Runs on a thread of the server, any number of them at once.
using HttpHandler = std::function<HttpResponse(const HttpQuery&)>;

struct HttpServerOptions {
  std::string host;
  int port = 0;     // 0 takes a free one
  int threads = 2;  // requests served at once; further connections wait in the kernel
  // From accept to the last byte of the answer, however slowly the client sends or reads.
  std::chrono::milliseconds deadline{5000};
};

// Limits against hostile clients: heads of at most 8 KiB in all, one request per connection, a
// deadline for the whole of it. Everything that is not GET or HEAD, or announces a body, is refused
// unread. Thread-safe.
class HttpServer {
 public:
  // Listens when it returns. ADDRESS_IN_USE; INVALID_CONFIG for an address this machine does not
  // have. `handlers` are by path.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(
      HttpServerOptions options, std::map<std::string, HttpHandler> handlers);
  virtual ~HttpServer() = default;  // waits for requests under way
  [[nodiscard]] virtual int port() const = 0;
};

// Whether `host`:`port` can be listened on right now; the errors of HttpServer::Start. For doors
// that open late and should fail early.
absl::Status ProbeAddress(const std::string& host, int port);

}  // namespace varve::server

#endif  // VARVE_SERVER_HTTP_HTTP_SERVER_H_
