// The files that a command line names: patterns (*, ?, [...]), standard input, and what else a
// name may stand for (a data set of the hub).
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace gavel {

// Files to read. Standard input, which can be read once only, lies in a temporary file for the life
// of this object.
class InputFiles {
 public:
  // The files of a name that is none itself, where it stands for some.
  using Resolve =
      std::function<std::optional<std::vector<std::filesystem::path>>(const std::string& name)>;

  // "-" is standard input; a name with *, ? or [ that is no file is a pattern; `resolve` is asked
  // of names without a file. Throws Error for a pattern without a file.
  explicit InputFiles(const std::vector<std::filesystem::path>& names, const Resolve& resolve = {});
  ~InputFiles();
  InputFiles(const InputFiles&) = delete;
  InputFiles& operator=(const InputFiles&) = delete;

  const std::vector<std::filesystem::path>& paths() const { return paths_; }
  // By `paths`: what each came from, where `resolve` gave some of them; else empty.
  const std::vector<std::string>& resolved_names() const { return resolved_names_; }
  // Where standard input is kept; empty where it was not given.
  const std::filesystem::path& standard_input() const { return standard_input_; }
  // A path for a file that goes with this object.
  std::filesystem::path temporary(const std::string& name);

 private:
  void keep_standard_input();

  std::vector<std::filesystem::path> paths_;
  std::vector<std::string> resolved_names_;
  std::filesystem::path standard_input_;
  std::filesystem::path folder_;  // of temporary files; empty without one
};

// A file's name without its endings: "pairs" of "data/pairs.csv.gz".
std::string plain_name(const std::filesystem::path& path);

}  // namespace gavel
