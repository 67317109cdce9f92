#include "doctor/nvidia.h"

#ifdef __APPLE__
namespace gavel {
std::vector<NeededLibrary> nvidia_libraries(const std::string&) { return {}; }
}  // namespace gavel
#else
#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/blanks.h"

namespace gavel {
namespace fs = std::filesystem;
namespace {

constexpr size_t kMostEntries = 1 << 16;  // of any table of the file

struct Dynamic {
  std::vector<std::string> needed;
  std::string search;  // RPATH or RUNPATH, as it is written
};

template <typename T>
std::vector<T> read_table(std::ifstream& file, uint64_t offset, uint64_t count) {
  if (count > kMostEntries) return {};
  std::vector<T> out(count);
  file.clear();
  file.seekg(static_cast<std::streamoff>(offset));
  file.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(count * sizeof(T)));
  return file ? out : std::vector<T>{};
}

Dynamic read_dynamic(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const auto heads = read_table<Elf64_Ehdr>(file, 0, 1);
  if (heads.empty() || std::memcmp(heads[0].e_ident, ELFMAG, SELFMAG) != 0 ||
      heads[0].e_ident[EI_CLASS] != ELFCLASS64 || heads[0].e_phentsize != sizeof(Elf64_Phdr))
    return {};
  const auto segments = read_table<Elf64_Phdr>(file, heads[0].e_phoff, heads[0].e_phnum);
  // An address of the loaded library as a place in the file.
  const auto place = [&](uint64_t address) -> uint64_t {
    for (const auto& s : segments)
      if (s.p_type == PT_LOAD && address >= s.p_vaddr && address - s.p_vaddr < s.p_filesz)
        return address - s.p_vaddr + s.p_offset;
    return 0;
  };
  Dynamic out;
  for (const auto& segment : segments) {
    if (segment.p_type != PT_DYNAMIC) continue;
    const auto entries =
        read_table<Elf64_Dyn>(file, segment.p_offset, segment.p_filesz / sizeof(Elf64_Dyn));
    uint64_t strings = 0;
    for (const auto& e : entries)
      if (e.d_tag == DT_STRTAB) strings = place(e.d_un.d_ptr);
    const auto text = [&](uint64_t offset) {
      file.clear();
      file.seekg(static_cast<std::streamoff>(strings + offset));
      std::string found;
      std::getline(file, found, '\0');
      return found;
    };
    for (const auto& e : entries) {
      if (e.d_tag == DT_NULL) break;
      if (e.d_tag == DT_NEEDED) out.needed.push_back(text(e.d_un.d_val));
      if (e.d_tag == DT_RPATH || e.d_tag == DT_RUNPATH) out.search = text(e.d_un.d_val);
    }
  }
  return out;
}

struct Wheel {
  const char* library;
  const char* name;
};
constexpr Wheel kWheels[] = {
    {"libcuda.so", ""},
    {"libcublas", "nvidia-cublas"},
    {"libcufft", "nvidia-cufft"},
    {"libcusolver", "nvidia-cusolver"},
    {"libnvrtc", "nvidia-cuda-nvrtc"},
    {"libcudnn", "nvidia-cudnn-cu13"},
    {"libnccl", "nvidia-nccl-cu13"},
    {"libcudart", "nvidia-cuda-runtime"},
};

std::string found_at(const std::string& name, const std::string& search, const fs::path& origin) {
  for (const auto part : trimmed_pieces(search, ':')) {
    std::string folder(part);
    if (const size_t at = folder.find("$ORIGIN"); at != std::string::npos)
      folder.replace(at, 7, origin.string());
    std::error_code ec;
    const fs::path path = fs::path(folder) / name;
    if (fs::exists(path, ec)) return path.lexically_normal().string();
  }
  // The system's, by the dynamic linker's own search.
  void* handle = ::dlopen(name.c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (handle == nullptr) return "";
  link_map* map = nullptr;
  const bool known = ::dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0;
  std::string path = known && map->l_name != nullptr ? map->l_name : name;
  ::dlclose(handle);
  return path;
}

}  // namespace

std::vector<NeededLibrary> nvidia_libraries(const std::string& path) {
  const Dynamic dynamic = read_dynamic(path);
  std::vector<NeededLibrary> out;
  for (const auto& name : dynamic.needed)
    for (const auto& wheel : kWheels)
      if (name.starts_with(wheel.library)) {
        out.push_back(
            {name, found_at(name, dynamic.search, fs::path(path).parent_path()), wheel.name});
        break;
      }
  return out;
}

}  // namespace gavel
#endif
