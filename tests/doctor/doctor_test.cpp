#include "doctor/doctor.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "doctor/nvidia.h"
#include "ops/library.h"

namespace gavel {
namespace {

const Finding* find(const std::vector<Finding>& all, const std::string& name) {
  for (const auto& f : all)
    if (f.name == name) return &f;
  return nullptr;
}

TEST(Doctor, EveryProblemHasARemedy) {
  ::setenv("GAVEL_SIMD", "mmx", 1);
  const auto all = examine("1.2 (abc)", "/proc/nothing/hub");
  ::unsetenv("GAVEL_SIMD");
  for (const auto& f : all) EXPECT_EQ(f.problem.empty(), f.remedy.empty()) << f.name;
  EXPECT_EQ(find(all, "gavel")->value, "1.2 (abc)");
  EXPECT_EQ(find(all, "MLX")->problem, "");
  EXPECT_EQ(find(all, "kernels")->problem, "GAVEL_SIMD=mmx is not what is used");
  ASSERT_NE(find(all, "memory"), nullptr);
  EXPECT_GE(count_wrong(all), 1u);
  const auto json = nlohmann::json::parse(findings_json(all));
  EXPECT_EQ(json["wrong"], count_wrong(all));
  EXPECT_EQ(json["findings"].size(), all.size());
  EXPECT_NE(findings_text(all).find("! kernels"), std::string::npos);
}

// A library that needs two of NVIDIA's, one of which lies where its RPATH says.
class NvidiaLibraries : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "gavel_nvidia_XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    std::filesystem::create_directories(folder_ / "nvidia/lib");
    std::filesystem::create_directories(folder_ / "mlx/lib");
    build("-Wl,-soname,libcudnn.so.9 -o nvidia/lib/libcudnn.so.9");
    build("-Wl,-soname,libcuda.so.1 -o libcuda.so.1");
    build(
        "-Wl,--no-as-needed,--disable-new-dtags,-rpath,'$ORIGIN/../../nvidia/lib' -o "
        "mlx/lib/libmlx.so "
        "nvidia/lib/libcudnn.so.9 libcuda.so.1");
    std::filesystem::remove(folder_ / "libcuda.so.1");
  }
  void TearDown() override {
    set_mlx_library({});
    std::filesystem::remove_all(folder_);
  }
  void build(const std::string& arguments) const {
    const std::string command = "cd " + folder_.string() +
                                " && echo 'int nothing;' | c++ -shared -fPIC -x c++ - -x none " +
                                arguments;
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }
  std::filesystem::path folder_;
};

TEST_F(NvidiaLibraries, AreFoundByRpathOrNamedAsMissing) {
  const auto all = nvidia_libraries((folder_ / "mlx/lib/libmlx.so").string());
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].name, "libcudnn.so.9");
  EXPECT_EQ(all[0].path, (folder_ / "nvidia/lib/libcudnn.so.9").string());
  EXPECT_EQ(all[0].wheel, "nvidia-cudnn-cu13");
  EXPECT_EQ(all[1].name, "libcuda.so.1");
  EXPECT_EQ(all[1].wheel, "");
  std::ofstream(folder_ / "cut") << "\x7f"
                                    "ELF";
  EXPECT_TRUE(nvidia_libraries((folder_ / "cut").string()).empty());
}

TEST_F(NvidiaLibraries, DoctorSaysWhatIsMissingAndTheRemedy) {
  const auto wheel = folder_ / "nvidia/lib/libcudnn.so.9";
  if (!nvidia_libraries((folder_ / "mlx/lib/libmlx.so").string())[1].path.empty())
    GTEST_SKIP() << "this machine has NVIDIA's driver";
  std::filesystem::remove(wheel);
  set_mlx_library({"/cpu/libmlx.so", (folder_ / "mlx/lib/libmlx.so").string(), "no libcuda.so.1"});
  const auto all = examine("1", "/proc/nothing/hub");
  const Finding* f = find(all, "MLX for CUDA");
  ASSERT_NE(f, nullptr);
  EXPECT_NE(f->problem.find("libcuda.so.1"), std::string::npos) << f->problem;
  EXPECT_NE(f->remedy.find("install NVIDIA's driver"), std::string::npos) << f->remedy;
  if (f->problem.find("libcudnn.so.9") != std::string::npos) {  // unless the system has it
    EXPECT_NE(f->remedy.find("pip install --target " + folder_.string() + " nvidia-cudnn-cu13"),
              std::string::npos)
        << f->remedy;
  }
}

}  // namespace
}  // namespace gavel
