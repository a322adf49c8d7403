// StrCat for std::string_view, strong types' values and everything absl::StrCat takes.
//
// Debian 12 builds Abseil with a string_view of its own that neither converts from nor to
// std::string_view; newer ones use std's. Only this header and error.cc know the difference.
#ifndef VARVE_COMMON_STRINGS_H_
#define VARVE_COMMON_STRINGS_H_

#include <string>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace varve {

inline absl::string_view ToAbsl(std::string_view s) { return {s.data(), s.size()}; }
inline std::string_view ToStd(absl::string_view s) { return {s.data(), s.size()}; }
// The text of a status as std::string_view; valid as long as the status.
inline std::string_view MessageOf(const absl::Status& status) { return ToStd(status.message()); }

namespace internal {
template <class T>
decltype(auto) CatPiece(const T& piece) {
  if constexpr (std::is_same_v<T, std::string_view>)
    return ToAbsl(piece);
  else if constexpr (requires { piece.value(); })
    return +piece.value();
  else if constexpr (std::is_same_v<T, bool>)
    return piece ? "true" : "false";
  else
    return (piece);
}
}  // namespace internal

// StrCat("offset ", offset, " of ", name): strong types print their number.
template <class... Pieces>
std::string StrCat(const Pieces&... pieces) {
  return absl::StrCat(internal::CatPiece(pieces)...);
}

}  // namespace varve

#endif  // VARVE_COMMON_STRINGS_H_
