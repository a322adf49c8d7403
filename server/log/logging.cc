#include "server/log/logging.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <ctime>
#include <memory>

namespace varve::server {
namespace {

std::string_view NameOf(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "";
}

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

struct State {
  State() {
    // The lines are complete; spdlog brings levels, sinks and their lock.
    auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    logger = std::make_shared<spdlog::logger>("varved", sink);
    logger->set_formatter(std::make_unique<spdlog::pattern_formatter>("%v"));
    logger->flush_on(spdlog::level::trace);
  }
  std::shared_ptr<spdlog::logger> logger;
  bool json = false;
};

// Never destroyed: threads may log until the process ends.
State& TheState() {
  static State& state = *new State;
  return state;
}

std::string Timestamp() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  const std::time_t seconds = micros / 1'000'000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char text[40];
  const size_t n = std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
  const std::string fraction = std::to_string(1'000'000 + micros % 1'000'000).substr(1);
  return std::string(text, n) + "." + fraction + "Z";
}

void AppendEscaped(std::string_view text, std::string* out) {
  constexpr char kHex[] = "0123456789abcdef";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      *out += c;
    } else if (c == '\n') {
      *out += "\\n";
    } else {
      *out += "\\x";
      *out += kHex[byte >> 4];
      *out += kHex[byte & 15];
    }
  }
}

// Quoted when a reader could not tell where the value ends.
void AppendValue(std::string_view value, std::string* out) {
  const bool quote = value.empty() || value.find_first_of(" =\"") != std::string_view::npos;
  if (!quote) return AppendEscaped(value, out);
  std::string inner;
  for (const char c : value) {
    if (c == '"' || c == '\\') inner += '\\';
    inner += c;
  }
  *out += '"';
  AppendEscaped(inner, out);
  *out += '"';
}

}  // namespace

void ConfigureLogging(std::string_view format, std::string_view level) {
  State& state = TheState();
  state.json = format == "json";
  LogLevel least = LogLevel::kInfo;
  for (LogLevel l : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError})
    if (NameOf(l) == level) least = l;
  state.logger->set_level(ToSpdlog(least));
}

std::string FormatTextLine(LogLevel level, std::string_view module, std::string_view message,
                           std::initializer_list<LogField> fields) {
  std::string line = StrCat(NameOf(level), " ", module, " ");
  AppendEscaped(message, &line);
  for (const LogField& field : fields) {
    line += StrCat(" ", field.name, "=");
    AppendValue(field.value, &line);
  }
  return line;
}

std::string FormatJsonLine(std::string_view timestamp, LogLevel level, std::string_view module,
                           std::string_view message, std::initializer_list<LogField> fields) {
  nlohmann::ordered_json line;
  line["ts"] = timestamp;
  line["level"] = NameOf(level);
  line["module"] = module;
  line["msg"] = message;
  for (const LogField& field : fields) line[std::string(field.name)] = field.value;
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void Log(LogLevel level, std::string_view module, std::string_view message,
         std::initializer_list<LogField> fields) {
  State& state = TheState();
  if (!state.logger->should_log(ToSpdlog(level))) return;
  const std::string timestamp = Timestamp();
  const std::string line =
      state.json ? FormatJsonLine(timestamp, level, module, message, fields)
                 : StrCat(timestamp, " ", FormatTextLine(level, module, message, fields));
  state.logger->log(ToSpdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace varve::server
