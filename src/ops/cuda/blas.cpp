#include "ops/cuda/blas.h"

#include <algorithm>

#include "base/error.h"

namespace gavel::cuda {

Blas::Blas(const Queue& queue, void* workspace) : queue_(queue), workspace_(workspace) {
  check_blas(blas_lt().create(&handle_), "to start");
}

Blas::~Blas() {
  plans_.clear();
  if (handle_ != nullptr) blas_lt().destroy(handle_);
}

// y^T [n, rows] = w [k, n]^T x^T [k, rows].
const BlasLtPlan& Blas::plan_of(const DenseProduct& p) {
  const int aligned = std::min({alignment(p.x), alignment(p.w), alignment(p.y)});
  const Key key{p.rows, p.n, p.k, p.x_stride, p.w_stride, p.y_stride, aligned, p.float_out};
  if (const auto it = plans_.find(key); it != plans_.end()) return *it->second;
  constexpr size_t kKept = 4096;  // the numbers of rows vary
  if (plans_.size() >= kKept) plans_.clear();
  const BlasLtPlan::Shape shape{.n = p.n,
                                .m = p.rows,
                                .k = p.k,
                                .a_stride = p.w_stride,
                                .b_stride = p.x_stride,
                                .y_stride = p.y_stride,
                                .out = p.float_out ? kBlasFloat32 : kBlasBfloat16,
                                .a = p.w,
                                .b = p.x,
                                .y = p.y,
                                .workspace = kWorkspaceBytes,
                                .attributes = {}};
  return *plans_.emplace(key, std::make_unique<BlasLtPlan>(handle_, shape)).first->second;
}

void Blas::multiply(const DenseProduct& p) {
  plan_of(p).run(handle_, p.w, p.x, p.y, p.add, workspace_, kWorkspaceBytes, queue_.stream());
}

}  // namespace gavel::cuda
