#include "model/buffer_ops.h"

namespace gavel {

std::vector<float> BufferPool::take(int64_t size) {
  const auto count = static_cast<size_t>(size);
  // The smallest that is large enough, else the largest, which then grows.
  auto best = free_.end();
  for (auto it = free_.begin(); it != free_.end(); ++it) {
    if (best == free_.end()) best = it;
    const bool fits = it->size() >= count, best_fits = best->size() >= count;
    if (fits != best_fits ? fits : (fits ? it->size() < best->size() : it->size() > best->size()))
      best = it;
  }
  std::vector<float> memory;
  if (best != free_.end()) {
    memory = std::move(*best);
    *best = std::move(free_.back());
    free_.pop_back();
  }
  if (memory.size() < count) {
    memory.clear();  // nothing of it need be kept
    memory.resize(count);
  }
  return memory;
}

namespace {

const float* data(const std::optional<mx::array>& a) { return a ? a->data<float>() : nullptr; }

}  // namespace

Buffer BufferOps::rms_norm(const Buffer& x, const mx::array& weight, float eps) const {
  Buffer y(pool, x.rows, x.width);
  const int64_t dim = weight.shape(0);
  kernels::rms_norm(x.data(), weight.data<float>(), x.rows * x.width / dim, dim, eps, y.data(),
                    nullptr);
  return y;
}

int64_t BufferOps::out_features(Projection p) const {
  return model.layers[index].weights[static_cast<size_t>(p)].out_features();
}

void BufferOps::multiply(const Buffer& x, std::span<const Projection> projections,
                         std::span<float* const> to, const float* residual) const {
  std::array<kernels::LinearTask, kProjections> tasks;
  std::array<kernels::LoraView, kProjections> views;
  const DecoderLayer& layer = model.layers[index];
  const auto branch = [&](Projection p) -> const LoraBranch* {
    if (lora == nullptr) return nullptr;
    const auto& found = lora->of[static_cast<size_t>(p)];
    return found ? &*found : nullptr;
  };
  int64_t rank = 0;
  for (const Projection p : projections)
    if (const auto* b = branch(p)) rank += b->a.shape(1);
  Buffer low_rank(pool, x.rows, rank);
  float* xa = low_rank.data();
  for (size_t i = 0; i < projections.size(); ++i) {
    const auto at = static_cast<size_t>(projections[i]);
    tasks[i] = {.weight = view(layer.weights[at]),
                .y = to[i],
                .bias = data(layer.biases[at]),
                .residual = residual};
    const LoraBranch* b = branch(projections[i]);
    if (b == nullptr) continue;
    views[i] = {b->a.data<float>(), b->b.data<float>(), b->a.shape(1), b->scale};
    tasks[i].lora = &views[i];
    tasks[i].xa = xa;
    xa += x.rows * views[i].r;
  }
  kernels::linear_forward(x.data(), x.rows, std::span(tasks).first(projections.size()),
                          model.backend.precision);
}

Buffer BufferOps::linear(const Buffer& x, Projection p, Buffer residual) const {
  float* const to[] = {residual.data()};
  multiply(x, std::array{p}, to, residual.data());
  return residual;
}

Buffer BufferOps::rope(Buffer x) const {
  const int64_t d = model.config.head_dim;
  kernels::rope(x.data(), segments.positions.data(), model.inv_freq.data<float>(), x.rows,
                x.width / d, d, false, x.data());
  return x;
}

Buffer BufferOps::attention(const Buffer& q, const Buffer& k, const Buffer& v) const {
  Buffer out(pool, q.rows, q.width);
  const int64_t d = model.config.head_dim;
  cached_attention(q.data(), k.data(), v.data(), caches, segments.starts, index, q.width / d, d,
                   out.data());
  return out;
}

Buffer BufferOps::swiglu(Buffer gate, const Buffer& up) const {
  kernels::swiglu(gate.data(), up.data(), gate.rows * gate.width, gate.data());
  return gate;
}

void BufferOps::keep_wanted_rows(Buffer& attended, Buffer& x) const {
  if (!wanted) return;
  for (Buffer* b : {&attended, &x}) {
    for (size_t i = 0; i < wanted->size(); ++i)  // ascending, so nothing is overwritten
      std::copy_n(b->data() + int64_t{(*wanted)[i]} * b->width, b->width,
                  b->data() + static_cast<int64_t>(i) * b->width);
    b->rows = std::ssize(*wanted);
  }
}

}  // namespace gavel
