// The functions of cuBLASLt (cublasLt.h) that are used, in the library that MLX's CUDA library
// brings. Matrices are seen by columns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace gavel::cuda {

struct BlasLtAlgorithm {  // cublasLtMatmulHeuristicResult_t
  uint64_t algorithm[8];
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
};

struct BlasLt {
  int (*create)(void**);
  int (*destroy)(void*);
  int (*make_product)(void**, int, int);
  int (*set_product)(void*, int, const void*, size_t);
  int (*free_product)(void*);
  int (*make_layout)(void**, int, uint64_t, uint64_t, int64_t);
  int (*free_layout)(void*);
  int (*make_preference)(void**);
  int (*set_preference)(void*, int, const void*, size_t);
  int (*free_preference)(void*);
  int (*choose)(void*, void*, void*, void*, void*, void*, void*, int, BlasLtAlgorithm*, int*);
  int (*multiply)(void*, void*, const void*, const void*, void*, const void*, void*, const void*,
                  const void*, void*, void*, void*, const uint64_t*, void*, size_t, void*);
};

// Throws Error where there is no such library.
const BlasLt& blas_lt();

// Throws Error with `what` where the status is not 0.
void check_blas(int status, const char* what);

// Types, as cuBLAS numbers them.
constexpr int kBlasFloat32 = 0, kBlasBfloat16 = 14, kBlasE4m3 = 28, kBlasComputeFloat32 = 68;
// Attributes of a product.
constexpr int kBlasTransposeFirst = 3;

// A product y [n, m] = a [k, n]^T b [k, m], described once and run often.
class BlasLtPlan {
 public:
  // Strides are those of columns, in values.
  struct Shape {
    int n = 0, m = 0, k = 0;
    int64_t a_stride = 0, b_stride = 0, y_stride = 0;
    int in = kBlasBfloat16, out = kBlasBfloat16;
    const void *a = nullptr, *b = nullptr, *y = nullptr;  // whose alignment is counted on
    size_t workspace = 0;                                 // bytes
    // More attributes of the product, before an algorithm is chosen.
    std::function<void(void* product)> attributes;
  };
  // Throws Error where cuBLAS has no algorithm.
  BlasLtPlan(void* handle, const Shape& shape);
  ~BlasLtPlan();
  BlasLtPlan(const BlasLtPlan&) = delete;
  BlasLtPlan& operator=(const BlasLtPlan&) = delete;

  void* product() const { return product_; }
  // y = a^T b (+ y).
  void run(void* handle, const void* a, const void* b, void* y, bool add, void* workspace,
           size_t workspace_bytes, void* stream) const;

 private:
  void *product_ = nullptr, *a_ = nullptr, *b_ = nullptr, *y_ = nullptr;
  BlasLtAlgorithm algorithm_{};
};

// The largest power of two up to 256 that divides the address.
int alignment(const void* p);

}  // namespace gavel::cuda
