// Numbers as people write and read them: "64MiB", "10s", "412.3 k".
#ifndef VARVE_CLIENT_CLI_QUANTITY_H_
#define VARVE_CLIENT_CLI_QUANTITY_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "varve/status.h"

namespace varve::cli {

// A decimal number without sign, of digits alone.
Result<uint64_t> ParseCount(std::string_view text);
// "512", "4KiB", "64MiB", "1GiB", "2TiB" (powers of 1024) or "4kB", "64MB", "1GB", "2TB" (powers of
// 1000); fractions as in "1.5GiB". Bytes.
Result<uint64_t> ParseSize(std::string_view text);
// "250us", "10ms", "1.5s", "2m", "3h", "7d"; parts may follow each other: "1h30m". A bare "0" needs
// no unit. Never negative.
Result<std::chrono::nanoseconds> ParseDuration(std::string_view text);

// "0 B", "1.5 KiB", "118 MiB": for people; programs get plain bytes.
std::string HumanSize(uint64_t bytes);
// "987", "41.2k", "1.63M".
std::string HumanCount(double count);
// "812 us", "4.21 ms", "1.50 s", from nanoseconds.
std::string HumanDuration(double nanoseconds);
// A duration in the form that ParseDuration takes, exactly.
std::string ExactDuration(std::chrono::nanoseconds duration);
// Fixed digits after the point: Fixed(3.14159, 2) is "3.14".
std::string Fixed(double value, int digits);

// RFC 3339 in UTC with milliseconds: "2024-05-01T12:00:00.250Z".
std::string FormatTime(int64_t unix_ms);
// RFC 3339 with "Z" or an offset, seconds' fraction optional; a date alone is its midnight in UTC.
Result<int64_t> ParseTime(std::string_view text);

}  // namespace varve::cli

#endif  // VARVE_CLIENT_CLI_QUANTITY_H_
