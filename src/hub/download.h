// Downloading into the cache; see hub.h.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "hub/hub.h"

namespace gavel::hub {

// Asks the hub what the revision is and which files it has, brings those that are needed and not
// yet in the cache, links them as a snapshot, and returns it (or its one file, where one is named).
std::filesystem::path download(const HubName& name, const HubOptions& options);

struct Revision {
  std::string commit;
  std::vector<std::string> files;  // all of the repository's
};
Revision ask_revision(const HubName& name, const HubOptions& options);

// Brings those of the files that are not yet in the cache; returns the snapshot that has them.
std::filesystem::path download_files(const HubName& name, const std::string& commit,
                                     const std::vector<std::string>& files,
                                     const HubOptions& options);

}  // namespace gavel::hub
