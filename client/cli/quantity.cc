#include "client/cli/quantity.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>
#include <utility>

#include "client/cli/cli_error.h"

namespace varve::cli {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr double kKi = 1024;
constexpr Unit kSizeUnits[] = {
    {"", 1},
    {"B", 1},
    {"KiB", kKi},
    {"MiB", kKi* kKi},
    {"GiB", kKi* kKi* kKi},
    {"TiB", kKi* kKi* kKi* kKi},
    {"kB", 1e3},
    {"KB", 1e3},
    {"MB", 1e6},
    {"GB", 1e9},
    {"TB", 1e12},
};
constexpr Unit kTimeUnits[] = {{"ns", 1},   {"us", 1e3},   {"ms", 1e6},   {"s", 1e9},
                               {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9}};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Takes "12.5" off the front.
std::optional<double> TakeNumber(std::string_view& text) {
  size_t length = 0;
  while (length < text.size() && (IsDigit(text[length]) || text[length] == '.')) ++length;
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + length, value, std::chars_format::fixed);
  if (length == 0 || error != std::errc() || end != text.data() + length) return std::nullopt;
  text.remove_prefix(length);
  return value;
}

// Takes a unit's letters off the front; nothing when no unit has that name.
template <size_t N>
std::optional<double> TakeUnit(std::string_view& text, const Unit (&units)[N]) {
  size_t length = 0;
  while (length < text.size() && !IsDigit(text[length]) && text[length] != '.') ++length;
  for (const Unit& unit : units) {
    if (unit.name == text.substr(0, length)) {
      text.remove_prefix(length);
      return unit.factor;
    }
  }
  return std::nullopt;
}

Status NoSize(std::string_view text) {
  return UsageError("\"" + std::string(text) + "\" is not a size",
                    "Write bytes, or a number with KiB, MiB, GiB, kB, MB or GB, as in 64MiB.");
}
Status NoDuration(std::string_view text) {
  return UsageError("\"" + std::string(text) + "\" is not a duration",
                    "Write a number with us, ms, s, m, h or d, as in 10s or 1h30m.");
}
Status NoTime(std::string_view text) {
  return UsageError("\"" + std::string(text) + "\" is not a time",
                    "Write RFC 3339, as in 2024-05-01T12:00:00Z.");
}

std::string Significant(double value) { return Fixed(value, value < 10 ? 2 : value < 100 ? 1 : 0); }

// Days since 1970-01-01 of a date of the proleptic Gregorian calendar.
std::optional<int64_t> DaysOf(int year, int month, int day) {
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date).time_since_epoch().count();
}

