// A data file's bytes from first to last, in constant memory: plain, or decompressed on the way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace gavel {

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // Between 1 and `size` bytes, those that are there soonest; 0 at the end. Throws Error naming the
  // file: one that cannot be read, is damaged, or is cut off.
  virtual size_t read(char* out, size_t size) = 0;
};

// A file, or standard input, as it is.
class FileBytes final : public ByteStream {
 public:
  explicit FileBytes(const std::filesystem::path& path);
  static std::unique_ptr<FileBytes> standard_input();
  ~FileBytes() override;
  FileBytes(const FileBytes&) = delete;
  FileBytes& operator=(const FileBytes&) = delete;

  size_t read(char* out, size_t size) override;
  const std::string& name() const { return name_; }
  int64_t total() const { return total_; }  // bytes; 0 where that is not known
  int64_t done() const { return done_; }

 private:
  FileBytes(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}

  int fd_ = -1;
  std::string name_;
  int64_t total_ = 0, done_ = 0;
};

// The first bytes of another stream, and the stream again from its beginning.
class PeekedBytes final : public ByteStream {
 public:
  // Reads at least `least` bytes of it, as far as it has them.
  PeekedBytes(std::unique_ptr<ByteStream> in, size_t least);
  std::string_view head() const { return head_; }
  size_t read(char* out, size_t size) override;

 private:
  std::unique_ptr<ByteStream> in_;
  std::string head_;
  size_t given_ = 0;
};

enum class Compression : uint8_t { none, gzip, xz, zstd };

// By the first bytes.
Compression compression_of(std::string_view head);

// Text of which every record were the same shrinks some 100 times. A stream that goes beyond this
// was made to fill memory or time.
inline constexpr uint64_t kFreeOutput = uint64_t{1} << 30, kMaxRatio = 300;

// What a compressed stream holds. `name` is what errors call the file. Concatenated streams are
// one; anything else behind a stream's end is an Error, as is one that needs too much memory (256
// MiB) or expands more than data does: past kFreeOutput by more than kMaxRatio.
std::unique_ptr<ByteStream> decompressed(std::unique_ptr<ByteStream> in, Compression compression,
                                         const std::string& name);

}  // namespace gavel
