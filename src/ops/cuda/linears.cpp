// Linear layers on an NVIDIA card: frozen weights are dequantized for each product and given to
// cuBLAS; float32 LoRA masters meet the activations in bfloat16. What stands before the products
// (RMSNorm, SwiGLU) is in the same node of MLX's graph, which computes it again for the gradient
// instead of keeping it. The residual path is float32, since rounding it at every layer costs more
// digits than all else together; its gradient is bfloat16.
#include "ops/cuda/linears.h"

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "mlx/transforms.h"
#include "ops/cuda/fp8.h"
#include "ops/cuda/program.h"
#include "ops/implementations.h"

namespace gavel {
namespace {

using cuda::Launch;
using cuda::Source;

// x y, or x y + add, rounded once.
mx::array product(const mx::array& x, const mx::array& y,
                  const std::optional<mx::array>& add = {}) {
  return add ? mx::addmm(*add, x, y) : mx::matmul(x, y);
}

mx::array scaled(const mx::array& x, float factor) {
  return factor == 1.0f ? x : mx::multiply(x, mx::array(factor, x.dtype()));
}

// residual, float32, + x, bfloat16.
mx::array added(const mx::array& residual, const mx::array& x) {
  const auto values = static_cast<int64_t>(x.size());
  if (values % 8 != 0) return mx::add(residual, mx::astype(x, residual.dtype()));
  return cuda::launch(cuda::kernel(Source::elementwise, "add_residual"),
                      {.blocks_x = cuda::blocks_for(values, 8 * 256)}, {residual, x}, {x.shape()},
                      {residual.dtype()}, {static_cast<int>(values / 8)})[0];
}

// Gradients as the activations are (a result that is not used has one of zeros in its own type).
Arrays low(const Arrays& gradients) {
  Arrays result;
  for (const auto& g : gradients) result.push_back(mx::astype(g, mx::bfloat16));
  return result;
}

// Where a branch's LoRA matrices stand among the inputs of a node, and its inner activations among
// the outputs; or where what is added to it stands.
struct Slot {
  size_t a = 0, xa = 0;  // b is at a + 1
  float scale = 0.0f;
  bool adapted = false;
  std::optional<size_t> addend = {};
};

// The linear layers of one input: what a node does with them.
class Branches {
 public:
  // Appends the LoRA matrices to the node's inputs; its outputs are y of each branch, then those
  // inner activations. A dropped input is no longer x: such a branch's LoRA is an input as it is.
  Branches(std::vector<LinearBranch> branches, const mx::array& x, Arrays& inputs,
           const Backend& backend)
      : branches_(std::move(branches)), dtype_(backend.dtype) {
    size_t outputs = branches_.size();
    for (auto& branch : branches_) {
      Slot slot;
      if (branch.lora && branch.lora->dropout > 0.0f) {
        slot.addend = inputs.size();
        inputs.push_back(lora_branch(x, *branch.lora));
      } else if (branch.lora) {
        slot = {inputs.size(), outputs++, branch.lora->scale, true};
        inputs.insert(inputs.end(), {branch.lora->a, branch.lora->b});
      }
      slots_.push_back(slot);
      branch.lora.reset();
    }
  }

  bool adapted() const {
    return std::any_of(slots_.begin(), slots_.end(), [](const Slot& s) { return s.adapted; });
  }

  // LoRA's part comes first and the frozen product is added to it: the other way round, what it
  // changes would be lost where it is less than the last digit of a product that is rounded
  // already. `low_x`: x in 8-bit floating point where that is there already.
  Arrays forward(const mx::array& x, const Arrays& in, const std::optional<mx::array>& residual,
                 std::optional<cuda::Fp8Rows> low_x = {}) const {
    Arrays y, inner;
    for (size_t i = 0; i < branches_.size(); ++i) {
      const auto& branch = branches_[i];
      std::optional<mx::array> start;
      if (branch.bias) start = mx::astype(*branch.bias, dtype_);
      if (const Slot& s = slots_[i]; s.adapted) {
        inner.push_back(mx::matmul(x, low(in[s.a])));
        start = product(scaled(inner.back(), s.scale), low(in[s.a + 1]), start);
      } else if (s.addend) {
        start = start ? mx::add(in[*s.addend], *start) : in[*s.addend];
      }
      const auto frozen = [&] {
        if (!cuda::in_fp8(branch.weight, x.shape(0)))
          return product(x, mx::transpose(cuda::dequantized(branch.weight)), start);
        if (!low_x) low_x = cuda::fp8_rows(x);
        // What is added was made for this alone with LoRA; a row for all or another's is not.
        if (start && start->ndim() == 1)
          start =
              mx::contiguous(mx::broadcast_to(*start, {x.shape(0), branch.weight.out_features()}));
        else if (start && !slots_[i].adapted)
          start = mx::add(*start, mx::array(0.0f, dtype_));
        return cuda::fp8_product(*low_x, cuda::fp8_weight(branch.weight), start);
      };
      const auto sum = frozen();
      y.push_back(residual ? added(*residual, sum) : sum);
    }
    y.insert(y.end(), inner.begin(), inner.end());
    return y;
  }

