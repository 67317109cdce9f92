#include "ops/backend.h"

#include "ops/implementations.h"
#include "ops/ops.h"

namespace gavel {
namespace {

constexpr Operations kCpu = {.name = "cpu",
                             .embedding = cpu::embedding,
                             .linears = cpu::linears,
                             .normed_linears = nullptr,
                             .swiglu_linear = nullptr,
                             .rms_norm = cpu::rms_norm,
                             .rope = cpu::rope,
                             .swiglu = cpu::swiglu,
                             .attention = cpu::attention,
                             .select_rows = cpu::select_rows,
                             .cross_entropy = cpu::cross_entropy,
                             .adamw = cpu::adamw,
                             .l2_norm = cpu::l2_norm,
                             .prepare = nullptr,
                             .place = nullptr};

constexpr Operations kComposed = {.name = "composed",
                                  .embedding = composed::embedding,
                                  .linears = composed::linears,
                                  .normed_linears = nullptr,
                                  .swiglu_linear = nullptr,
                                  .rms_norm = composed::rms_norm,
                                  .rope = composed::rope,
                                  .swiglu = composed::swiglu,
                                  .attention = composed::attention,
                                  .select_rows = composed::select_rows,
                                  .cross_entropy = composed::cross_entropy,
                                  .adamw = composed::adamw,
                                  .l2_norm = composed::l2_norm,
                                  .prepare = nullptr,
                                  .place = nullptr};

constexpr Operations kCuda = {.name = "cuda",
                              .embedding = cuda::embedding,
                              .linears = cuda::linears,
                              .normed_linears = cuda::normed_linears,
                              .swiglu_linear = cuda::swiglu_linear,
                              .rms_norm = cuda::rms_norm,
                              .rope = cuda::rope,
                              .swiglu = cuda::swiglu,
                              .attention = cuda::attention,
                              .select_rows = cuda::select_rows,
                              .cross_entropy = cuda::cross_entropy,
                              .adamw = cuda::adamw,
                              .l2_norm = cuda::l2_norm,
                              .prepare = cuda::prepare,
                              .place = cuda::place};

}  // namespace

Backend cpu_backend(kernels::Precision precision) { return {&kCpu, mx::float32, precision}; }

Backend composed_backend(mx::Dtype dtype) { return {&kComposed, dtype}; }

Backend cuda_backend() { return {&kCuda, mx::bfloat16}; }

SegmentsPtr prepare(const Backend& backend, const SegmentsPtr& segments) {
  return backend.operations->prepare != nullptr ? backend.operations->prepare(segments) : segments;
}

mx::array place(const Backend& backend, const mx::array& loaded) {
  return backend.operations->place != nullptr ? backend.operations->place(loaded) : loaded;
}

bool on_cpu_memory(const Backend& backend) { return backend.operations == &kCpu; }

bool on_card(const Backend& backend) { return backend.operations == &kCuda; }

}  // namespace gavel
