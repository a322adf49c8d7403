// Offsets of many partitions, asked of their leaders.
#ifndef VARVE_CLIENT_CORE_OFFSET_LOOKUP_H_
#define VARVE_CLIENT_CORE_OFFSET_LOOKUP_H_

#include <chrono>
#include <vector>

#include "client/core/client_core.h"
#include "varve/admin.h"

namespace varve::client {

// Blocks for at most `timeout`; not on the executor. One answer for each query, in order. Leaders
// that moved are looked up again until the time is over.
Result<std::vector<OffsetAnswer>> LookUpOffsets(const std::shared_ptr<ClientCore>& core,
                                                const std::vector<OffsetQuery>& queries,
                                                ReadIsolation isolation,
                                                std::chrono::milliseconds timeout);

}  // namespace varve::client

#endif  // VARVE_CLIENT_CORE_OFFSET_LOOKUP_H_
