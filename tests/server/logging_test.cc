#include "server/log/logging.h"

#include <gtest/gtest.h>

namespace varve::server {
namespace {

TEST(Logging, TextLinesAreWordsAndFields) {
  EXPECT_EQ(FormatTextLine(LogLevel::kInfo, "varved", "ready", {{"port", 9640}, {"dir", "/a b"}}),
            "info varved ready port=9640 dir=\"/a b\"");
  EXPECT_EQ(FormatTextLine(LogLevel::kWarn, "storage", "x", {{"empty", ""}, {"q", "a\"b"}}),
            "warn storage x empty=\"\" q=\"a\\\"b\"");
}

TEST(Logging, NothingBreaksOutOfItsLine) {
  EXPECT_EQ(FormatTextLine(LogLevel::kError, "m", "a\nb", {{"v", "c\r\x1b[31m\n"}}),
            "error m a\\nb v=c\\x0d\\x1b[31m\\n");
  const std::string json =
      FormatJsonLine("T", LogLevel::kError, "m", "a\nb\xff", {{"v", "\n\"\\"}});
  EXPECT_EQ(json.find('\n'), std::string::npos);
  EXPECT_EQ(json,
            "{\"ts\":\"T\",\"level\":\"error\",\"module\":\"m\",\"msg\":\"a\\nb\xef\xbf\xbd\","
            "\"v\":\"\\n\\\"\\\\\"}");
}

}  // namespace
}  // namespace varve::server
