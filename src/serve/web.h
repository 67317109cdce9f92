// The files of web/, as they are embedded by the build (cmake/embed.cmake).
#pragma once

#include <string_view>

namespace gavel::web {

extern const std::string_view kIndex, kScript, kRows, kTrust, kStyle, kOpenApi;

}  // namespace gavel::web
