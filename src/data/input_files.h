// The files that a command line names: patterns (*, ?, [...]) and standard input.
#pragma once

#include <filesystem>
#include <vector>

namespace gavel {

// Files to read. Standard input, which can be read once only, lies in a temporary file for the life
// of this object.
class InputFiles {
 public:
  // "-" is standard input; a name with *, ? or [ that is no file is a pattern. Throws Error for a
  // pattern without a file.
  explicit InputFiles(const std::vector<std::filesystem::path>& names);
  ~InputFiles();
  InputFiles(const InputFiles&) = delete;
  InputFiles& operator=(const InputFiles&) = delete;

  const std::vector<std::filesystem::path>& paths() const { return paths_; }

 private:
  void keep_standard_input();

  std::vector<std::filesystem::path> paths_;
  std::filesystem::path folder_;  // of the temporary file; empty without one
};

}  // namespace gavel
