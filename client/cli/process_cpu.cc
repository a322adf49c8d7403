#include "client/cli/process_cpu.h"

#include <netdb.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <fstream>
#include <memory>
#include <sstream>

#include "client/cli/cli_error.h"

namespace varve::cli {
namespace {

constexpr size_t kMaxPageBytes = 16 * 1024 * 1024;
constexpr timeval kSocketTimeout{.tv_sec = 2, .tv_usec = 0};

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

Status NoPage(const std::string& url, int error_number) {
  return LocalError("cannot read the metrics at " + url, error_number,
                    "Check the URL: the broker's configuration names its HTTP address.");
}

// A connected socket, or -1 with errno.
int ConnectTo(const HttpAddress& address) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &found) != 0) {
    errno = EHOSTUNREACH;
    return -1;
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    const int fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
    if (fd < 0) continue;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kSocketTimeout, sizeof kSocketTimeout);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &kSocketTimeout, sizeof kSocketTimeout);
    if (connect(fd, at->ai_addr, at->ai_addrlen) == 0) return fd;
    const int saved = errno;
    close(fd);
    errno = saved;
  }
  return -1;
}

Result<std::string> GetPage(const std::string& url) {
  const std::optional<HttpAddress> address = ParseHttpUrl(url);
  if (!address)
    return UsageError("\"" + url + "\" is not an HTTP URL",
                      "Write --metrics http://host:port/metrics.");
  const int fd = ConnectTo(*address);
  if (fd < 0) return NoPage(url, errno);
  const std::string request = "GET " + address->path + " HTTP/1.0\r\nHost: " + address->host +
                              "\r\nConnection: close\r\n\r\n";
  std::string page;
  ssize_t got = send(fd, request.data(), request.size(), MSG_NOSIGNAL);
  char buffer[16 * 1024];
  while (got > 0 && page.size() < kMaxPageBytes) {
    got = recv(fd, buffer, sizeof buffer, 0);
    if (got > 0) page.append(buffer, static_cast<size_t>(got));
  }
  const int saved = errno;
  close(fd);
  if (got < 0) return NoPage(url, saved);
  return page;
}

}  // namespace

double OwnCpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
}

std::optional<double> MetricIn(std::string_view page, std::string_view name) {
  while (!page.empty()) {
    const size_t end = page.find('\n');
    std::string_view line = page.substr(0, end);
    page.remove_prefix(end == std::string_view::npos ? page.size() : end + 1);
    if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ' ') continue;
    line.remove_prefix(name.size() + 1);
    double value = 0;
    const auto [stop, error] = std::from_chars(line.data(), line.data() + line.size(), value);
    if (error == std::errc()) return value;
  }
  return std::nullopt;
}

std::optional<uint64_t> CpuTicksIn(std::string_view stat) {
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  std::istringstream fields{std::string(stat.substr(name_end + 1))};
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;  // state to cmajflt
  uint64_t user = 0, system = 0;
  if (!(fields >> user >> system)) return std::nullopt;
  return user + system;
}

std::optional<HttpAddress> ParseHttpUrl(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) return std::nullopt;
  url.remove_prefix(kScheme.size());
  const size_t slash = url.find('/');
  HttpAddress address{
      .port = "80", .path = slash == std::string_view::npos ? "/" : std::string(url.substr(slash))};
  std::string_view authority = url.substr(0, slash);
  const size_t bracket = authority.starts_with('[') ? authority.find(']') : 0;
  if (bracket == std::string_view::npos) return std::nullopt;
  const size_t colon = authority.find(':', bracket);
  if (colon != std::string_view::npos) address.port = authority.substr(colon + 1);
  address.host = authority.substr(0, colon);
  if (bracket > 0) address.host = authority.substr(1, bracket - 1);
  if (address.host.empty() || address.port.empty() ||
      address.path.find_first_of(" \r\n") != std::string::npos)
    return std::nullopt;
  return address;
}

Result<std::optional<double>> BrokerCpuSeconds(const BrokerCpuSource& source) {
  if (source.pid > 0) {
    const std::string path = "/proc/" + std::to_string(source.pid) + "/stat";
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    const std::optional<uint64_t> ticks = CpuTicksIn(text.str());
    if (!ticks)
      return LocalError("cannot read " + path, ENOENT, "Give the process id of a running broker.");
    return std::optional(static_cast<double>(*ticks) / static_cast<double>(sysconf(_SC_CLK_TCK)));
  }
  if (source.metrics_url.empty()) return std::optional<double>();
  const Result<std::string> page = GetPage(source.metrics_url);
  if (!page.ok()) return page.status();
  const std::optional<double> seconds = MetricIn(*page, "process_cpu_seconds_total");
  if (!seconds)
    return LocalError("the page at " + source.metrics_url + " has no process_cpu_seconds_total", 0,
                      "Give the broker's process id with --broker-pid.");
  return std::optional(*seconds);
}

}  // namespace varve::cli
