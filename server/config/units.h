// Sizes and durations as people write them: "64MiB", "5s".
#ifndef VARVE_SERVER_CONFIG_UNITS_H_
#define VARVE_SERVER_CONFIG_UNITS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace varve::server {

// A number with an optional unit (B, KiB, MiB, GiB, TiB, kB, MB, GB, TB); nullopt when it is none
// or does not fit.
std::optional<int64_t> ParseBytes(std::string_view text);
// A number with a unit (ns, us, ms, s, m, h, d), or 0; in nanoseconds.
std::optional<int64_t> ParseDuration(std::string_view text);
// A number without sign or unit.
std::optional<int64_t> ParseCount(std::string_view text);

// With the largest unit that divides the value: "64MiB", "1500ms".
std::string FormatBytes(int64_t bytes);
std::string FormatDuration(int64_t nanos);

}  // namespace varve::server

#endif  // VARVE_SERVER_CONFIG_UNITS_H_
