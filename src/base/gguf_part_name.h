// Names of the files of a split GGUF model: NAME-00001-of-00003.gguf and so on.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace gavel {

struct GgufPartName {
  std::string prefix;  // what stands before "-00001-of-00003.gguf"
  int part = 1, count = 1;
};
// Nothing where a file's name has not this form.
std::optional<GgufPartName> parse_gguf_part_name(const std::string& file_name);
std::string gguf_part_name(const GgufPartName& name);

// The names of all parts that a file's name speaks of; else the name itself.
std::vector<std::string> gguf_part_names(const std::string& file_name);

// What the names of parts begin with where a model is to be written as `path`, which may be a
// part's name itself.
std::string gguf_part_prefix(const std::filesystem::path& path);

}  // namespace gavel
