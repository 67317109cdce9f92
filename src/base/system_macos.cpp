#ifdef __APPLE__

#include <mach-o/dyld.h>
#include <mach/mach.h>
#include <sys/resource.h>
#include <sys/sysctl.h>

#include <algorithm>
#include <thread>

#include "base/error.h"
#include "base/system.h"

namespace gavel {
namespace {

// A number of sysctl; 0 where there is none.
uint64_t number_of(const char* name) {
  uint64_t value = 0;
  size_t size = sizeof value;  // shorter numbers lie in its first bytes
  return ::sysctlbyname(name, &value, &size, nullptr, 0) == 0 ? value : 0;
}

}  // namespace

int usable_processors() {
  for (const char* name : {"hw.perflevel0.logicalcpu", "hw.logicalcpu"})
    if (const uint64_t n = number_of(name); n > 0) return static_cast<int>(n);
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

std::string processor_name() {
  char name[256] = "";
  size_t size = sizeof name - 1;
  if (::sysctlbyname("machdep.cpu.brand_string", name, &size, nullptr, 0) != 0) return "CPU";
  return name;
}

std::string instruction_sets() {
  std::string out = "asimd";
  for (const auto& [set, name] : {std::pair{"asimddp", "hw.optional.arm.FEAT_DotProd"},
                                  std::pair{"i8mm", "hw.optional.arm.FEAT_I8MM"},
                                  std::pair{"bf16", "hw.optional.arm.FEAT_BF16"},
                                  std::pair{"sme", "hw.optional.arm.FEAT_SME"}})
    if (number_of(name) > 0) out += fmt::format(" {}", set);
  return out;
}

size_t memory_size() { return number_of("hw.memsize"); }

size_t free_memory() {
  vm_statistics64_data_t pages{};
  mach_msg_type_number_t count = HOST_VM_INFO64_COUNT;
  const mach_port_t host = ::mach_host_self();
  const kern_return_t result =
      ::host_statistics64(host, HOST_VM_INFO64, reinterpret_cast<host_info64_t>(&pages), &count);
  ::mach_port_deallocate(::mach_task_self(), host);
  if (result != KERN_SUCCESS) return 0;
  return (size_t{pages.free_count} + pages.inactive_count) * ::vm_page_size;
}

size_t resident_memory() {
  mach_task_basic_info_data_t info{};
  mach_msg_type_number_t count = MACH_TASK_BASIC_INFO_COUNT;
  const kern_return_t result = ::task_info(::mach_task_self(), MACH_TASK_BASIC_INFO,
                                           reinterpret_cast<task_info_t>(&info), &count);
  return result == KERN_SUCCESS ? info.resident_size : 0;
}

size_t most_resident_memory() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<size_t>(usage.ru_maxrss);
}

std::map<uintptr_t, MemoryMap> memory_maps() {
  std::map<uintptr_t, MemoryMap> all;
  natural_t depth = 0;
  for (vm_address_t at = 0;;) {
    vm_size_t size = 0;
    vm_region_submap_info_data_64_t info{};
    mach_msg_type_number_t count = VM_REGION_SUBMAP_INFO_COUNT_64;
    if (::vm_region_recurse_64(::mach_task_self(), &at, &size, &depth,
                               reinterpret_cast<vm_region_recurse_info_t>(&info),
                               &count) != KERN_SUCCESS)
      return all;
    if (info.is_submap) {  // what lies in it comes next
      ++depth;
      continue;
    }
    all[at] = {at + size, size_t{info.pages_resident} * ::vm_page_size, info.external_pager != 0};
    at += size;
  }
}

std::filesystem::path program_folder() {
  uint32_t size = 0;
  ::_NSGetExecutablePath(nullptr, &size);
  std::string path(size, '\0');
  if (::_NSGetExecutablePath(path.data(), &size) != 0) return {};
  std::error_code ec;
  return std::filesystem::canonical(path.c_str(), ec).parent_path();
}

}  // namespace gavel

#endif
