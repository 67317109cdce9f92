#include "generate/cpu_forward.h"

#include <algorithm>

#include "base/error.h"

namespace gavel {
namespace {

using kernels::LinearTask;
using kernels::LoraView;

// Activations of a pass, kept by the thread from call to call.
struct Buffers {
  std::vector<float> x, normed, q, k, v, attended, gate, up, low_rank;

  static float* get(std::vector<float>& buffer, int64_t size) {
    if (std::ssize(buffer) < size) buffer.resize(static_cast<size_t>(size));
    return buffer.data();
  }
};

const float* data(const std::optional<mx::array>& a) { return a ? a->data<float>() : nullptr; }

struct Pass {
  const Model& model;
  const ModelLora* lora;
  const Segments& segments;
  std::span<const std::shared_ptr<KvCache>> caches;
  kernels::Precision precision;
  Buffers& buffers;

  // One of the products of a layer, with room for its LoRA's inner activations.
  struct Product {
    Projection projection;
    float* y;
    const float* residual = nullptr;
  };

  void multiply(size_t index, const float* x, int64_t rows, std::span<const Product> products) {
    std::array<LinearTask, kProjections> tasks;
    std::array<LoraView, kProjections> views;
    int64_t rank = 0;
    const auto branch = [&](const Product& p) -> const LoraBranch* {
      if (lora == nullptr) return nullptr;
      const auto& found = (*lora)[index].of[static_cast<size_t>(p.projection)];
      return found ? &*found : nullptr;
    };
    for (const Product& p : products)
      if (const auto* b = branch(p)) rank += b->a.shape(1);
    float* low_rank = Buffers::get(buffers.low_rank, rows * rank);
    for (size_t i = 0; i < products.size(); ++i) {
      const auto at = static_cast<size_t>(products[i].projection);
      const DecoderLayer& layer = model.layers[index];
      tasks[i] = {.weight = view(layer.weights[at]),
                  .y = products[i].y,
                  .bias = data(layer.biases[at]),
                  .residual = products[i].residual};
      const LoraBranch* b = branch(products[i]);
      if (b == nullptr) continue;
      views[i] = {b->a.data<float>(), b->b.data<float>(), b->a.shape(1), b->scale};
      tasks[i].lora = &views[i];
      tasks[i].xa = low_rank;
      low_rank += rows * views[i].r;
    }
    kernels::linear_forward(x, rows, std::span(tasks).first(products.size()), precision);
  }

  // x [T, hidden_size] in place. With `chosen`, what follows attention is computed for these rows
  // only, and they come first in x.
  void layer(size_t index, float* x, std::optional<std::span<const int32_t>> chosen) {
    const ModelConfig& c = model.config;
    const DecoderLayer& l = model.layers[index];
    int64_t rows = segments.rows();
    const int64_t hidden = c.hidden_size, d = c.head_dim;
    const int64_t heads = c.num_attention_heads, kv_heads = c.num_key_value_heads;
    const auto eps = c.rms_norm_eps;
    float* normed = Buffers::get(buffers.normed, rows * hidden);
    float* q = Buffers::get(buffers.q, rows * heads * d);
    float* k = Buffers::get(buffers.k, rows * kv_heads * d);
    float* v = Buffers::get(buffers.v, rows * kv_heads * d);
    float* attended = Buffers::get(buffers.attended, rows * heads * d);

    kernels::rms_norm(x, l.input_layernorm.data<float>(), rows, hidden, eps, normed, nullptr);
    multiply(index, normed, rows,
             std::array<Product, 3>{{{Projection::q, q}, {Projection::k, k}, {Projection::v, v}}});
    if (l.q_norm) kernels::rms_norm(q, data(l.q_norm), rows * heads, d, eps, q, nullptr);
    if (l.k_norm) kernels::rms_norm(k, data(l.k_norm), rows * kv_heads, d, eps, k, nullptr);
    const int32_t* positions = segments.positions.data();
    const float* inv_freq = model.inv_freq.data<float>();
    kernels::rope(q, positions, inv_freq, rows, heads, d, false, q);
    kernels::rope(k, positions, inv_freq, rows, kv_heads, d, false, k);
    cached_attention(q, k, v, caches, segments.starts, index, heads, d, attended);
    if (chosen) {
      rows = std::ssize(*chosen);
      for (int64_t i = 0; i < rows; ++i) {
        const int64_t from = (*chosen)[static_cast<size_t>(i)];
        std::copy_n(x + from * hidden, hidden, x + i * hidden);
        std::copy_n(attended + from * heads * d, heads * d, attended + i * heads * d);
      }
      if (rows == 0) return;
    }
    multiply(index, attended, rows, std::array<Product, 1>{{{Projection::o, x, x}}});

    const int64_t inner = c.intermediate_size;
    float* gate = Buffers::get(buffers.gate, rows * inner);
    float* up = Buffers::get(buffers.up, rows * inner);
    kernels::rms_norm(x, l.post_attention_layernorm.data<float>(), rows, hidden, eps, normed,
                      nullptr);
    multiply(index, normed, rows,
             std::array<Product, 2>{{{Projection::gate, gate}, {Projection::up, up}}});
    kernels::swiglu(gate, up, rows * inner, gate);
    multiply(index, gate, rows, std::array<Product, 1>{{{Projection::down, x, x}}});
  }
};

// LoRA matrices may come from a computation that has not run yet.
void evaluate(const ModelLora& lora) {
  Arrays waiting;
  for (const auto& layer : lora)
    for (const auto& b : layer.of)
      if (b)
        for (const auto* a : {&b->a, &b->b})
          if (!a->is_available()) waiting.push_back(*a);
  if (!waiting.empty()) mx::eval(waiting);
}

}  // namespace

void cpu_forward(const Model& model, const ModelLora* lora, std::span<const int32_t> ids,
                 const Segments& segments, std::span<const std::shared_ptr<KvCache>> caches,
                 std::span<const int32_t> rows, kernels::Precision precision, float* logits) {
  for (const int32_t id : ids)
    if (id < 0 || id >= model.config.vocab_size)
      fail("token {} is outside the vocabulary of {}", id, model.config.vocab_size);
  if (lora != nullptr) evaluate(*lora);
  static thread_local Buffers buffers;
  Pass pass{model, lora, segments, caches, precision, buffers};
  const int64_t count = std::ssize(ids), hidden = model.config.hidden_size;
  float* x = Buffers::get(buffers.x, count * hidden);
  kernels::embedding(view(model.embed_tokens), ids.data(), count, x);
  const size_t layers = model.layers.size();
  for (size_t i = 0; i < layers; ++i)
    pass.layer(i, x, i + 1 == layers ? std::optional(rows) : std::nullopt);
  if (rows.empty()) return;
  const int64_t wanted = std::ssize(rows);
  float* normed = Buffers::get(buffers.normed, wanted * hidden);
  kernels::rms_norm(x, model.norm.data<float>(), wanted, hidden, model.config.rms_norm_eps, normed,
                    nullptr);
  const LinearTask head{.weight = view(model.lm_head), .y = logits};
  kernels::linear_forward(normed, wanted, {&head, 1}, precision);
}

}  // namespace gavel
