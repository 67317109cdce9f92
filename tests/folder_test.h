// The base of tests that write small files: a folder for each test, gone after it.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "base/file.h"

namespace gavel {

class FolderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto& test = *::testing::UnitTest::GetInstance()->current_test_info();
    dir_ = std::filesystem::temp_directory_path() /
           (std::string("gavel_") + test.test_suite_name() + "_" + test.name());
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::filesystem::path file(const std::string& name, const std::string& text) {
    write_file_atomic(dir_ / name, text);
    return dir_ / name;
  }

  std::filesystem::path dir_;
};

}  // namespace gavel
