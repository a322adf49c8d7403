// How `varve consume` prints a record.
#ifndef VARVE_CLIENT_CLI_RECORD_FORMAT_H_
#define VARVE_CLIENT_CLI_RECORD_FORMAT_H_

#include <string>
#include <string_view>
#include <vector>

#include "varve/record.h"
#include "varve/status.h"

namespace varve::cli {

// A format such as "%p %o %k=%v\n":
//   %k key   %v value   %h headers, "a=1,b=2"   %t topic   %p partition   %o offset
//   %T timestamp in milliseconds   %D timestamp, RFC 3339   %K, %V length of key, of value; -1:
//   none
//   %% a percent sign   \n \t \r \0 \\ \xHH
// A key or value that is absent prints nothing. Bytes are printed as they are.
class RecordFormat {
 public:
  static Result<RecordFormat> Parse(std::string_view format);
  void Append(const ReadRecord& record, std::string& out) const;

 private:
  struct Piece {
    char field = 0;  // the letter; 0: `text` as it is
    std::string text;
  };
  std::vector<Piece> pieces_;
};

// One JSON object, without a line end:
//   {"topic":"t","partition":0,"offset":7,"timestamp_ms":1714564800000,
//    "key":"k","value":"v","headers":[{"key":"h","value":"x"}]}
// An absent key or value is null. Bytes that are not UTF-8 come as "key_base64" or "value_base64"
// instead of "key" or "value", in records and headers alike.
void AppendJson(const ReadRecord& record, std::string& out);

// Whether the bytes are UTF-8: no overlong forms, no surrogates, at most U+10FFFF.
bool IsUtf8(std::string_view bytes);
// RFC 4648 with padding.
void AppendBase64(std::string_view bytes, std::string& out);

// "\t", "\x1f" and their like to the bytes they stand for.
Result<std::string> Unescape(std::string_view text);

}  // namespace varve::cli

#endif  // VARVE_CLIENT_CLI_RECORD_FORMAT_H_
