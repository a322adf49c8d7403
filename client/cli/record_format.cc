#include "client/cli/record_format.h"

#include <charconv>
#include <cstdint>

#include "client/cli/cli_error.h"
#include "client/cli/quantity.h"

namespace varve::cli {
namespace {

constexpr std::string_view kFields = "kvhtpoTDKV";

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The escape behind a backslash at text[at]; moves `at` behind it.
Result<char> TakeEscape(std::string_view text, size_t& at) {
  const char c = at < text.size() ? text[at++] : '\n';
  switch (c) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case '0':
      return '\0';
    case '\\':
      return '\\';
    case 'x':
      if (at + 2 <= text.size() && HexDigit(text[at]) >= 0 && HexDigit(text[at + 1]) >= 0) {
        at += 2;
        return static_cast<char>(HexDigit(text[at - 2]) * 16 + HexDigit(text[at - 1]));
      }
      break;
    default:
      break;
  }
  return UsageError("\"" + std::string(text) + "\" holds an unknown escape",
                    "Write \\n, \\t, \\r, \\0, \\\\ or \\xHH.");
}

template <class Number>
void AppendNumber(Number number, std::string& out) {
  char buffer[24];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, number);
  out.append(buffer, end);
}

void AppendHeaders(std::span<const HeaderView> headers, std::string& out) {
  bool first = true;
  for (const HeaderView& header : headers) {
    if (!first) out += ',';
    first = false;
    out += header.key;
    if (header.value) (out += '=') += *header.value;
  }
}

int64_t LengthOf(const std::optional<std::string_view>& bytes) {
  return bytes ? static_cast<int64_t>(bytes->size()) : -1;
}

void AppendField(char field, const ReadRecord& record, std::string& out) {
  switch (field) {
    case 'k':
      out += record.key.value_or(std::string_view());
      break;
    case 'v':
      out += record.value.value_or(std::string_view());
      break;
    case 'h':
      AppendHeaders(record.headers, out);
      break;
    case 't':
      out += record.topic;
      break;
    case 'p':
      AppendNumber(record.partition, out);
      break;
    case 'o':
      AppendNumber(record.offset, out);
      break;
    case 'T':
      AppendNumber(record.timestamp_ms, out);
      break;
    case 'D':
      if (record.timestamp_ms >= 0) out += FormatTime(record.timestamp_ms);
      break;
    case 'K':
      AppendNumber(LengthOf(record.key), out);
      break;
    case 'V':
      AppendNumber(LengthOf(record.value), out);
      break;
    default:
      break;
  }
}

// Bytes that are UTF-8, as a JSON string.
void AppendJsonString(std::string_view text, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  size_t plain = 0;  // what has been looked at and not yet been copied
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out += text.substr(plain, i - plain);
    plain = i + 1;
    out += '\\';
    if (c == '"' || c == '\\') {
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += 'n';
    } else if (c == '\t') {
      out += 't';
    } else if (c == '\r') {
      out += 'r';
    } else {
      ((out += "u00") += kHex[c >> 4]) += kHex[c & 15];
    }
  }
  out += text.substr(plain);
  out += '"';
}

// "name":"text", or "name_base64":"...", or "name":null.
void AppendJsonBytes(std::string_view name, const std::optional<std::string_view>& bytes,
                     std::string& out) {
  (out += '"') += name;
  if (!bytes) {
    out += "\":null";
  } else if (IsUtf8(*bytes)) {
    out += "\":";
    AppendJsonString(*bytes, out);
  } else {
    out += "_base64\":\"";
    AppendBase64(*bytes, out);
    out += '"';
  }
}

}  // namespace

Result<std::string> Unescape(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    if (text[at] != '\\') {
      out += text[at++];
      continue;
    }
    const Result<char> escaped = TakeEscape(text, ++at);
    if (!escaped.ok()) return escaped.status();
    out += *escaped;
  }
  return out;
}

Result<RecordFormat> RecordFormat::Parse(std::string_view format) {
  RecordFormat out;
  std::string text;
  const auto end_text = [&] {
    if (!text.empty()) out.pieces_.push_back({0, std::move(text)});
    text.clear();
  };
  for (size_t at = 0; at < format.size();) {
    const char c = format[at++];
    if (c == '\\') {
      const Result<char> escaped = TakeEscape(format, at);
      if (!escaped.ok()) return escaped.status();
      text += *escaped;
    } else if (c != '%') {
      text += c;
    } else if (at < format.size() && format[at] == '%') {
      text += format[at++];
    } else if (at < format.size() && kFields.find(format[at]) != std::string_view::npos) {
      end_text();
      out.pieces_.push_back({format[at++], {}});
    } else {
      return UsageError("\"" + std::string(format) + "\" holds an unknown field",
                        "Fields are %k %v %h %t %p %o %T %D %K %V, and %% for a percent sign.");
    }
  }
  end_text();
  return out;
}

void RecordFormat::Append(const ReadRecord& record, std::string& out) const {
  for (const Piece& piece : pieces_) {
    if (piece.field == 0) {
      out += piece.text;
    } else {
      AppendField(piece.field, record, out);
    }
  }
}

void AppendJson(const ReadRecord& record, std::string& out) {
  out += "{\"topic\":";
  AppendJsonString(record.topic, out);
  out += ",\"partition\":";
  AppendNumber(record.partition, out);
  out += ",\"offset\":";
  AppendNumber(record.offset, out);
  out += ",\"timestamp_ms\":";
  AppendNumber(record.timestamp_ms, out);
  out += ',';
  AppendJsonBytes("key", record.key, out);
  out += ',';
  AppendJsonBytes("value", record.value, out);
  out += ",\"headers\":[";
  bool first = true;
  for (const HeaderView& header : record.headers) {
    out += first ? "{" : ",{";
    first = false;
    AppendJsonBytes("key", header.key, out);
    out += ',';
    AppendJsonBytes("value", header.value, out);
    out += '}';
  }
  out += "]}";
}

bool IsUtf8(std::string_view bytes) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  for (size_t i = 0; i < bytes.size();) {
    const unsigned char lead = at(i);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || i + length > bytes.size()) return false;
    for (size_t j = 1; j < length; ++j) {
      if ((at(i + j) & 0xc0) != 0x80) return false;
    }
    const unsigned char second = at(i + 1);
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
        (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f))
      return false;
    i += length;
  }
  return true;
}

void AppendBase64(std::string_view bytes, std::string& out) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j)
      group = group << 8 | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0);
    for (size_t j = 0; j < 4; ++j) out += j <= count ? kDigits[group >> (18 - 6 * j) & 63] : '=';
  }
}

}  // namespace varve::cli
