// Downloading a model into the cache; see hub.h.
#pragma once

#include <filesystem>

#include "hub/hub.h"

namespace gavel::hub {

// Asks the hub what the revision is and which files it has, brings those that are needed and not
// yet in the cache, links them as a snapshot, and returns it (or its one file, where one is named).
std::filesystem::path download(const HubName& name, const HubOptions& options);

}  // namespace gavel::hub
