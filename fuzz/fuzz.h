// What the fuzz targets share. A target gives bytes to a reader, which may throw Error (the
// sentence for the user) and nothing else: any other exception, and whatever the sanitizers see, is
// a finding.
#pragma once

#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "base/error.h"

namespace gavel::fuzz {

inline std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// The bytes as a file, for readers that map one. It lies in memory and is used again.
inline std::filesystem::path as_file(std::string_view bytes) {
  static const int fd = ::memfd_create("gavel-fuzz", 0);
  size_t done = 0;
  if (fd < 0 || ::ftruncate(fd, 0) != 0) std::abort();
  while (done < bytes.size()) {
    const ssize_t n =
        ::pwrite(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (n <= 0) std::abort();
    done += static_cast<size_t>(n);
  }
  return std::filesystem::path("/proc/self/fd") / std::to_string(fd);
}

// Runs `read` on one input. Warnings about the input are not wanted here.
template <typename Read>
int run(const Read& read) {
  static const bool quiet = (spdlog::set_level(spdlog::level::off), true);
  (void)quiet;
  try {
    read();
  } catch (const Error&) {
  }
  return 0;
}

}  // namespace gavel::fuzz
