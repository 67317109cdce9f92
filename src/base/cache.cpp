#include "base/cache.h"

#include <cstdlib>

namespace gavel {

std::filesystem::path cache_directory() {
  const auto variable = [](const char* name) -> std::filesystem::path {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
  if (const auto own = variable("GAVEL_CACHE_DIR"); !own.empty()) return own;
  if (const auto cache = variable("XDG_CACHE_HOME"); !cache.empty()) return cache / "gavel";
  if (const auto home = variable("HOME"); !home.empty()) return home / ".cache" / "gavel";
  return {};
}

}  // namespace gavel
