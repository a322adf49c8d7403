// HTTP requests of a test.
#ifndef VARVE_TESTS_INTEGRATION_SUPPORT_HTTP_GET_H_
#define VARVE_TESTS_INTEGRATION_SUPPORT_HTTP_GET_H_

#include <string>

namespace varve::testing {

// The body; empty when the server does not answer with 200. `address` is host:port.
std::string HttpGet(const std::string& address, const std::string& path);
std::string HttpPost(const std::string& address, const std::string& path);

}  // namespace varve::testing

#endif  // VARVE_TESTS_INTEGRATION_SUPPORT_HTTP_GET_H_
