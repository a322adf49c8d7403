#include "server/config/settings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <vector>

#include "common/error.h"
#include "common/limits.h"
#include "server/config/units.h"

namespace varve::server {
namespace {

constexpr int64_t kMiB = 1 << 20;
constexpr int64_t kGiB = 1 << 30;
constexpr int64_t kMs = 1'000'000;
constexpr int64_t kS = 1'000'000'000;

constexpr auto kSettings = std::to_array<Setting>({
    {.key = "data_dir",
     .type = SettingType::kPath,
     .initial = "",
     .description = "Directory that holds everything this broker stores. Created when missing; its "
                    "parent must exist.",
     .required = true},
    {.key = "node_id",
     .type = SettingType::kCount,
     .initial = "1",
     .min = 1,
     .max = 1'000'000,
     .description = "Number of this node in its cluster. A data directory keeps the number with "
                    "which it was created."},
    {.key = "cluster_id",
     .type = SettingType::kText,
     .initial = "",
     .description = "Cluster to which the data directory must belong, as 'varve cluster' shows it. "
                    "Empty: whatever the directory says; drawn at random for a new one."},
    {.key = "grpc.address",
     .type = SettingType::kAddress,
     .initial = "127.0.0.1:9640",
     .description = "Where clients connect. Port 0 takes a free one and logs it."},
    {.key = "http.address",
     .type = SettingType::kAddress,
     .initial = "127.0.0.1:9644",
     .description =
         "Where /metrics, /healthz, /readyz and /admin answer. Port 0 takes a free one."},
    {.key = "advertise",
     .type = SettingType::kText,
     .initial = "",
     .description = "Address that clients are told for this broker. Empty: the one they dialled."},
    {.key = "peer.address",
     .type = SettingType::kAddress,
     .initial = "",
     .description =
         "Where other brokers connect, such as 127.0.0.1:9641. Port 0 takes a free one and "
         "logs it. Empty: this broker stays alone."},
    {.key = "peer.advertise",
     .type = SettingType::kText,
     .initial = "",
     .description = "Address, host:port, that other brokers are told for this one. Empty: "
                    "peer.address, which then must not be a wildcard such as 0.0.0.0."},
    {.key = "bootstrap.nodes",
     .type = SettingType::kText,
     .initial = "",
     .description =
         "The brokers that a cluster begins with, as node@host:port of peer.address, the "
         "same on each: 1@db1:9641, 2@db2:9641, 3@db3:9641. A new data directory founds a "
         "cluster if it is the first of them and the others are empty, else joins the one "
         "they know. Empty: a new directory founds a cluster by itself."},
    {.key = "security.allow_anonymous",
     .type = SettingType::kFlag,
     .initial = "false",
     .description =
         "Allows addresses beyond loopback although nobody is authenticated yet: whoever "
         "reaches the port may read, write and delete everything."},
    {.key = "shards",
     .type = SettingType::kCount,
     .initial = "0",
     .min = 0,
     .max = 256,
     .description = "Threads that run partitions. 0: as many as processors."},
    {.key = "journal.file_bytes",
     .type = SettingType::kBytes,
     .initial = "64MiB",
     .min = kMiB,
     .max = 16 * kGiB,
     .description = "Size of one journal file. Raised by itself when its checkpoint needs more."},
    {.key = "journal.max_live_files",
     .type = SettingType::kCount,
     .initial = "8",
     .min = 2,
     .max = 1024,
     .description = "Journal files at which appends wait until segments are synced. Times "
                    "journal.file_bytes, this bounds the journal's disk space and what a restart "
                    "replays; up to three spare files come on top, one of them the reserve that "
                    "carries the journal over a full disk."},
    {.key = "storage.dirty_budget_bytes",
     .type = SettingType::kBytes,
     .initial = "64MiB",
     .min = 4 * static_cast<int64_t>(limits::kMaxBatchBytes),
     .max = 64 * kGiB,
     .description = "Memory for entries that are in the journal and not yet in segments. Appends "
                    "wait when it is used up."},
    {.key = "storage.reserve_bytes",
     .type = SettingType::kBytes,
     .initial = "32MiB",
     .min = kMiB,
     .max = 64 * kGiB,
     .description = "Disk space held back, besides storage.dirty_budget_bytes and 4 KiB for each "
                    "replica, in the file reserve of the data directory. On a full disk appends of "
                    "users are refused, and internal partitions, elections and trims go on in it; "
                    "its last quarter is for hard state, voters and trims alone."},
    {.key = "storage.cache_bytes",
     .type = SettingType::kBytes,
     .initial = "32MiB",
     .min = 0,
     .max = 256 * kGiB,
     .description = "Memory for recently written entries, kept for consumers that keep up."},
    {.key = "storage.max_open_files",
     .type = SettingType::kCount,
     .initial = "512",
     .min = 16,
     .max = 1'000'000,
     .description = "Segment files kept open. Those that were written and wait for their sync stay "
                    "open as well, at most half of what the process may open."},
    {.key = "storage.sync_interval",
     .type = SettingType::kDuration,
     .initial = "5s",
     .min = 10 * kMs,
     .max = 3600 * kS,
     .description = "Age at which bytes written to segments are synced. What is acknowledged is "
                    "durable in the journal before; this bounds what a restart replays."},
    {.key = "storage.stall_after",
     .type = SettingType::kDuration,
     .initial = "3s",
     .min = 100 * kMs,
     .max = 3600 * kS,
     .description = "A write or sync of the journal that takes so long is logged and counted as a "
                    "stall of the disk."},
    {.key = "storage.scrub_period",
     .type = SettingType::kDuration,
     .initial = "7d",
     .min = 0,
     .max = 365 * 24 * 3600 * kS,
     .description =
         "Time in which every segment is read and verified once, so that damage is found "
         "while other replicas are whole. 0s: never."},
    {.key = "log.format",
     .type = SettingType::kChoice,
     .initial = "text",
     .choices = "text|json",
     .description = "One line per message on standard error: for people, or one JSON object."},
    {.key = "log.level",
     .type = SettingType::kChoice,
     .initial = "info",
     .choices = "debug|info|warn|error",
     .description = "The least important messages written."},
    {.key = "drain_timeout",
     .type = SettingType::kDuration,
     .initial = "30s",
     .min = 0,
     .max = 3600 * kS,
     .description = "How long a broker that was told to stop (SIGTERM) lets requests under way "
                    "finish before it cancels them."},
});

// Levenshtein distance; keys are short.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replace});
    }
  }
  return row[b.size()];
}

