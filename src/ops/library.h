// MLX's library as it was found when the program started; see src/launcher.
#pragma once

#include <string>

namespace gavel {

struct MlxLibrary {
  std::string path;     // of the one that is loaded; "": linked with the program
  std::string skipped;  // of one that comes before it and cannot be loaded, or ""
  std::string reason;   // why not, in the dynamic linker's words
};

// Said once, by the program's entry, before anything else of ops.
void set_mlx_library(MlxLibrary library);
const MlxLibrary& mlx_library();

}  // namespace gavel
