#include "ops/cuda/blas.h"

#include <dlfcn.h>

#include <algorithm>
#include <bit>

#include "base/error.h"

namespace gavel::cuda {
namespace {

struct Algorithm {  // cublasLtMatmulHeuristicResult_t
  uint64_t algorithm[8];
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
};

// Of cublasLt.h, in the library that MLX's CUDA library brings.
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
  int (*choose)(void*, void*, void*, void*, void*, void*, void*, int, Algorithm*, int*);
  int (*multiply)(void*, void*, const void*, const void*, void*, const void*, void*, const void*,
                  const void*, void*, void*, void*, const uint64_t*, void*, size_t, void*);
};

const BlasLt& blas_lt() {
  static const BlasLt found = [] {
    void* library = nullptr;
    for (const char* name : {"libcublasLt.so.13", "libcublasLt.so.12"})
      if (library == nullptr) library = dlopen(name, RTLD_NOW);
    if (library == nullptr) fail("cuBLAS (libcublasLt) was not found");
    const auto get = [&](auto& function, const char* name) {
      void* symbol = dlsym(library, name);
      if (symbol == nullptr) fail("cuBLAS (libcublasLt) has no {}", name);
      function = reinterpret_cast<std::decay_t<decltype(function)>>(symbol);
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

void check(int status, const char* what) {
  if (status != 0) fail("cuBLAS failed {} (status {})", what, status);
}

constexpr int kFloat32 = 0, kBfloat16 = 14, kComputeFloat32 = 68;

// The largest power of two up to 256 that divides the address.
int alignment(const void* p) {
  return 1 << std::min(8, std::countr_zero(reinterpret_cast<uint64_t>(p) | 256));
}

}  // namespace

// cuBLAS sees matrices by columns: y^T [n, rows] = w [k, n]^T x^T [k, rows].
struct Blas::Plan {
  void *product = nullptr, *w = nullptr, *x = nullptr, *y = nullptr;
  Algorithm algorithm{};

  Plan(void* handle, const DenseProduct& p) {
    const BlasLt& b = blas_lt();
    check(b.make_product(&product, kComputeFloat32, kFloat32), "to describe a product");
    constexpr int kTransposeFirst = 3, kTransposed = 1;
    const int transposed = kTransposed;
    check(b.set_product(product, kTransposeFirst, &transposed, sizeof(transposed)),
          "to describe a product");
    const auto size = [](int v) { return static_cast<uint64_t>(v); };
    check(b.make_layout(&w, kBfloat16, size(p.k), size(p.n), p.w_stride), "to describe a matrix");
    check(b.make_layout(&x, kBfloat16, size(p.k), size(p.rows), p.x_stride),
          "to describe a matrix");
    check(
        b.make_layout(&y, p.float_out ? kFloat32 : kBfloat16, size(p.n), size(p.rows), p.y_stride),
        "to describe a matrix");
    void* preference = nullptr;
    check(b.make_preference(&preference), "to choose an algorithm");
    constexpr int kWorkspace = 1, kAlignments = 5;  // of w, x, y, y
    const size_t workspace = kWorkspaceBytes;
    b.set_preference(preference, kWorkspace, &workspace, sizeof(workspace));
    const void* pointers[] = {p.w, p.x, p.y, p.y};
    for (int i = 0; i < 4; ++i) {
      const auto bytes = static_cast<uint32_t>(alignment(pointers[i]));
      b.set_preference(preference, kAlignments + i, &bytes, sizeof(bytes));
    }
    int count = 0;
    const int status = b.choose(handle, product, w, x, y, y, preference, 1, &algorithm, &count);
    b.free_preference(preference);
    if (status != 0 || count == 0)
      fail("cuBLAS has no algorithm for a product of [{}, {}] and [{}, {}]", p.rows, p.k, p.n, p.k);
  }
  ~Plan() {
    const BlasLt& b = blas_lt();
    for (void* layout : {w, x, y})
      if (layout != nullptr) b.free_layout(layout);
    if (product != nullptr) b.free_product(product);
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
};

Blas::Blas(const Queue& queue, void* workspace) : queue_(queue), workspace_(workspace) {
  check(blas_lt().create(&handle_), "to start");
}

Blas::~Blas() {
  plans_.clear();
  if (handle_ != nullptr) blas_lt().destroy(handle_);
}

Blas::Plan& Blas::plan_of(const DenseProduct& p) {
  const int aligned = std::min({alignment(p.x), alignment(p.w), alignment(p.y)});
  const Key key{p.rows, p.n, p.k, p.x_stride, p.w_stride, p.y_stride, aligned, p.float_out};
  if (const auto it = plans_.find(key); it != plans_.end()) return *it->second;
  constexpr size_t kKept = 4096;  // the numbers of rows vary
  if (plans_.size() >= kKept) plans_.clear();
  return *plans_.emplace(key, std::make_unique<Plan>(handle_, p)).first->second;
}

void Blas::multiply(const DenseProduct& p) {
  Plan& plan = plan_of(p);
  const float one = 1.0f, beta = p.add ? 1.0f : 0.0f;
  check(blas_lt().multiply(handle_, plan.product, &one, p.w, plan.w, p.x, plan.x, &beta, p.y,
                           plan.y, p.y, plan.y, plan.algorithm.algorithm, workspace_,
                           kWorkspaceBytes, queue_.stream()),
        "in a product");
}

}  // namespace gavel::cuda
