#include "ops/backend.h"

#include "ops/implementations.h"

namespace gavel {
namespace {

constexpr Operations kCpu = {.name = "cpu",
                             .embedding = cpu::embedding,
                             .linears = cpu::linears,
                             .rms_norm = cpu::rms_norm,
                             .rope = cpu::rope,
                             .swiglu = cpu::swiglu,
                             .attention = cpu::attention,
                             .select_rows = cpu::select_rows,
                             .cross_entropy = cpu::cross_entropy};

constexpr Operations kComposed = {.name = "composed",
                                  .embedding = composed::embedding,
                                  .linears = composed::linears,
                                  .rms_norm = composed::rms_norm,
                                  .rope = composed::rope,
                                  .swiglu = composed::swiglu,
                                  .attention = composed::attention,
                                  .select_rows = composed::select_rows,
                                  .cross_entropy = composed::cross_entropy};

}  // namespace

Backend cpu_backend(kernels::Precision precision) { return {&kCpu, mx::float32, precision}; }

Backend composed_backend(mx::Dtype dtype) { return {&kComposed, dtype}; }

bool on_cpu_memory(const Backend& backend) { return backend.operations == &kCpu; }

}  // namespace gavel
