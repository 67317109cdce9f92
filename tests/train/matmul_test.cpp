#include "train/matmul.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "embedded_model.h"

namespace gavel {
namespace {

using MatmulTest = EmbeddedModelTest;

TEST_F(MatmulTest, IsTheModelsWhereTheDeviceHasIt) {
  EXPECT_EQ(with_matmul(*model, Matmul::int16).backend.precision, kernels::Precision::int16);
  EXPECT_EQ(with_matmul(*model, Matmul::usual).backend.precision, kernels::Precision::float32);
}

TEST_F(MatmulTest, IsRefusedWhereItHasNot) {
  EXPECT_THROW(with_matmul(*model, Matmul::fp8), Error);
  Model on_gpu = *model;
  on_gpu.backend = composed_backend(mx::bfloat16);
  EXPECT_THROW(with_matmul(on_gpu, Matmul::int16), Error);
  EXPECT_THROW(with_matmul(on_gpu, Matmul::fp8), Error);
}

}  // namespace
}  // namespace gavel
