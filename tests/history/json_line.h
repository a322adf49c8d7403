// JsonLine: reads one line of a history, a JSON object of numbers, plain strings and arrays.
#ifndef VARVE_TESTS_HISTORY_JSON_LINE_H_
#define VARVE_TESTS_HISTORY_JSON_LINE_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace varve::history {

// A cursor over hostile bytes: allocates nothing but its error, never recurses. The first error
// stays; every call after it fails. Stricter than JSON: integers only, strings of at most 255
// printable ASCII characters without escapes. Spaces may stand wherever JSON allows them.
class JsonLine {
 public:
  explicit JsonLine(std::string_view line) : line_(line) {}

  // Whether the next character is `c`, which is then consumed.
  bool Take(char c);
  // Like Take; its absence is an error.
  bool Expect(char c);
  // An integer in [min, max].
  bool Integer(int64_t min, int64_t max, int64_t* out);
  bool String(std::string_view* out);
  bool Boolean(bool* out);
  // Nothing but spaces is left.
  bool End();
  // Always false, for the caller to return.
  bool Fail(std::string_view what);

  [[nodiscard]] bool ok() const { return error_.empty(); }
  // "column 17: expected a number".
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  void SkipSpaces();
  bool TakeWord(std::string_view word);

  const std::string_view line_;
  size_t at_ = 0;
  std::string error_;
};

}  // namespace varve::history

#endif  // VARVE_TESTS_HISTORY_JSON_LINE_H_
