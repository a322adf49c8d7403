// Where `varve consume --from` begins.
#ifndef VARVE_CLIENT_CLI_POSITION_H_
#define VARVE_CLIENT_CLI_POSITION_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "varve/admin.h"
#include "varve/reader.h"
#include "varve/status.h"

namespace varve::cli {

// A StartPosition, or so many records before the end of each partition.
struct FromPosition {
  enum class Kind { kAbsolute, kBeforeEnd };
  Kind kind = Kind::kAbsolute;
  StartPosition position;
  int64_t records_before_end = 0;  // kBeforeEnd
};

// "start", "end", "1234" (an offset), "-100" (the last 100 of each partition), "@2h" (appended
// since two hours before `now_ms`), "@1714564800000" (milliseconds) or an RFC 3339 time.
Result<FromPosition> ParsePosition(std::string_view text, int64_t now_ms);

// What each partition starts from. Asks the broker only for kBeforeEnd.
Result<std::vector<Assignment>> ResolvePositions(Admin& admin, std::string_view topic,
                                                 const std::vector<uint32_t>& partitions,
                                                 const FromPosition& from);

}  // namespace varve::cli

#endif  // VARVE_CLIENT_CLI_POSITION_H_
