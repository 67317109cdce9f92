// Linear layers over frozen weights with LoRA branches, as one primitive with its gradient.
#include <utility>

#include "base/error.h"
#include "ops/fused.h"
#include "ops/implementations.h"
#include "ops/ops.h"

namespace gavel {
namespace {

// Where the matrices of a branch stand among the primitive's inputs and outputs.
struct Slots {
  int a = -1, b = -1;  // inputs
  int xa = -1;         // output
  float scale = 0.0f;
};

struct Plan {
  std::vector<LinearBranch> branches;
  std::vector<Slots> slots;
  kernels::Precision precision = kernels::Precision::float32;
  bool residual = false;  // input 1, added to the only branch
};

kernels::LoraView lora_view(const mx::array& a, const mx::array& b, float scale) {
  return {a.data<float>(), b.data<float>(), a.shape(1), scale};
}

void forward(const Plan& plan, const Arrays& in, Arrays& out) {
  std::vector<kernels::LoraView> loras(plan.branches.size());
  std::vector<kernels::LinearTask> tasks;
  for (size_t i = 0; i < plan.branches.size(); ++i) {
    const auto& branch = plan.branches[i];
    const Slots& s = plan.slots[i];
    kernels::LinearTask task{.weight = view(branch.weight), .y = out[i].data<float>()};
    if (branch.bias) task.bias = branch.bias->data<float>();
    if (plan.residual) task.residual = in[1].data<float>();
    if (s.a >= 0) {
      loras[i] = lora_view(in[static_cast<size_t>(s.a)], in[static_cast<size_t>(s.b)], s.scale);
      task.lora = &loras[i];
      task.xa = out[static_cast<size_t>(s.xa)].data<float>();
    }
    tasks.push_back(task);
  }
  kernels::linear_forward(in[0].data<float>(), in[0].shape(0), tasks, plan.precision);
}

// in: x (where a LoRA branch needs it), then dy of each branch, then xa, a, b of each adapted one.
// out: dx (where wanted), then da, db of each adapted branch.
struct BackwardPlan {
  std::shared_ptr<const Plan> plan;
  bool has_x = false;
  bool want_dx = false;
};

void backward(const BackwardPlan& bp, const Arrays& in, Arrays& out) {
  const auto& branches = bp.plan->branches;
  size_t next_in = bp.has_x ? 1 : 0;
  const size_t first_dy = next_in;
  next_in += branches.size();
  size_t next_out = bp.want_dx ? 1 : 0;
  const int64_t rows = in[first_dy].shape(0);
  thread_local std::vector<float> dyb;
  for (size_t i = 0; i < branches.size(); ++i) {
    const auto w = view(branches[i].weight);
    const kernels::Precision precision = bp.plan->precision;
    const float* dy = in[first_dy + i].data<float>();
    float* dx = bp.want_dx ? out[0].data<float>() : nullptr;
    if (bp.plan->slots[i].a < 0) {
      if (dx != nullptr)
        kernels::linear_backward_input(dy, rows, w, nullptr, nullptr, dx, i > 0, precision);
      continue;
    }
    const mx::array& xa = in[next_in];
    const mx::array& a = in[next_in + 1];
    const mx::array& b = in[next_in + 2];
    next_in += 3;
    const auto lora = lora_view(a, b, bp.plan->slots[i].scale);
    dyb.resize(static_cast<size_t>(rows * lora.r));
    if (dx != nullptr) {
      kernels::linear_backward_input(dy, rows, w, &lora, dyb.data(), dx, i > 0, precision);
    } else {
      const kernels::LinearTask task{.weight = {.n = lora.r, .k = w.n, .data = lora.b},
                                     .y = dyb.data()};
      kernels::linear_forward(dy, rows, {&task, 1}, kernels::Precision::float32);
      kernels::scale_in_place(dyb.data(), rows * lora.r, lora.scale);
    }
    kernels::lora_backward(in[0].data<float>(), dy, xa.data<float>(), dyb.data(), rows, w.k, w.n,
                           lora, out[next_out].data<float>(), out[next_out + 1].data<float>());
    next_out += 2;
  }
}

Arrays vjp(const std::shared_ptr<const Plan>& plan, const Arrays& in, const Arrays& cotangents,
           const std::vector<int>& argnums, const Arrays& outputs) {
  BackwardPlan bp{plan};
  for (int n : argnums) bp.want_dx |= n == 0;
  for (const auto& s : plan->slots) bp.has_x |= s.a >= 0;

  Arrays inputs;
  std::vector<mx::Shape> shapes;
  if (bp.has_x) inputs.push_back(in[0]);
  for (size_t i = 0; i < plan->branches.size(); ++i) inputs.push_back(cotangents[i]);
  if (bp.want_dx) shapes.push_back(in[0].shape());
  std::vector<int> grad_of(in.size(), -1);  // output of the backward primitive for each input
  if (bp.want_dx) grad_of[0] = 0;
  for (const auto& s : plan->slots) {
    if (s.a < 0) continue;
    for (const auto& array : {outputs[static_cast<size_t>(s.xa)], in[static_cast<size_t>(s.a)],
                              in[static_cast<size_t>(s.b)]})
      inputs.push_back(array);
    for (int n : {s.a, s.b}) {
      grad_of[static_cast<size_t>(n)] = static_cast<int>(shapes.size());
      shapes.push_back(in[static_cast<size_t>(n)].shape());
    }
  }
  Arrays grads;
  if (!shapes.empty()) {
    const std::vector<mx::Dtype> dtypes(shapes.size(), mx::float32);
    grads = fused({.name = "LinearBackward",
                   .cpu = [bp](const Arrays& i, Arrays& o) { backward(bp, i, o); },
                   .vjp = nullptr},
                  std::move(inputs), std::move(shapes), dtypes);
  }
  Arrays result;
  for (int n : argnums) {
    const bool is_residual = plan->residual && n == 1;
    result.push_back(is_residual ? cotangents[0]
                                 : grads[static_cast<size_t>(grad_of[static_cast<size_t>(n)])]);
  }
  return result;
}

Arrays run(const mx::array& x, std::vector<LinearBranch> branches,
           const std::optional<mx::array>& residual, kernels::Precision precision) {
  auto plan = std::make_shared<Plan>();
  Arrays inputs{x};
  plan->precision = precision;
  plan->residual = residual.has_value();
  if (residual) inputs.push_back(*residual);
  std::vector<mx::Shape> shapes;
  for (const auto& b : branches) shapes.push_back({x.shape(0), b.weight.out_features()});
  for (const auto& b : branches) {
    Slots s;
    if (b.lora) {
      s = {static_cast<int>(inputs.size()), static_cast<int>(inputs.size()) + 1,
           static_cast<int>(shapes.size()), b.lora->scale};
      inputs.push_back(b.lora->a);
      inputs.push_back(b.lora->b);
      shapes.push_back({x.shape(0), b.lora->a.shape(1)});
    }
    plan->slots.push_back(s);
  }
  // The plan keeps only what is frozen: the LoRA matrices come in as inputs.
  for (auto& b : branches) b.lora.reset();
  plan->branches = std::move(branches);
  const size_t count = plan->branches.size();
  const std::vector<mx::Dtype> dtypes(shapes.size(), mx::float32);
  auto outputs = fused({.name = "Linear",
                        .cpu = [plan](const Arrays& i, Arrays& o) { forward(*plan, i, o); },
                        .vjp = [plan](const Arrays& i, const Arrays& c, const std::vector<int>& n,
                                      const Arrays& o) { return vjp(plan, i, c, n, o); },
                        .donate = residual ? 1 : -1},
                       std::move(inputs), std::move(shapes), dtypes);
  outputs.resize(count, x);
  return outputs;
}

mx::array dropped(const mx::array& x, const LoraBranch& lora) {
  const float keep = 1.0f - lora.dropout;
  const auto mask = mx::random::bernoulli(mx::array(keep), x.shape(), lora.key);
  return mx::multiply(x, mx::divide(mx::astype(mask, x.dtype()), mx::array(keep, x.dtype())));
}

void check_shapes(const mx::array& x, const LinearBranch& branch) {
  if (x.ndim() != 2 || x.shape(1) != branch.weight.in_features())
    fail("[linear] expected an input [rows, {}]", branch.weight.in_features());
  if (!branch.lora) return;
  const auto& [a, b, scale, dropout, key] = *branch.lora;
  if (a.shape(0) != branch.weight.in_features() || b.shape(1) != branch.weight.out_features() ||
      a.shape(1) != b.shape(0))
    fail("[linear] LoRA matrices do not fit a layer of {} x {}", branch.weight.out_features(),
         branch.weight.in_features());
}

}  // namespace

// The branch's matrices are float32 masters; they meet x in its type.
mx::array lora_branch(const mx::array& x, const LoraBranch& lora) {
  const auto input = lora.dropout > 0.0f ? dropped(x, lora) : x;
  const auto low = mx::matmul(input, mx::astype(lora.a, x.dtype()));
  const auto b = mx::astype(mx::multiply(lora.b, mx::array(lora.scale)), x.dtype());
  return mx::matmul(low, b);
}

Arrays cpu::linears(const Backend& backend, const mx::array& x,
                    const std::vector<LinearBranch>& branches,
                    const std::optional<mx::array>& residual) {
  // A dropped input is no longer x, so such a branch stands beside the primitive.
  const auto apart = [](const LinearBranch& b) { return b.lora && b.lora->dropout > 0.0f; };
  auto plain = branches;
  for (auto& b : plain)
    if (apart(b)) b.lora.reset();
  auto outputs = run(x, std::move(plain), residual, backend.precision);
  for (size_t i = 0; i < branches.size(); ++i)
    if (apart(branches[i])) outputs[i] = mx::add(outputs[i], lora_branch(x, *branches[i].lora));
  return outputs;
}

Arrays composed::linears(const Backend& backend, const mx::array& x,
                         const std::vector<LinearBranch>& branches,
                         const std::optional<mx::array>& residual) {
  const auto cast = [&](const mx::array& a) { return mx::astype(a, backend.dtype); };
  Arrays outputs;
  for (const auto& branch : branches) {
    const Weight& w = branch.weight;
    auto y = w.quantized() ? mx::quantized_matmul(x, w.data, cast(*w.scales), cast(*w.biases), true,
                                                  w.group_size, w.bits)
                           : mx::matmul(x, mx::transpose(cast(w.data)));
    if (branch.bias) y = mx::add(y, cast(*branch.bias));
    if (branch.lora) y = mx::add(y, lora_branch(x, *branch.lora));
    outputs.push_back(residual ? mx::add(y, *residual) : y);
  }
  return outputs;
}

Arrays linears(const Backend& backend, const mx::array& x,
               const std::vector<LinearBranch>& branches) {
  for (const auto& b : branches) check_shapes(x, b);
  return backend.operations->linears(backend, x, branches, {});
}

mx::array linear(const Backend& backend, const mx::array& x, const LinearBranch& branch,
                 const std::optional<mx::array>& residual) {
  check_shapes(x, branch);
  return backend.operations->linears(backend, x, {branch}, residual)[0];
}

Arrays normed_linears(const Backend& backend, mx::array& x, const mx::array& norm, float eps,
                      const std::vector<LinearBranch>& branches) {
  for (const auto& b : branches) check_shapes(x, b);
  const Operations& ops = *backend.operations;
  if (ops.normed_linears == nullptr)
    return linears(backend, rms_norm(backend, x, norm, eps), branches);
  auto out = ops.normed_linears(backend, x, norm, eps, branches);
  x = std::move(out.back());
  out.pop_back();
  return out;
}

mx::array swiglu_linear(const Backend& backend, const mx::array& gate, const mx::array& up,
                        const LinearBranch& branch, const mx::array& residual) {
  check_shapes(gate, branch);
  const Operations& ops = *backend.operations;
  if (ops.swiglu_linear == nullptr)
    return linear(backend, swiglu(backend, gate, up), branch, residual);
  return ops.swiglu_linear(backend, gate, up, branch, residual);
}

}  // namespace gavel
