// The program's choice of libmlx, with a folder laid out as a checkout has it.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace gavel {
namespace {
namespace fs = std::filesystem;

struct Outcome {
  int code = -1;
  std::string text;  // stdout and stderr
};

class Launcher : public ::testing::Test {
 protected:
  void SetUp() override {
    const fs::path program = GAVEL_BINARY;
    if (!fs::exists(program)) GTEST_SKIP() << "build/gavel is not built";
    std::string pattern = (fs::temp_directory_path() / "gavel_launcher_XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    fs::create_directories(folder_ / "build");
    fs::copy_file(program, folder_ / "build/gavel");
    fs::create_symlink(program.parent_path() / "libgavel.so", folder_ / "build/libgavel.so");
  }
  void TearDown() override {
    if (!folder_.empty()) fs::remove_all(folder_);
  }
  void add_cpu_library() const {
    fs::create_directory_symlink(fs::path(GAVEL_SOURCE_DIR) / ".venv", folder_ / ".venv");
  }
  void add_broken_cuda_library() const {
    fs::create_directories(folder_ / ".cuda/mlx/lib");
    std::ofstream(folder_ / ".cuda/mlx/lib/libmlx.so") << "not a library";
  }
  Outcome run(const std::string& arguments) const {
    const std::string command =
        "env -u LD_LIBRARY_PATH " + (folder_ / "build/gavel").string() + " " + arguments + " 2>&1";
    Outcome out;
    std::FILE* pipe = ::popen(command.c_str(), "r");
    for (char buffer[256]; std::fgets(buffer, sizeof buffer, pipe) != nullptr;) out.text += buffer;
    const int status = ::pclose(pipe);
    out.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return out;
  }
  fs::path folder_;
};

TEST_F(Launcher, TakesTheNextLibraryWhereOneCannotBeLoaded) {
  add_broken_cuda_library();
  add_cpu_library();
  const Outcome version = run("--version");
  EXPECT_EQ(version.code, 0) << version.text;
  EXPECT_TRUE(version.text.starts_with("gavel ")) << version.text;
  const Outcome doctor = run("doctor");
  EXPECT_NE(doctor.text.find("! MLX for CUDA"), std::string::npos) << doctor.text;
  EXPECT_NE(doctor.text.find("it cannot be loaded: "), std::string::npos) << doctor.text;
}

TEST_F(Launcher, SaysWhatIsMissing) {
  const Outcome none = run("--version");
  EXPECT_EQ(none.code, 1);
  EXPECT_NE(none.text.find("gavel: MLX's library, libmlx.so, is not there: pip install mlx-cpu=="),
            std::string::npos)
      << none.text;
  add_broken_cuda_library();
  const Outcome broken = run("--version");
  EXPECT_EQ(broken.code, 1);
  EXPECT_NE(broken.text.find(".cuda/mlx/lib/libmlx.so cannot be loaded ("), std::string::npos)
      << broken.text;
}

}  // namespace
}  // namespace gavel
