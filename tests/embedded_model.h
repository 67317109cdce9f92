// The base of tests that run on the embedded model: loaded once for all tests of a suite.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>

#include "model/transformer.h"

namespace gavel {

class EmbeddedModelTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const auto path =
        std::filesystem::path(GAVEL_SOURCE_DIR) / "models/SmolLM2-135M-Instruct.Q4_1.gguf";
    if (std::filesystem::exists(path)) model = new Model(make_model(load_model(path)));
  }
  static void TearDownTestSuite() {
    delete model;
    model = nullptr;
  }
  void SetUp() override {
    ASSERT_NE(model, nullptr) << "the embedded model is missing: ./run setup brings it";
    mlx::core::set_default_device(
        mlx::core::Device::cpu);  // MLX's own choice is a GPU if there is one
  }

  inline static Model* model = nullptr;
};

}  // namespace gavel
