// The main of all test programs.
#include <gtest/gtest.h>

#include <fstream>
#include <iostream>
#include <sstream>

#include "what_to_do.h"

namespace {

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class Help : public testing::EmptyTestEventListener {
 public:
  explicit Help(std::string program) : program_(std::move(program)) {}
  void OnTestEnd(const testing::TestInfo& test) override {
    if (!test.result()->Failed()) return;
    const std::string name = std::string(test.test_suite_name()) + "." + test.name();
    std::cout << gavel::testing::what_to_do(program_, name, text_of(test.file()),
                                            text_of(GAVEL_SOURCE_DIR "/docs/architecture.md"))
              << std::endl;
  }

 private:
  std::string program_;
};

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  testing::UnitTest::GetInstance()->listeners().Append(new Help(argv[0]));
  return RUN_ALL_TESTS();
}
