// The operations of a decoder layer as launches on the card. What can be joined is left for the
// operation that needs it: heads are normed and turned with the writing of keys and values, and
// gate and up come out of their products multiplied.
#pragma once

#include <array>
#include <span>

#include "model/card_inference.h"

namespace gavel {

// Memory of the activations of a pass, the same for all layers.
struct CardActivations {
  cuda::Rows x, normed, qkv, attended, inner, gate, up;
  cuda::Rows wanted_x, wanted_attended;
};

// For one layer; the things pointed to must outlive it.
struct CardOps {
  struct Tensor {
    cuda::Rows rows;
    // Still to be applied: to whole rows with the next product, to heads with rotation.
    const mx::array* norm = nullptr;
    float eps = 0.0f;
  };

  cuda::Inference& run;
  cuda::Workspace& workspace;
  const ModelConfig& config;
  const DecoderLayer& layer;
  const CardLora::Layer* lora;  // null: none
  const CardActivations& memory;
  cuda::Inference::Attention& attention_of;
  const int32_t* wanted;  // on the card; null: all rows

  Tensor rms_norm(const Tensor& x, const mx::array& weight, float eps) const {
    return {x.rows, &weight, eps};
  }
  std::array<Tensor, 3> linears(const Tensor& x, const std::array<Projection, 3>& which) const {
    std::array<Tensor, 3> y;
    std::array<cuda::Product, 3> products;
    int column = 0;
    for (size_t i = 0; i < 3; ++i) {
      const int width = layer.weights[static_cast<size_t>(which[i])].out_features();
      y[i].rows = {static_cast<char*>(memory.qkv.data) + int64_t{column} * 2, x.rows.rows, width,
                   memory.qkv.stride};
      products[i] = product(which[i], y[i].rows);
      column += width;
    }
    run.products(workspace, input(x), products, inputs(0));
    return y;
  }
  // Both are the product of silu(gate) and up.
  std::array<Tensor, 2> linears(const Tensor& x, const std::array<Projection, 2>& which) const {
    const int rows = x.rows.rows;
    const Tensor out{memory.inner.first(rows)};
    run.gated(workspace, input(x), product(which[0], memory.gate.first(rows)),
              product(which[1], memory.up.first(rows)), inputs(2), out.rows);
    return {out, out};
  }
  template <size_t N>
  std::array<Tensor, N> normed_linears(const Tensor& x, const mx::array& norm,
                                       const std::array<Projection, N>& which) const {
    return linears(rms_norm(x, norm, config.rms_norm_eps), which);
  }
  Tensor swiglu_linear(const Tensor& gate, const Tensor&, Projection p,
                       const Tensor& residual) const {
    return linear(gate, p, residual);
  }
  Tensor linear(const Tensor& x, Projection p, const Tensor& residual) const {
    auto sum = product(p, residual.rows);
    sum.residual = true;
    run.products(workspace, input(x), {&sum, 1}, inputs(p == Projection::o ? 1 : 3));
    return residual;
  }
  Tensor rope(const Tensor& x) const { return x; }
  Tensor attention(const Tensor& q, const Tensor& k, const Tensor&) const {
    attention_of.q_norm = q.norm;
    attention_of.k_norm = k.norm;
    const auto qkv = memory.qkv.first(q.rows.rows);
    run.rotate_and_store(qkv, attention_of);
    run.attention(qkv, attention_of, memory.attended.first(q.rows.rows));
    return {memory.attended.first(q.rows.rows)};
  }
  void keep_wanted_rows(Tensor& attended, Tensor& x) const {
    if (wanted == nullptr) return;
    run.gather(attended.rows, wanted, memory.wanted_attended);
    run.gather(x.rows, wanted, memory.wanted_x);
    attended.rows = memory.wanted_attended;
    x.rows = memory.wanted_x;
  }

 private:
  cuda::Input input(const Tensor& x) const {
    return {x.rows, x.norm, x.eps, memory.normed.first(x.rows.rows)};
  }
  cuda::LoraInputs inputs(size_t i) const {
    return lora != nullptr ? lora->inputs[i] : cuda::LoraInputs{};
  }
  cuda::Product product(Projection p, const cuda::Rows& y) const {
    const auto at = static_cast<size_t>(p);
    const auto& bias = layer.biases[at];
    return {.weight = &layer.weights[at],
            .bias = bias ? &*bias : nullptr,
            .lora = lora != nullptr ? lora->parts[at] : cuda::LoraPart{},
            .y = y};
  }
};

}  // namespace gavel