bool IsChoice(std::string_view choices, std::string_view text) {
  while (!choices.empty()) {
    const size_t bar = choices.find('|');
    if (choices.substr(0, bar) == text) return true;
    if (bar == std::string_view::npos) return false;
    choices.remove_prefix(bar + 1);
  }
  return false;
}

std::optional<int64_t> ParseNumber(const Setting& setting, std::string_view text) {
  switch (setting.type) {
    case SettingType::kBytes:
      return ParseBytes(text);
    case SettingType::kDuration:
      return ParseDuration(text);
    case SettingType::kCount:
      return ParseCount(text);
    case SettingType::kFlag:
      if (text == "true") return 1;
      if (text == "false") return 0;
      return std::nullopt;
    default:
      return 0;
  }
}

bool HasRange(const Setting& setting) { return setting.max > setting.min; }

bool HasControlCharacter(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

}  // namespace

std::span<const Setting> AllSettings() { return kSettings; }

const Setting* FindSetting(std::string_view key) {
  for (const Setting& setting : kSettings)
    if (setting.key == key) return &setting;
  return nullptr;
}

const Setting& NearestSetting(std::string_view key) {
  // Beyond any real key the answer is arbitrary anyway, and the cost must not grow with the input.
  key = key.substr(0, 64);
  return *std::min_element(kSettings.begin(), kSettings.end(),
                           [&](const Setting& a, const Setting& b) {
                             return EditDistance(a.key, key) < EditDistance(b.key, key);
                           });
}

std::string EnvironmentName(const Setting& setting) {
  std::string name = "VARVE_";
  for (char c : setting.key)
    name += c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return name;
}

std::string DescribeAllowed(const Setting& setting) {
  switch (setting.type) {
    case SettingType::kText:
      return "a text";
    case SettingType::kPath:
      return "a path";
    case SettingType::kAddress:
      return "host:port, such as 127.0.0.1:9640 or [::1]:9640";
    case SettingType::kFlag:
      return "true or false";
    case SettingType::kCount:
      return StrCat("a number from ", setting.min, " to ", setting.max);
    case SettingType::kBytes:
      return StrCat("a size from ", FormatBytes(setting.min), " to ", FormatBytes(setting.max),
                    ", such as 64MiB");
    case SettingType::kDuration:
      return StrCat("a duration from ", FormatDuration(setting.min), " to ",
                    FormatDuration(setting.max), ", such as 5s or 500ms");
    case SettingType::kChoice: {
      std::string list(setting.choices);
      for (size_t at = 0; (at = list.find('|', at)) != std::string::npos;)
        list.replace(at, 1, ", ");
      return StrCat("one of ", list);
    }
  }
  return "";
}

absl::StatusOr<SettingValue> ParseSetting(const Setting& setting, std::string_view text) {
  const auto refuse = [&] {
    return MakeError(Reason::CONFIG_FILE_INVALID, setting.key, " is \"", text, "\", allowed is ",
                     DescribeAllowed(setting));
  };
  if (text.size() > 4096 || HasControlCharacter(text))
    return MakeError(Reason::CONFIG_FILE_INVALID, setting.key,
                     " is longer than 4096 bytes or holds control characters");
  const std::optional<int64_t> number = ParseNumber(setting, text);
  if (!number) return refuse();
  if (HasRange(setting) && (*number < setting.min || *number > setting.max)) return refuse();
  if (setting.type == SettingType::kChoice && !IsChoice(setting.choices, text)) return refuse();
  const bool unset = text.empty() && setting.initial.empty();
  if (setting.type == SettingType::kAddress && !unset && !ParseHostPort(text).ok()) return refuse();
  if (setting.required && text.empty()) return refuse();
  return SettingValue{std::string(text), *number};
}

absl::StatusOr<HostPort> ParseHostPort(std::string_view text) {
  const auto refuse = [&] {
    return MakeError(Reason::CONFIG_FILE_INVALID, "\"", text, "\" is not of the form host:port");
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return refuse();
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']'))
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string_view::npos)
    return refuse();  // IPv6 without brackets: which colon ends it is a guess
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view(".-:%_").find(c) != std::string_view::npos;
  };
  int port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (host.empty() || host.size() > 253 || !std::all_of(host.begin(), host.end(), fits) ||
      error != std::errc() || end != digits.data() + digits.size() || port < 0 || port > 65535)
    return refuse();
  return HostPort{std::string(host), port};
}

std::string FormatHostPort(std::string_view host, int port) {
  const bool ipv6 = host.find(':') != std::string_view::npos;
  return ipv6 ? StrCat("[", host, "]:", port) : StrCat(host, ":", port);
}

bool IsLoopback(std::string_view host) {
  if (host == "localhost" || host == "::1") return true;
  // A name such as 127.evil.example must not pass: digits and dots only.
  return host.starts_with("127.") &&
         host.find_first_not_of("0123456789.") == std::string_view::npos;
}

}  // namespace varve::server
