// Any bytes as a history: refused with the line that is wrong, or judged; what is judged proves its
// anomalies with operations that exist.
#include <cstdint>
#include <string_view>

#include "common/check.h"
#include "common/strings.h"
#include "tests/history/checker.h"
#include "tests/history/history_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace varve::history;
  const auto history = ReadHistory(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!history.ok()) {
    VARVE_CHECK(varve::MessageOf(history.status()).starts_with("line "));
    return 0;
  }
  const Verdict verdict = Check(*history);
  for (const Anomaly& anomaly : verdict.anomalies) {
    VARVE_CHECK(!anomaly.operations.empty() && anomaly.key < history->keys.size());
    for (const uint64_t operation : anomaly.operations)
      VARVE_CHECK(operation < history->operations.size());
  }
  return 0;
}
