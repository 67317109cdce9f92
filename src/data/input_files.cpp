#include "data/input_files.h"

#include <glob.h>

#include <cstdlib>
#include <fstream>

#include "base/error.h"
#include "data/byte_stream.h"

namespace gavel {

InputFiles::InputFiles(const std::vector<std::filesystem::path>& names) {
  for (const auto& name : names) {
    std::error_code ec;
    if (name == "-") {
      if (!folder_.empty()) throw UsageError("standard input (-) was given twice");
      keep_standard_input();
    } else if (name.string().find_first_of("*?[") == std::string::npos ||
               std::filesystem::exists(name, ec)) {
      paths_.push_back(name);
    } else {
      glob_t found{};
      const int code = ::glob(name.c_str(), 0, nullptr, &found);
      for (size_t i = 0; i < found.gl_pathc; ++i) paths_.emplace_back(found.gl_pathv[i]);
      ::globfree(&found);
      if (code != 0) fail("no file is called as {}", name.string());
    }
  }
}

InputFiles::~InputFiles() {
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

void InputFiles::keep_standard_input() {
  std::string folder = (std::filesystem::temp_directory_path() / "gavel-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr)
    fail("standard input cannot be kept in {}", std::filesystem::temp_directory_path().string());
  folder_ = folder;
  paths_.push_back(folder_ / "standard-input");
  try {
    std::ofstream out(paths_.back(), std::ios::binary);
    const auto in = FileBytes::standard_input();
    std::vector<char> piece(size_t{1} << 20);
    while (const size_t n = in->read(piece.data(), piece.size()))
      out.write(piece.data(), static_cast<std::streamsize>(n));
    if (!out.flush()) fail("standard input cannot be kept in {}: is the disk full?", folder);
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
    throw;
  }
}

}  // namespace gavel
