// silu(gate) * up (Shazeer 2020).
#include "ops/fused.h"
#include "ops/implementations.h"
#include "ops/ops.h"

namespace gavel {

mx::array cpu::swiglu(const Backend&, const mx::array& gate, const mx::array& up) {
  auto spec = FusedSpec{
      .name = "SwiGLU",
      .cpu =
          [](const Arrays& in, Arrays& out) {
            kernels::swiglu(in[0].data<float>(), in[1].data<float>(),
                            static_cast<int64_t>(in[0].size()), out[0].data<float>());
          },
      .vjp =
          [](const Arrays& in, const Arrays& cotangents, const std::vector<int>& argnums,
             const Arrays&) {
            auto grads = fused({.name = "SwiGLUBackward",
                                .cpu =
                                    [](const Arrays& i, Arrays& o) {
                                      kernels::swiglu_backward(
                                          i[0].data<float>(), i[1].data<float>(),
                                          i[2].data<float>(), static_cast<int64_t>(i[0].size()),
                                          o[0].data<float>(), o[1].data<float>());
                                    },
                                .vjp = nullptr},
                               {in[0], in[1], cotangents[0]}, {in[0].shape(), in[1].shape()},
                               {mx::float32, mx::float32});
            Arrays result;
            for (int n : argnums) result.push_back(grads[static_cast<size_t>(n)]);
            return result;
          }};
  return fused(std::move(spec), {gate, up}, gate.shape());
}

mx::array composed::swiglu(const Backend&, const mx::array& gate, const mx::array& up) {
  return mx::multiply(mx::multiply(gate, mx::sigmoid(gate)), up);
}

mx::array swiglu(const Backend& backend, const mx::array& gate, const mx::array& up) {
  return backend.operations->swiglu(backend, gate, up);
}

}  // namespace gavel
