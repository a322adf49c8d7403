#include "tests/integration/support/http_get.h"

#include <httplib.h>

namespace varve::testing {
namespace {

std::string BodyOf(const httplib::Result& answer) {
  return answer && answer->status == 200 ? answer->body : "";
}

httplib::Client Connect(const std::string& address) {
  httplib::Client client("http://" + address);
  client.set_connection_timeout(5);
  client.set_read_timeout(10);
  return client;
}

}  // namespace

std::string HttpGet(const std::string& address, const std::string& path) {
  return BodyOf(Connect(address).Get(path));
}

std::string HttpPost(const std::string& address, const std::string& path) {
  return BodyOf(Connect(address).Post(path));
}

}  // namespace varve::testing
