// The page's script, embedded by cmake/embed.cmake.
#pragma once

#include <string_view>

namespace gavel::web {

extern const std::string_view kWatch;

}  // namespace gavel::web
