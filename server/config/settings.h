// The table of settings: everything that may be configured, in one place. File parsing,
// environment, flags, --print-config and docs/configuration.md all follow from it.
#ifndef VARVE_SERVER_CONFIG_SETTINGS_H_
#define VARVE_SERVER_CONFIG_SETTINGS_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace varve::server {

enum class SettingType : uint8_t {
  kText,
  kPath,
  kAddress,   // host:port
  kFlag,      // true, false
  kCount,     // a plain number
  kBytes,     // 64MiB
  kDuration,  // 5s; kept in nanoseconds
  kChoice,    // one of a list
};

struct Setting {
  std::string_view key;  // "grpc.address": sections of the file are joined by dots
  SettingType type;
  std::string_view initial;  // the default, as a user would write it
  int64_t min = 0;           // of numbers, in bytes or nanoseconds
  int64_t max = 0;
  std::string_view choices;  // of kChoice, separated by '|'
  std::string_view description;
  bool required = false;
  bool needs_restart = true;
};

// In the order in which they are documented.
std::span<const Setting> AllSettings();
// nullptr when there is none of that key.
const Setting* FindSetting(std::string_view key);
// The setting whose key is fewest edits away; used to answer a typo.
const Setting& NearestSetting(std::string_view key);

// "grpc.address" -> "VARVE_GRPC_ADDRESS".
std::string EnvironmentName(const Setting& setting);
// What the setting accepts: "a size from 1MiB to 64GiB, such as 64MiB".
std::string DescribeAllowed(const Setting& setting);

// One checked value: the text as given and, for flags and numbers, its meaning.
struct SettingValue {
  std::string text;
  int64_t number = 0;
};
// CONFIG_FILE_INVALID saying what is allowed, without naming where the text stood.
absl::StatusOr<SettingValue> ParseSetting(const Setting& setting, std::string_view text);

// "host:port" or "[ipv6]:port".
struct HostPort {
  std::string host;
  int port = 0;
};
absl::StatusOr<HostPort> ParseHostPort(std::string_view text);
std::string FormatHostPort(std::string_view host, int port);
// Whether only this machine can reach an address bound to `host`.
bool IsLoopback(std::string_view host);

}  // namespace varve::server

#endif  // VARVE_SERVER_CONFIG_SETTINGS_H_
