// Several files of records made one.
#pragma once

#include <filesystem>
#include <vector>

namespace gavel {

// Writes the records of `files`, in any layout, to `out` as JSON lines, in their order. Replaced
// atomically. Throws Error, naming file and line, for a record that cannot be read.
void join_files(const std::vector<std::filesystem::path>& files, const std::filesystem::path& out);

}  // namespace gavel
