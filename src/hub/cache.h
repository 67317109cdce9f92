// Paths and names of the Hugging Face cache; see hub.h.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "hub/hub.h"

namespace gavel::hub {

std::filesystem::path repo_directory(const HubOptions& options, const HubName& name);

// The commit that the cache knows for the revision: itself, or what refs/ says.
std::optional<std::string> cached_commit(const HubOptions& options, const HubName& name);

// The names of all models in the cache, whole or not.
std::vector<std::string> cached_names(const HubOptions& options);

bool is_commit(const std::string& text);  // 40 hexadecimal digits

// What may become a file name in the cache: nothing with separators or a leading dot.
bool is_plain_name(const std::string& text);

// A file's path within a repository: such names with "/" between them, where blanks and other
// characters may be too.
bool is_plain_path(const std::string& text);

// The top-level files of a repository that a model here is read from. Weights in other formats,
// pictures and the like are left out. `files` are all names of the repository. Throws Error where
// there is nothing that could be read.
std::vector<std::string> needed_files(const std::vector<std::string>& files,
                                      const std::string& repo);

// Whether a snapshot has its configuration and every file of weights that its index names.
bool is_complete(const std::filesystem::path& snapshot);

}  // namespace gavel::hub
