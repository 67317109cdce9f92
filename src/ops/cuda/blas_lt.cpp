#include "ops/cuda/blas_lt.h"

#include <dlfcn.h>

#include <algorithm>
#include <bit>

#include "base/error.h"
#include "ops/cuda/find_function.h"

namespace gavel::cuda {

const BlasLt& blas_lt() {
  static const BlasLt found = [] {
    void* library = nullptr;
    for (const char* name : {"libcublasLt.so.13", "libcublasLt.so.12"})
      if (library == nullptr) library = dlopen(name, RTLD_NOW);
    if (library == nullptr) fail("cuBLAS (libcublasLt) was not found");
    const auto get = [&](auto& function, const char* name) {
      find_function(library, "cuBLAS (libcublasLt)", function, name);
    };
    BlasLt b;
    get(b.create, "cublasLtCreate");
    get(b.destroy, "cublasLtDestroy");
    get(b.make_product, "cublasLtMatmulDescCreate");
    get(b.set_product, "cublasLtMatmulDescSetAttribute");
    get(b.free_product, "cublasLtMatmulDescDestroy");
    get(b.make_layout, "cublasLtMatrixLayoutCreate");
    get(b.free_layout, "cublasLtMatrixLayoutDestroy");
    get(b.make_preference, "cublasLtMatmulPreferenceCreate");
    get(b.set_preference, "cublasLtMatmulPreferenceSetAttribute");
    get(b.free_preference, "cublasLtMatmulPreferenceDestroy");
    get(b.choose, "cublasLtMatmulAlgoGetHeuristic");
    get(b.multiply, "cublasLtMatmul");
    return b;
  }();
  return found;
}

void check_blas(int status, const char* what) {
  if (status != 0) fail("cuBLAS failed {} (status {})", what, status);
}

int alignment(const void* p) {
  return 1 << std::min(8, std::countr_zero(reinterpret_cast<uint64_t>(p) | 256));
}

BlasLtPlan::BlasLtPlan(void* handle, const Shape& s) {
  const BlasLt& lt = blas_lt();
  check_blas(lt.make_product(&product_, kBlasComputeFloat32, kBlasFloat32),
             "to describe a product");
  constexpr int kTransposed = 1;
  check_blas(lt.set_product(product_, kBlasTransposeFirst, &kTransposed, sizeof(kTransposed)),
             "to describe a product");
  if (s.attributes) s.attributes(product_);
  const auto layout = [&](void** to, int type, int rows, int columns, int64_t stride) {
    check_blas(lt.make_layout(to, type, static_cast<uint64_t>(rows), static_cast<uint64_t>(columns),
                              stride),
               "to describe a matrix");
  };
  layout(&a_, s.in, s.k, s.n, s.a_stride);
  layout(&b_, s.in, s.k, s.m, s.b_stride);
  layout(&y_, s.out, s.n, s.m, s.y_stride);
  void* preference = nullptr;
  check_blas(lt.make_preference(&preference), "to choose an algorithm");
  constexpr int kWorkspace = 1, kAlignments = 5;  // of a, b, y, y
  lt.set_preference(preference, kWorkspace, &s.workspace, sizeof(s.workspace));
  const void* pointers[] = {s.a, s.b, s.y, s.y};
  for (int i = 0; i < 4; ++i) {
    const auto bytes = static_cast<uint32_t>(alignment(pointers[i]));
    lt.set_preference(preference, kAlignments + i, &bytes, sizeof(bytes));
  }
  int count = 0;
  const int status =
      lt.choose(handle, product_, a_, b_, y_, y_, preference, 1, &algorithm_, &count);
  lt.free_preference(preference);
  if (status != 0 || count == 0)
    fail("cuBLAS has no algorithm for a product of [{}, {}] and [{}, {}] (types {} and {})", s.m,
         s.k, s.n, s.k, s.in, s.out);
}

BlasLtPlan::~BlasLtPlan() {
  const BlasLt& lt = blas_lt();
  for (void* layout : {a_, b_, y_})
    if (layout != nullptr) lt.free_layout(layout);
  if (product_ != nullptr) lt.free_product(product_);
}

void BlasLtPlan::run(void* handle, const void* a, const void* b, void* y, bool add, void* workspace,
                     size_t workspace_bytes, void* stream) const {
  const float one = 1.0f, beta = add ? 1.0f : 0.0f;
  check_blas(blas_lt().multiply(handle, product_, &one, a, a_, b, b_, &beta, y, y_, y, y_,
                                algorithm_.algorithm, workspace, workspace_bytes, stream),
             "in a product");
}

}  // namespace gavel::cuda