  struct InputGradient {
    Arrays parts;  // whose sum is dx; the LoRA branches' is the last where there are any
    std::optional<mx::array> inner;  // dy B^T of the adapted branches, beside one another
  };
  InputGradient input_gradient(const Arrays& in, const Arrays& dy) const {
    InputGradient g;
    Arrays inner;
    for (size_t i = 0; i < branches_.size(); ++i) {
      const Weight& w = branches_[i].weight;
      g.parts.push_back(
          cuda::in_fp8(w, dy[i].shape(0))
              ? cuda::fp8_product(cuda::fp8_rows(dy[i]), cuda::fp8_weight_transposed(w), {})
              : mx::matmul(dy[i], cuda::dequantized(w)));
      if (slots_[i].adapted)
        inner.push_back(mx::matmul(dy[i], mx::transpose(low(in[slots_[i].a + 1]))));
    }
    if (inner.empty()) return g;
    Arrays a = down_matrices(in);
    size_t next = 0;
    for (const Slot& s : slots_) {
      if (!s.adapted) continue;
      a[next] = scaled(a[next], s.scale);
      ++next;
    }
    g.inner = mx::concatenate(inner, 1);
    g.parts.push_back(mx::matmul(*g.inner, mx::concatenate(a, 0)));
    return g;
  }

  // The gradients of the LoRA matrices, put in their places in `grads`. What a node passes on waits
  // for them: left to the end, all that they are made of would be kept until then. One product
  // makes those of all A, so that x is read once.
  Arrays lora_gradients(const mx::array& x, const std::optional<mx::array>& inner, const Arrays& in,
                        const Arrays& dy, const Arrays& outputs, Arrays& grads) const {
    Arrays made;
    std::optional<mx::array> all;
    if (inner) all = mx::matmul(mx::transpose(x), *inner);
    int column = 0;
    for (size_t i = 0; i < branches_.size(); ++i) {
      const Slot& s = slots_[i];
      if (s.addend) grads[*s.addend] = dy[i];
      if (!s.adapted) continue;
      const auto as_master = [&](const mx::array& g) {
        return scaled(mx::astype(g, in[s.a].dtype()), s.scale);
      };
      const int end = column + in[s.a].shape(1);
      grads[s.a] = as_master(mx::slice(*all, {0, column}, {all->shape(0), end}));
      column = end;
      grads[s.a + 1] = as_master(mx::matmul(mx::transpose(outputs[s.xa]), dy[i]));
      made.insert(made.end(), {grads[s.a], grads[s.a + 1]});
    }
    return made;
  }

 private:
  // a^T of the adapted branches, in the activations' type.
  Arrays down_matrices(const Arrays& in) const {
    Arrays all;
    for (const Slot& s : slots_)
      if (s.adapted) all.push_back(mx::transpose(low(in[s.a])));
    return all;
  }

  mx::array low(const mx::array& master) const { return mx::astype(master, dtype_); }

