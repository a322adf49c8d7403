#include "server/config/units.h"

#include <charconv>
#include <limits>
#include <span>

#include "common/strings.h"

namespace varve::server {
namespace {

struct Unit {
  std::string_view name;
  int64_t factor;
};

// Largest first within each family, so that formatting finds the shortest text.
constexpr Unit kByteUnits[] = {
    {"TiB", 1ll << 40},    {"GiB", 1ll << 30}, {"MiB", 1ll << 20},
    {"KiB", 1ll << 10},    {"B", 1},           {"", 1},
    {"TB", 1000000000000}, {"GB", 1000000000}, {"MB", 1000000},
    {"kB", 1000},
};
constexpr Unit kTimeUnits[] = {
    {"d", 86'400'000'000'000},
    {"h", 3'600'000'000'000},
    {"m", 60'000'000'000},
    {"s", 1'000'000'000},
    {"ms", 1'000'000},
    {"us", 1'000},
    {"ns", 1},
};

std::optional<int64_t> ParseWithUnit(std::string_view text, std::span<const Unit> units) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  if (unit.starts_with(' ')) unit.remove_prefix(1);
  for (const Unit& candidate : units) {
    if (candidate.name != unit) continue;
    const auto max = static_cast<uint64_t>(std::numeric_limits<int64_t>::max() / candidate.factor);
    if (number > max) return std::nullopt;
    return static_cast<int64_t>(number) * candidate.factor;
  }
  return std::nullopt;
}

std::string FormatWithUnit(int64_t value, std::span<const Unit> units) {
  for (const Unit& unit : units)
    if (value != 0 && value % unit.factor == 0) return StrCat(value / unit.factor, unit.name);
  return StrCat(value);
}

}  // namespace

std::optional<int64_t> ParseBytes(std::string_view text) { return ParseWithUnit(text, kByteUnits); }

std::optional<int64_t> ParseDuration(std::string_view text) {
  if (text == "0") return 0;
  return ParseWithUnit(text, kTimeUnits);
}

std::optional<int64_t> ParseCount(std::string_view text) {
  constexpr Unit kNone[] = {{"", 1}};
  if (text.ends_with(' ')) return std::nullopt;
  return ParseWithUnit(text, kNone);
}

std::string FormatBytes(int64_t bytes) { return FormatWithUnit(bytes, kByteUnits); }
std::string FormatDuration(int64_t nanos) { return FormatWithUnit(nanos, kTimeUnits); }

}  // namespace varve::server
