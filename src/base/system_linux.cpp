#ifdef __linux__

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "base/error.h"
#include "base/system.h"

namespace gavel {
namespace {

// "key : value" of a file of /proc; "" where there is none.
std::string proc_value(const char* file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(key)) continue;
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

}  // namespace

int usable_processors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

std::string processor_name() {
  const std::string name = proc_value("/proc/cpuinfo", "model name");
  return name.empty() ? "CPU" : name;
}

std::string instruction_sets() {
  std::string words = proc_value("/proc/cpuinfo", "flags");
  if (words.empty()) words = proc_value("/proc/cpuinfo", "Features");
  if (words.empty()) return "not known";
  words = " " + words + " ";
  std::string out;
  for (const char* set : {"sse4_2", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16",
                          "amx_int8", "asimd", "asimddp", "i8mm", "sve"})
    if (words.find(fmt::format(" {} ", set)) != std::string::npos)
      out += fmt::format("{}{}", out.empty() ? "" : " ", set);
  return out;
}

size_t memory_size() {
  return static_cast<size_t>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

size_t free_memory() {
  const std::string available = proc_value("/proc/meminfo", "MemAvailable");
  return available.empty() ? 0 : std::strtoull(available.c_str(), nullptr, 10) << 10;
}

size_t resident_memory() {
  std::ifstream in("/proc/self/statm");
  size_t all = 0, resident = 0;
  if (!(in >> all >> resident)) return 0;
  return resident * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

size_t most_resident_memory() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<size_t>(usage.ru_maxrss) << 10;
}

std::map<uintptr_t, MemoryMap> memory_maps() {
  std::map<uintptr_t, MemoryMap> all;
  std::ifstream in("/proc/self/smaps");
  MemoryMap* last = nullptr;
  for (std::string line; std::getline(in, line);) {
    unsigned long begin = 0, end = 0, inode = 0, kilobytes = 0;
    char name[2] = "";
    if (std::sscanf(line.c_str(), "%lx-%lx %*4s %*x %*s %lu %1s", &begin, &end, &inode, name) >= 3)
      last = &(all[begin] = {end, 0, inode != 0});
    else if (last != nullptr && std::sscanf(line.c_str(), "Rss: %lu kB", &kilobytes) == 1)
      last->resident = size_t{kilobytes} << 10;
  }
  return all;
}

std::filesystem::path program_folder() {
  std::error_code ec;
  return std::filesystem::read_symlink("/proc/self/exe", ec).parent_path();
}

}  // namespace gavel

#endif
