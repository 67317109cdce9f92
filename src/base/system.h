// What the system says of the machine and of this process: system_linux.cpp and system_macos.cpp
// are the two ways to ask.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

namespace gavel {

// Processors that the threads of this process run on alike: those that it is allowed, or a Mac's
// performance cores (one that is slower would keep the others waiting in every kernel).
int usable_processors();

std::string processor_name();    // "CPU" where the system does not say
std::string instruction_sets();  // that kernels of ours or the libraries' choose by; "not known"

// Bytes; 0 where the system does not say.
size_t memory_size();
size_t free_memory();           // that may be taken without swapping
size_t resident_memory();       // what this process has
size_t most_resident_memory();  // what it had at most

// A map of the process: where it ends, how much of it is resident, whether a file lies under it.
struct MemoryMap {
  uintptr_t end = 0;
  size_t resident = 0;
  bool file = false;
};
// By where they begin; empty where the system does not say.
std::map<uintptr_t, MemoryMap> memory_maps();

// The folder that the running program lies in, links resolved; empty where that is not known.
std::filesystem::path program_folder();

#ifdef __APPLE__
#define GAVEL_LIBRARY(name) "lib" name ".dylib"
#else
#define GAVEL_LIBRARY(name) "lib" name ".so"
#endif

}  // namespace gavel
