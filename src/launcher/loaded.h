// Between the launcher and libgavel: which libmlx was chosen, and which could not be.
#pragma once

extern "C" {

struct GavelLibrary {
  const char* path;     // of the libmlx that is loaded
  const char* skipped;  // of one that comes before it and cannot be loaded, or ""
  const char* reason;   // the dynamic linker's words
};

// libgavel's only entry: the whole program. Returns its exit code.
int gavel_main(int argc, char** argv, const GavelLibrary* library);
}
