// Logging of the process: one line per message on standard error, as text or JSON.
//
// Messages carry what happened and identifiers, never payloads: no key, value or header of a
// record.
#ifndef VARVE_SERVER_LOG_LOGGING_H_
#define VARVE_SERVER_LOG_LOGGING_H_

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "common/strings.h"

namespace varve::server {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarn, kError };

// A name and its value.
struct LogField {
  std::string_view name;
  std::string value;
  template <class T>
  LogField(std::string_view field, const T& v) : name(field), value(StrCat(v)) {}
};

// `format` and `level` as the settings log.format and log.level allow. Before it is called: text,
// info.
void ConfigureLogging(std::string_view format, std::string_view level);

// Thread-safe; writes at once. `module` is the layer that speaks: "varved", "storage".
void Log(LogLevel level, std::string_view module, std::string_view message,
         std::initializer_list<LogField> fields = {});

// The line without its time stamp, for tests: `info varved started port=9640`. Control characters
// and, in JSON, what is not UTF-8 are escaped: a message never breaks out of its line.
std::string FormatTextLine(LogLevel level, std::string_view module, std::string_view message,
                           std::initializer_list<LogField> fields);
std::string FormatJsonLine(std::string_view timestamp, LogLevel level, std::string_view module,
                           std::string_view message, std::initializer_list<LogField> fields);

}  // namespace varve::server

#endif  // VARVE_SERVER_LOG_LOGGING_H_
