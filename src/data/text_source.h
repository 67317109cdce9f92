// The text of a data file as UTF-8, from first to last in constant memory, whatever it is packed
// and encoded in: gzip, xz or zstd, and UTF-16, all told by their first bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "data/byte_stream.h"

namespace gavel {

class TextSource {
 public:
  // Throws Error where the file cannot be read, or is known to hold something else than text (a
  // Parquet file, an archive, a web page, ...), naming what it is and what to do.
  explicit TextSource(const std::filesystem::path& path);
  static TextSource standard_input();

  // As ByteStream::read. No byte order mark; bytes that are not UTF-8 pass through, and half a pair
  // of UTF-16 becomes such.
  size_t read(char* out, size_t size) { return text_->read(out, size); }

  const std::string& name() const { return file_->name(); }
  int64_t bytes_total() const { return file_->total(); }  // of the file as it lies there
  int64_t bytes_done() const { return file_->done(); }

 private:
  explicit TextSource(std::unique_ptr<FileBytes> file);

  std::unique_ptr<ByteStream> text_;
  FileBytes* file_;  // at the bottom of text_
};

// The name without what its compression adds to it: "pairs.csv" of "pairs.csv.gz".
std::string unpacked_name(const std::filesystem::path& path);

}  // namespace gavel
