#include "tests/history/json_line.h"

#include <charconv>

#include "common/strings.h"

namespace varve::history {
namespace {

constexpr size_t kMaxString = 255;

}  // namespace

void JsonLine::SkipSpaces() {
  while (at_ < line_.size() && (line_[at_] == ' ' || line_[at_] == '\t')) ++at_;
}

bool JsonLine::Fail(std::string_view what) {
  if (ok()) error_ = StrCat("column ", at_ + 1, ": ", what);
  return false;
}

bool JsonLine::Take(char c) {
  if (!ok()) return false;
  SkipSpaces();
  if (at_ >= line_.size() || line_[at_] != c) return false;
  ++at_;
  return true;
}

bool JsonLine::Expect(char c) {
  return Take(c) || Fail(StrCat("expected '", std::string_view(&c, 1), "'"));
}

bool JsonLine::Integer(int64_t min, int64_t max, int64_t* out) {
  if (!ok()) return false;
  SkipSpaces();
  const char* begin = line_.data() + at_;
  const auto [end, error] = std::from_chars(begin, line_.data() + line_.size(), *out);
  if (error != std::errc() || *out < min || *out > max)
    return Fail(StrCat("expected a whole number from ", min, " to ", max));
  const std::string_view digits(begin + (*begin == '-' ? 1 : 0), end);
  if (digits.size() > 1 && digits.front() == '0') return Fail("a number with a leading zero");
  at_ += static_cast<size_t>(end - begin);
  if (at_ < line_.size() && (line_[at_] == '.' || line_[at_] == 'e' || line_[at_] == 'E'))
    return Fail("not a whole number");
  return true;
}

bool JsonLine::String(std::string_view* out) {
  if (!Expect('"')) return false;
  const size_t begin = at_;
  for (; at_ < line_.size() && line_[at_] != '"'; ++at_) {
    if (line_[at_] < ' ' || line_[at_] > '~' || line_[at_] == '\\')
      return Fail("strings are of printable ASCII characters, without escapes");
    if (at_ - begin >= kMaxString) return Fail("a string of more than 255 characters");
  }
  if (at_ >= line_.size()) return Fail("a string without end");
  *out = line_.substr(begin, at_ - begin);
  ++at_;
  return true;
}

bool JsonLine::TakeWord(std::string_view word) {
  if (line_.substr(at_, word.size()) != word) return false;
  at_ += word.size();
  return true;
}

bool JsonLine::Boolean(bool* out) {
  if (!ok()) return false;
  SkipSpaces();
  *out = TakeWord("true");
  return *out || TakeWord("false") || Fail("expected true or false");
}

bool JsonLine::End() {
  if (!ok()) return false;
  SkipSpaces();
  return at_ == line_.size() || Fail("something follows the object");
}

}  // namespace varve::history
