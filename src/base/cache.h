// Where gavel keeps what it can make again.
#pragma once

#include <filesystem>

namespace gavel {

// GAVEL_CACHE_DIR, else gavel's folder in XDG_CACHE_HOME or ~/.cache; "" where there is no home.
// It need not exist yet.
std::filesystem::path cache_directory();

}  // namespace gavel
