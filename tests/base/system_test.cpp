#include "base/system.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <thread>
#include <vector>

#include "base/file.h"

namespace gavel {
namespace {

const MemoryMap* map_of(const std::map<uintptr_t, MemoryMap>& maps, const void* address) {
  const auto at = reinterpret_cast<uintptr_t>(address);
  auto it = maps.upper_bound(at);
  if (it == maps.begin()) return nullptr;
  --it;
  return at < it->second.end ? &it->second : nullptr;
}

TEST(System, CountsProcessorsThatThereAre) {
  EXPECT_GE(usable_processors(), 1);
  EXPECT_LE(usable_processors(), static_cast<int>(std::thread::hardware_concurrency()));
}

TEST(System, SeesMemoryThatIsTaken) {
  constexpr size_t kBytes = size_t{64} << 20;
  EXPECT_GT(free_memory(), 0u);
  EXPECT_LT(free_memory(), memory_size());
  const size_t before = resident_memory();
  std::vector<char> taken(kBytes, 1);
  EXPECT_GE(resident_memory(), before + kBytes / 2);
  EXPECT_GE(most_resident_memory(), before + kBytes / 2);
  EXPECT_LT(most_resident_memory(), memory_size());
  const auto maps = memory_maps();
  const MemoryMap* map = map_of(maps, taken.data() + kBytes / 2);
  ASSERT_NE(map, nullptr);
  EXPECT_FALSE(map->file);
  EXPECT_GE(map->resident, kBytes / 2);
}

TEST(System, KnowsMapsOfFiles) {
  const auto path = std::filesystem::temp_directory_path() / "gavel_system_test";
  write_file_atomic(path, std::string(1 << 20, 'x'));
  {
    const MappedFile file(path);
    const auto maps = memory_maps();
    const MemoryMap* map = map_of(maps, file.bytes().data());
    ASSERT_NE(map, nullptr);
    EXPECT_TRUE(map->file);
  }
  std::filesystem::remove(path);
}

TEST(System, FindsTheProgram) {
  EXPECT_TRUE(std::filesystem::exists(program_folder() / "base_tests")) << program_folder();
  EXPECT_FALSE(processor_name().empty());
  EXPECT_FALSE(instruction_sets().empty());
}

}  // namespace
}  // namespace gavel
