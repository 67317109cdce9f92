#include "data/byte_stream.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace gavel {

FileBytes::FileBytes(const std::filesystem::path& path) : name_(path.string()) {
  fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd_ < 0) fail("cannot open {}: {}", name_, std::strerror(errno));
  struct stat info {};
  if (::fstat(fd_, &info) == 0 && S_ISREG(info.st_mode)) total_ = info.st_size;
}

std::unique_ptr<FileBytes> FileBytes::standard_input() {
  return std::unique_ptr<FileBytes>(new FileBytes(STDIN_FILENO, "standard input"));
}

FileBytes::~FileBytes() {
  if (fd_ > STDIN_FILENO) ::close(fd_);
}

size_t FileBytes::read(char* out, size_t size) {
  for (;;) {
    const ssize_t n = ::read(fd_, out, size);
    if (n >= 0) {
      done_ += n;
      return static_cast<size_t>(n);
    }
    if (errno != EINTR) fail("cannot read {}: {}", name_, std::strerror(errno));
  }
}

PeekedBytes::PeekedBytes(std::unique_ptr<ByteStream> in, size_t least) : in_(std::move(in)) {
  char piece[512];
  while (head_.size() < least) {
    const size_t n = in_->read(piece, sizeof piece);
    if (n == 0) break;
    head_.append(piece, n);
  }
}

size_t PeekedBytes::read(char* out, size_t size) {
  if (given_ == head_.size()) return in_->read(out, size);
  const size_t n = std::min(size, head_.size() - given_);
  std::memcpy(out, head_.data() + given_, n);
  given_ += n;
  return n;
}

}  // namespace gavel
