// Products of dense bfloat16 matrices by cuBLASLt, on a queue.
#pragma once

#include <map>
#include <memory>
#include <tuple>

#include "ops/cuda/blas_lt.h"
#include "ops/cuda/queue.h"

namespace gavel::cuda {

// y[rows, n] = x[rows, k] w[n, k]^T (+ y). Strides are those of rows, in values.
struct DenseProduct {
  const void* x = nullptr;  // bfloat16
  const void* w = nullptr;  // bfloat16
  void* y = nullptr;        // bfloat16, or float32
  int rows = 0, n = 0, k = 0;
  int x_stride = 0, w_stride = 0, y_stride = 0;
  bool add = false, float_out = false;
};

class Blas {
 public:
  static constexpr size_t kWorkspaceBytes = size_t{32} << 20;
  // `workspace`: kWorkspaceBytes of the card's memory, which must outlive it.
  Blas(const Queue& queue, void* workspace);
  ~Blas();
  Blas(const Blas&) = delete;
  Blas& operator=(const Blas&) = delete;

  void multiply(const DenseProduct& product);

 private:
  const BlasLtPlan& plan_of(const DenseProduct& product);
  using Key = std::tuple<int, int, int, int, int, int, int, bool>;
  const Queue& queue_;
  void* workspace_;
  void* handle_ = nullptr;
  std::map<Key, std::unique_ptr<BlasLtPlan>> plans_;
};

}  // namespace gavel::cuda
