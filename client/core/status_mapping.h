// Public Status from what the library meets: its own errors, common's, and those of brokers.
#ifndef VARVE_CLIENT_CORE_STATUS_MAPPING_H_
#define VARVE_CLIENT_CORE_STATUS_MAPPING_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "client/rpc/rpc.h"
#include "common/error.h"
#include "varve/status.h"

namespace varve::client::wire {
class Status;
}

namespace varve::client {

// A row of the error table with a text of ours.
Status ErrorText(Reason reason, std::string text);
template <class... Pieces>
Status Error(Reason reason, const Pieces&... pieces) {
  return ErrorText(reason, StrCat(pieces...));
}
// The same error, known not to have taken effect (or the contrary).
Status WithOutcome(const Status& status, RequestOutcome outcome);
Status WithDetails(const Status& status, std::vector<std::pair<std::string, std::string>> more);

Status FromAbsl(const absl::Status& status);
// An error inside of a reply. OK for code 0. A reason that this library does not know is kept, with
// what the broker says about it.
Status FromWire(const wire::Status& status);
// How a call to `address` ended.
Status FromRpc(const RpcStatus& status, std::string_view address);

}  // namespace varve::client

#endif  // VARVE_CLIENT_CORE_STATUS_MAPPING_H_
