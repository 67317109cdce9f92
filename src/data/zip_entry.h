// The one file that a zip archive holds.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "data/byte_stream.h"

namespace gavel {

struct ZipEntry {
  std::string name;  // without its folders
  std::unique_ptr<ByteStream> bytes;
  std::function<int64_t()> done;  // bytes of the archive that are read, while `bytes` lives
};

// The only file of the archive; folders, and what macOS adds (__MACOSX), are none. Throws Error for
// an archive of none or several, a spreadsheet, one that is encrypted, damaged or beyond 4 GiB, and
// another compression than deflate; bytes that do not fit their checksum are an Error at their end.
ZipEntry open_zip(const std::filesystem::path& path);

}  // namespace gavel