  std::vector<LinearBranch> branches_;  // without LoRA: those matrices are inputs
  std::vector<Slot> slots_;
  mx::Dtype dtype_;
};

// x, which only exists once these do.
mx::array after(const mx::array& x, const Arrays& these) {
  return these.empty() ? x : mx::depends({x}, these)[0];
}

bool any_dropout(const std::vector<LinearBranch>& branches) {
  return std::any_of(branches.begin(), branches.end(),
                     [](const LinearBranch& b) { return b.lora && b.lora->dropout > 0.0f; });
}

// {RMSNorm of the residual path's x, x rounded}, bfloat16.
Arrays normed_and_rounded(const mx::array& x, const mx::array& weight, float eps) {
  return cuda::launch(cuda::kernel(Source::elementwise, "rms_norm"), {.blocks_x = x.shape(0)},
                      {x, mx::astype(weight, mx::bfloat16)}, {x.shape(), x.shape()},
                      {mx::bfloat16, mx::bfloat16}, {x.shape(1), eps});
}

// The first once more, of the second.
mx::array normed_again(const mx::array& rounded, const mx::array& weight, float eps) {
  return cuda::launch(cuda::kernel(Source::elementwise, "rms_norm_again"),
                      {.blocks_x = rounded.shape(0)}, {rounded, mx::astype(weight, mx::bfloat16)},
                      {rounded.shape()}, {mx::bfloat16}, {rounded.shape(1), eps})[0];
}

mx::array sum(const Arrays& parts) {
  auto total = parts.front();
  for (size_t i = 1; i < parts.size(); ++i) total = mx::add(total, parts[i]);
  return total;
}

// The gradient of x where the sum of dh is that of its RMSNorm and dx that of its other use.
mx::array norm_backward(const mx::array& x, const mx::array& weight, float eps, const Arrays& dh,
                        const mx::array& dx) {
  constexpr size_t kMost = 4;  // that the kernel takes
  Arrays parts = dh;
  for (; parts.size() > kMost; parts.pop_back())
    parts[kMost - 1] = mx::add(parts[kMost - 1], parts.back());
  const int count = static_cast<int>(parts.size());
  parts.resize(kMost, parts.front());
  return cuda::launch(
      cuda::kernel(Source::elementwise, "rms_norm_backward"), {.blocks_x = x.shape(0)},
      {x, mx::astype(weight, x.dtype()), parts[0], parts[1], parts[2], parts[3], dx}, {x.shape()},
      {x.dtype()}, {x.shape(1), eps, count})[0];
}

Launch swiglu_launch(const mx::array& gate) {
  return {.blocks_x = cuda::blocks_for(static_cast<int64_t>(gate.size()), 8 * 256)};
}

mx::array swiglu_forward(const mx::array& gate, const mx::array& up) {
  return cuda::launch(cuda::kernel(Source::elementwise, "swiglu"), swiglu_launch(gate), {gate, up},
                      {gate.shape()}, {gate.dtype()}, {static_cast<int>(gate.size() / 8)})[0];
}

// {dgate, dup} of the result's gradient, or of the sum of two and then the result once more.
Arrays swiglu_backward(const mx::array& gate, const mx::array& up, const Arrays& dy) {
  Arrays inputs{gate, up};
  inputs.insert(inputs.end(), dy.begin(), dy.end());
  const size_t count = dy.size() + 1;
  return cuda::launch(cuda::kernel(Source::elementwise,
                                   count == 3 ? "swiglu_backward_and_result" : "swiglu_backward"),
                      swiglu_launch(gate), inputs, std::vector(count, gate.shape()),
                      std::vector(count, gate.dtype()), {static_cast<int>(gate.size() / 8)});
}

}  // namespace

mx::array cuda::dequantized(const Weight& w) {
  if (!w.quantized()) return mx::astype(w.data, mx::bfloat16);
  if (w.group_size % 8 != 0) return mx::astype(dequantize(w), mx::bfloat16);
  const int64_t eights = int64_t{w.out_features()} * w.in_features() / 8;
  const auto& kernel =
      cuda::kernel(Source::dequantize,
                   fmt::format("dequantize<{}, {}, bf16>", w.bits, type_name(w.scales->dtype())));
  return cuda::launch(kernel, {.blocks_x = blocks_for(eights, 4 * 256)},
                      {w.data, *w.scales, *w.biases}, {{w.out_features(), w.in_features()}},
                      {mx::bfloat16}, {static_cast<int>(eights), w.group_size / 8})[0];
}

Arrays cuda::linears(const Backend& backend, const mx::array& x,
                     const std::vector<LinearBranch>& all,
                     const std::optional<mx::array>& residual) {
  Arrays inputs{x};
  if (residual) inputs.push_back(*residual);
  const auto branches = std::make_shared<const Branches>(all, x, inputs, backend);
  const bool has_residual = residual.has_value();
  auto y = mx::custom_vjp(
      [=](const Arrays& in) {
        return branches->forward(in[0], in, has_residual ? std::optional(in[1]) : std::nullopt);
      },
      [=](const Arrays& in, const Arrays& gradients, const Arrays& out) {
        const Arrays dy = low(gradients);
        Arrays grads = in;
        const auto [parts, inner] = branches->input_gradient(in, dy);
        grads[0] = after(sum(parts), branches->lora_gradients(in[0], inner, in, dy, out, grads));
        if (has_residual) grads[1] = dy[0];
        return grads;
      })(inputs);
  y.resize(all.size(), x);
  return y;
}

// Of the residual path where x is float32, else of heads' queries and keys.
mx::array cuda::rms_norm(const Backend& backend, const mx::array& x, const mx::array& weight,
                         float eps) {
  if (x.dtype() != mx::float32 || x.shape(1) % 8 != 0)
    return mx::astype(composed::rms_norm(backend, x, weight, eps), backend.dtype);
  return mx::custom_vjp(
      [=](const Arrays& in) { return normed_and_rounded(in[0], weight, eps); },
      [=](const Arrays&, const Arrays& dy, const Arrays& out) {
        return Arrays{norm_backward(out[1], weight, eps, low({dy[0]}), mx::zeros_like(out[1]))};
      })({x})[0];
}

mx::array cuda::swiglu(const Backend& backend, const mx::array& gate, const mx::array& up) {
  if (gate.size() % 8 != 0) return composed::swiglu(backend, gate, up);
  return mx::custom_vjp([](const Arrays& in) { return Arrays{swiglu_forward(in[0], in[1])}; },
                        [](const Arrays& in, const Arrays& dy, const Arrays&) {
                          return swiglu_backward(in[0], in[1], {dy[0]});
                        })({gate, up})[0];
}

Arrays cuda::normed_linears(const Backend& backend, const mx::array& x, const mx::array& norm,
                            float eps, const std::vector<LinearBranch>& all) {
  if (x.shape(1) % 8 != 0 || any_dropout(all)) {
    auto y = linears(backend, rms_norm(backend, x, norm, eps), all, {});
    y.push_back(x);
    return y;
  }
  Arrays inputs{x};
  const auto branches = std::make_shared<const Branches>(all, x, inputs, backend);
  auto y = mx::custom_vjp(
      [=](const Arrays& in) {
        const auto h = normed_and_rounded(in[0], norm, eps);
        auto out = branches->forward(h[0], in, {});
        out.insert(out.end(), {h[1], in[0]});
        return out;
      },
      [=](const Arrays& in, const Arrays& gradients, const Arrays& out) {
        const Arrays dy = low(gradients);
        const auto& rounded = out[out.size() - 2];
        Arrays grads = in;
        auto [dh, inner] = branches->input_gradient(in, dy);
        // The normed rows once more, when there is a gradient and not along with the forward pass.
        const auto h = normed_again(after(rounded, {dh[0]}), norm, eps);
        const auto made = branches->lora_gradients(h, inner, in, dy, out, grads);
        dh[0] = after(dh[0], made);
        grads[0] = norm_backward(rounded, norm, eps, dh, dy.back());
        return grads;
      })(inputs);
  y.erase(y.begin() + static_cast<int64_t>(all.size()), y.end() - 1);
  return y;
}

mx::array cuda::swiglu_linear(const Backend& backend, const mx::array& gate, const mx::array& up,
                              const LinearBranch& branch, const mx::array& residual) {
  if (gate.size() % 8 != 0 || any_dropout({branch}))
    return linears(backend, swiglu(backend, gate, up), {branch}, residual)[0];
  Arrays inputs{gate, up, residual};
  const auto branches =
      std::make_shared<const Branches>(std::vector{branch}, gate, inputs, backend);
  return mx::custom_vjp(
      [=](const Arrays& in) {
        std::optional<cuda::Fp8Rows> low;
        if (!branches->adapted() && cuda::in_fp8(branch.weight, in[0].shape(0)))
          low = cuda::fp8_swiglu(in[0], in[1]);
        return branches->forward(swiglu_forward(in[0], in[1]), in, in[2], low);
      },
      [=](const Arrays& in, const Arrays& gradients, const Arrays& out) {
        const Arrays dy = low(gradients);
        Arrays grads = in;
        const auto [ds, inner] = branches->input_gradient(in, dy);
        const auto all = swiglu_backward(in[0], in[1], ds);
        const auto made = branches->adapted()
                              ? branches->lora_gradients(all[2], inner, in, dy, out, grads)
                              : Arrays{};
        grads[0] = after(all[0], made);
        grads[1] = after(all[1], made);
        grads[2] = dy[0];
        return grads;
      })(inputs)[0];
}

}  // namespace gavel
