// The version of this build, as users see it.
#ifndef VARVE_SERVER_VERSION_H_
#define VARVE_SERVER_VERSION_H_

namespace varve::server {
inline constexpr char kVersion[] = "0.0.1";
}  // namespace varve::server

#endif  // VARVE_SERVER_VERSION_H_
