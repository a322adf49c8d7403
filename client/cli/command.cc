#include "client/cli/command.h"

#include <algorithm>

namespace varve::cli {

Result<Client> Connect(const GlobalOptions& options) {
  ClientOptions client;
  client.client_id = "varve";
  client.request_timeout = TimeoutOf(options);
  client.bootstrap.clear();
  std::string_view rest = options.server;
  while (true) {
    const size_t comma = rest.find(',');
    client.bootstrap.emplace_back(rest.substr(0, comma));
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  Result<Client> created = Client::Create(std::move(client));
  // Kept until the process ends: closing connections in order takes longer than listing topics.
  if (created.ok()) new Client(*created);
  return created;
}

std::chrono::milliseconds TimeoutOf(const GlobalOptions& options) {
  return std::max(std::chrono::milliseconds(1),
                  std::chrono::duration_cast<std::chrono::milliseconds>(options.timeout));
}

std::string ShellQuote(std::string_view argument) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
  if (!argument.empty() && argument.find_first_not_of(kPlain) == std::string_view::npos)
    return std::string(argument);
  std::string out = "'";
  for (char c : argument) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

}  // namespace varve::cli
