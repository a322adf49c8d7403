#include "common/bytes.h"

#include "common/check.h"

namespace varve {

SharedBytes SharedBytes::Copy(std::string_view bytes) { return Take(std::string(bytes)); }

SharedBytes SharedBytes::Take(std::string bytes) {
  auto owner = std::make_shared<const std::string>(std::move(bytes));
  const std::string_view view = *owner;
  return SharedBytes(std::move(owner), view);
}

SharedBytes SharedBytes::Slice(size_t at, size_t length) const {
  VARVE_CHECK(at <= size() && length <= size() - at, "slice ", at, "+", length, " of ", size());
  return SharedBytes(owner_, view_.substr(at, length));
}

}  // namespace varve
