// The text of a data file as UTF-8, from first to last in constant memory, whatever it is packed
// and encoded in: gzip, xz, zstd, a zip of one file, and UTF-16, all told by their first bytes.
// The rows of Parquet and Arrow files come as lines of JSON.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "data/byte_stream.h"

namespace gavel {

class TextSource {
 public:
  // Throws Error where the file cannot be read, or is known to hold something else than text (an
  // archive, a web page, ...), naming what it is and what to do.
  explicit TextSource(const std::filesystem::path& path);
  static TextSource standard_input();

  // As ByteStream::read. No byte order mark; bytes that are not UTF-8 pass through, and half a pair
  // of UTF-16 becomes such.
  size_t read(char* out, size_t size) { return text_->read(out, size); }

  const std::string& name() const { return name_; }
  // The file's name without what its compression adds to it: "pairs.csv" of "pairs.csv.gz"; of a
  // zip archive, the name of the file in it.
  const std::string& unpacked_name() const { return unpacked_name_; }
  int64_t bytes_total() const { return total_; }  // of the file as it lies there; 0: not known
  int64_t bytes_done() const { return done_(); }

 private:
  TextSource(std::unique_ptr<FileBytes> file, const std::filesystem::path& path);
  void decode(std::unique_ptr<PeekedBytes> bytes);

  std::unique_ptr<ByteStream> text_;
  std::string name_, unpacked_name_;
  int64_t total_ = 0;
  std::function<int64_t()> done_;
};

}  // namespace gavel