// Takes exactly `digits` digits off the front.
std::optional<int> TakeDigits(std::string_view& text, size_t digits) {
  if (text.size() < digits) return std::nullopt;
  int value = 0;
  for (size_t i = 0; i < digits; ++i) {
    if (!IsDigit(text[i])) return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return value;
}
bool Take(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

// ".250" to 250; absent is 0.
std::optional<int64_t> TakeMilliseconds(std::string_view& text) {
  if (!Take(text, ".")) return 0;
  int64_t value = 0;
  size_t digits = 0;
  for (; !text.empty() && IsDigit(text.front()); ++digits, text.remove_prefix(1)) {
    if (digits < 3) value = value * 10 + (text.front() - '0');
  }
  if (digits == 0) return std::nullopt;
  for (; digits < 3; ++digits) value *= 10;
  return value;
}

// "Z", "+02:00" or "-0530", in milliseconds east of UTC.
std::optional<int64_t> TakeZone(std::string_view& text) {
  if (Take(text, "Zz")) return 0;
  if (text.empty() || (text.front() != '+' && text.front() != '-')) return std::nullopt;
  const int64_t sign = text.front() == '-' ? -1 : 1;
  text.remove_prefix(1);
  const auto hours = TakeDigits(text, 2);
  Take(text, ":");
  const auto minutes = TakeDigits(text, 2);
  if (!hours || !minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  return sign * (*hours * 60 + *minutes) * 60'000;
}

// "12:00:00.250" in milliseconds of the day.
std::optional<int64_t> TakeClock(std::string_view& text) {
  const auto hour = TakeDigits(text, 2);
  if (!hour || !Take(text, ":")) return std::nullopt;
  const auto minute = TakeDigits(text, 2);
  if (!minute || !Take(text, ":")) return std::nullopt;
  const auto second = TakeDigits(text, 2);
  const auto millis = TakeMilliseconds(text);
  if (!second || !millis || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  return ((*hour * 60 + *minute) * 60 + *second) * int64_t{1000} + *millis;
}

}  // namespace

Result<uint64_t> ParseCount(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size())
    return UsageError("\"" + std::string(text) + "\" is not a count", "Write digits alone.");
  return value;
}

Result<uint64_t> ParseSize(std::string_view text) {
  std::string_view rest = text;
  if (text.find_first_not_of("0123456789") == std::string_view::npos && !text.empty()) {
    Result<uint64_t> exact = ParseCount(text);  // beyond 2^53 a double would round
    return exact.ok() ? exact : Result<uint64_t>(NoSize(text));
  }
  const auto number = TakeNumber(rest);
  if (!number) return NoSize(text);
  if (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  const auto factor = TakeUnit(rest, kSizeUnits);
  if (!factor || !rest.empty()) return NoSize(text);
  const double bytes = std::floor(*number * *factor);
  if (bytes >= 9.2e18) return NoSize(text);
  return static_cast<uint64_t>(bytes);
}

Result<std::chrono::nanoseconds> ParseDuration(std::string_view text) {
  if (text == "0") return std::chrono::nanoseconds(0);
  std::string_view rest = text;
  double total = 0;
  if (rest.empty()) return NoDuration(text);
  while (!rest.empty()) {
    const auto number = TakeNumber(rest);
    const auto factor = number ? TakeUnit(rest, kTimeUnits) : std::nullopt;
    if (!factor) return NoDuration(text);
    total += *number * *factor;
  }
  if (total >= 9.2e18) return NoDuration(text);
  return std::chrono::nanoseconds(std::llround(total));
}

std::string Fixed(double value, int digits) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*f", digits, value);
  return buffer;
}

std::string HumanSize(uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + " B";
  constexpr const char* kNames[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / kKi;
  size_t unit = 0;
  for (; value >= 1023.5 && unit + 1 < std::size(kNames); ++unit) value /= kKi;
  return Significant(value) + " " + kNames[unit];
}

std::string HumanCount(double count) {
  if (count < 1000) return Fixed(count, count == std::floor(count) ? 0 : 1);
  constexpr const char* kNames[] = {"k", "M", "G", "T"};
  double value = count / 1000;
  size_t unit = 0;
  for (; value >= 999.5 && unit + 1 < std::size(kNames); ++unit) value /= 1000;
  return Significant(value) + kNames[unit];
}

std::string HumanDuration(double nanoseconds) {
  if (nanoseconds < 1e6) return Significant(nanoseconds / 1e3) + " us";
  if (nanoseconds < 1e9) return Significant(nanoseconds / 1e6) + " ms";
  return Significant(nanoseconds / 1e9) + " s";
}

std::string ExactDuration(std::chrono::nanoseconds duration) {
  const int64_t ns = duration.count();
  if (ns == 0) return "0s";
  if (ns % 1'000'000'000 == 0) return std::to_string(ns / 1'000'000'000) + "s";
  if (ns % 1'000'000 == 0) return std::to_string(ns / 1'000'000) + "ms";
  if (ns % 1'000 == 0) return std::to_string(ns / 1'000) + "us";
  return std::to_string(ns) + "ns";
}

std::string FormatTime(int64_t unix_ms) {
  const std::chrono::sys_time<std::chrono::milliseconds> time{std::chrono::milliseconds(unix_ms)};
  const auto days = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(days);
  const int64_t ms = (time - days).count();
  char buffer[80];
  std::snprintf(buffer, sizeof buffer, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ",
                static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(ms / 3'600'000),
                static_cast<int>(ms / 60'000 % 60), static_cast<int>(ms / 1000 % 60),
                static_cast<int>(ms % 1000));
  return buffer;
}

Result<int64_t> ParseTime(std::string_view text) {
  std::string_view rest = text;
  const auto year = TakeDigits(rest, 4);
  if (!year || !Take(rest, "-")) return NoTime(text);
  const auto month = TakeDigits(rest, 2);
  if (!month || !Take(rest, "-")) return NoTime(text);
  const auto day = TakeDigits(rest, 2);
  const auto days = day ? DaysOf(*year, *month, *day) : std::nullopt;
  if (!days) return NoTime(text);
  const int64_t midnight = *days * 86'400'000;
  if (rest.empty()) return midnight;
  if (!Take(rest, "Tt ")) return NoTime(text);
  const auto clock = TakeClock(rest);
  const auto zone = clock ? TakeZone(rest) : std::nullopt;
  if (!zone || !rest.empty()) return NoTime(text);
  return midnight + *clock - *zone;
}

}  // namespace varve::cli
