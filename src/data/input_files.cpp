#include "data/input_files.h"

#include <glob.h>
#include <unistd.h>  // mkdtemp on macOS

#include <cstdlib>
#include <fstream>

#include "base/error.h"
#include "data/byte_stream.h"

namespace gavel {

InputFiles::InputFiles(const std::vector<std::filesystem::path>& names, const Resolve& resolve) {
  std::vector<std::string> from;
  bool resolved = false;
  for (const auto& name : names) {
    std::error_code ec;
    const bool is_pattern = name.string().find_first_of("*?[") != std::string::npos;
    const bool is_file = name != "-" && std::filesystem::exists(name, ec);
    const bool may_stand_for_some = name != "-" && !is_file && !is_pattern && resolve;
    if (name == "-") {
      if (!standard_input_.empty()) throw UsageError("standard input (-) was given twice");
      keep_standard_input();
    } else if (const auto files = may_stand_for_some ? resolve(name.string()) : std::nullopt) {
      paths_.insert(paths_.end(), files->begin(), files->end());
      from.resize(paths_.size(), name.string());
      resolved = true;
    } else if (is_file || !is_pattern) {
      paths_.push_back(name);  // whoever opens it says that it is not there
    } else {
      glob_t found{};
      const int code = ::glob(name.c_str(), 0, nullptr, &found);
      for (size_t i = 0; i < found.gl_pathc; ++i) paths_.emplace_back(found.gl_pathv[i]);
      ::globfree(&found);
      if (code != 0) fail("no file is called as {}", name.string());
    }
    while (from.size() < paths_.size()) from.push_back(plain_name(paths_[from.size()]));
  }
  if (resolved) resolved_names_ = std::move(from);
}

std::string plain_name(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  return name.substr(0, name.find('.', 1));
}

std::filesystem::path InputFiles::temporary(const std::string& name) {
  if (folder_.empty()) {
    std::string folder = (std::filesystem::temp_directory_path() / "gavel-XXXXXX").string();
    if (::mkdtemp(folder.data()) == nullptr)
      fail("no temporary folder can be made in {}",
           std::filesystem::temp_directory_path().string());
    folder_ = folder;
  }
  return folder_ / name;
}

InputFiles::~InputFiles() {
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

void InputFiles::keep_standard_input() {
  standard_input_ = temporary("standard-input");
  paths_.push_back(standard_input_);
  try {
    std::ofstream out(standard_input_, std::ios::binary);
    const auto in = FileBytes::standard_input();
    std::vector<char> piece(size_t{1} << 20);
    while (const size_t n = in->read(piece.data(), piece.size()))
      out.write(piece.data(), static_cast<std::streamsize>(n));
    if (!out.flush())
      fail("standard input cannot be kept in {}: is the disk full?", folder_.string());
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
    throw;
  }
}

}  // namespace gavel
