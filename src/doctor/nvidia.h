// NVIDIA's libraries that MLX's CUDA library needs, and where they are.
#pragma once

#include <string>
#include <vector>

namespace gavel {

struct NeededLibrary {
  std::string name;   // libcudnn.so.9
  std::string path;   // where the dynamic linker finds it, ""
  std::string wheel;  // that holds it: nvidia-cudnn-cu13; "" for what is the driver's
};

// Of the shared library at `path`, the names that NVIDIA's driver or wheels hold; none where it is
// no 64-bit ELF library or needs none of them.
std::vector<NeededLibrary> nvidia_libraries(const std::string& path);

}  // namespace gavel
