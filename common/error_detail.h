// Details of errors: what a client can act on, beside the reason ("leader_address").
#ifndef VARVE_COMMON_ERROR_DETAIL_H_
#define VARVE_COMMON_ERROR_DETAIL_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace varve {

// Under a name of varve.v1.ErrorInfo. Nothing happens to an OK status, or for an empty value.
void SetErrorDetail(std::string_view name, std::string_view value, absl::Status* status);
// In order of name.
std::vector<std::pair<std::string, std::string>> ErrorDetails(const absl::Status& status);
// Empty when there is none of that name.
std::string ErrorDetail(std::string_view name, const absl::Status& status);

}  // namespace varve

#endif  // VARVE_COMMON_ERROR_DETAIL_H_
