// Client: connections to one cluster, shared by producers, readers and admins made from it.
#ifndef VARVE_CLIENT_H_
#define VARVE_CLIENT_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "varve/api.h"
#include "varve/status.h"

namespace varve {
namespace client {
class ClientCore;
}
inline namespace v0 {

enum class LogLevel { kInfo, kWarning, kError };
// Called from any thread of the library, one call at a time; must not block.
using LogSink = std::function<void(LogLevel level, std::string_view message)>;

struct VARVE_API ClientOptions {
  // host:port of some brokers; the others are learnt from them.
  std::vector<std::string> bootstrap = {"localhost:9640"};
  // Shown in the broker's logs and metrics; at most 255 bytes.
  std::string client_id = "varve-client";
  // Of one request that is not a stream.
  std::chrono::milliseconds request_timeout{30'000};
  // Pause before a retry: grows from the first to the second, with jitter.
  std::chrono::milliseconds retry_backoff{50};
  std::chrono::milliseconds retry_backoff_max{1'000};
  // Where connection trouble is told. Default: nowhere.
  LogSink log;

  // INVALID_CONFIG naming the field, or success.
  [[nodiscard]] Status Validate() const;
};

// Thread-safe; copies share the same connections. Contacts nobody until something is asked of it.
// One thread for timers and callbacks, besides those of gRPC. Ends when the last copy and
// everything made from it is gone.
class VARVE_API Client {
 public:
  // INVALID_CONFIG when the options do not validate.
  static Result<Client> Create(ClientOptions options = {});

  Client(const Client&);
  Client& operator=(const Client&);
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

 private:
  friend class Admin;
  friend class Producer;
  friend class Reader;
  explicit Client(std::shared_ptr<client::ClientCore> core);
  std::shared_ptr<client::ClientCore> core_;
};

}  // namespace v0
}  // namespace varve

#endif  // VARVE_CLIENT_H_
