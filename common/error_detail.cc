#include "common/error_detail.h"

#include <algorithm>

#include "absl/strings/cord.h"
#include "common/strings.h"

namespace varve {
namespace {

constexpr std::string_view kDetailUrl = "varve.v1/detail/";

}  // namespace

void SetErrorDetail(std::string_view name, std::string_view value, absl::Status* status) {
  if (status->ok() || value.empty()) return;
  status->SetPayload(ToAbsl(StrCat(kDetailUrl, name)), absl::Cord(ToAbsl(value)));
}

std::vector<std::pair<std::string, std::string>> ErrorDetails(const absl::Status& status) {
  std::vector<std::pair<std::string, std::string>> out;
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    const std::string_view name = ToStd(url);
    if (name.starts_with(kDetailUrl))
      out.emplace_back(name.substr(kDetailUrl.size()), std::string(payload));
  });
  std::sort(out.begin(), out.end());
  return out;
}

std::string ErrorDetail(std::string_view name, const absl::Status& status) {
  for (const auto& [known, value] : ErrorDetails(status))
    if (known == name) return value;
  return {};
}

}  // namespace varve
