// The decoder layer, written once: as a graph of arrays for training and for other devices
// (model/graph_ops.h), or step by step on plain memory for inference on the CPU
// (model/buffer_ops.h). `Ops` is either; Ops::Tensor is an array or a buffer of rows.
#pragma once

#include <array>
#include <utility>

#include "model/transformer.h"

namespace gavel {

// Llama, Mistral, Qwen2 and Qwen3: RMSNorm, grouped-query attention with rotary embedding, SwiGLU.
// x [T, hidden_size] -> the wanted rows of the layer's result, in two halves.
template <typename Ops>
typename Ops::Tensor llama_attention(Ops& ops, const ModelConfig& c, const DecoderLayer& layer,
                                     typename Ops::Tensor x) {
  auto [q, k, v] = ops.normed_linears(x, layer.input_layernorm,
                                      std::array{Projection::q, Projection::k, Projection::v});
  if (layer.q_norm) q = ops.rms_norm(q, *layer.q_norm, c.rms_norm_eps);
  if (layer.k_norm) k = ops.rms_norm(k, *layer.k_norm, c.rms_norm_eps);
  auto attended = ops.attention(ops.rope(std::move(q)), ops.rope(std::move(k)), v);
  ops.keep_wanted_rows(attended, x);
  return ops.linear(attended, Projection::o, std::move(x));
}
template <typename Ops>
typename Ops::Tensor llama_mlp(Ops& ops, const DecoderLayer& layer, typename Ops::Tensor x) {
  auto [gate, up] = ops.normed_linears(x, layer.post_attention_layernorm,
                                       std::array{Projection::gate, Projection::up});
  return ops.swiglu_linear(std::move(gate), std::move(up), Projection::down, std::move(x));
}
template <typename Ops>
typename Ops::Tensor llama_layer(Ops& ops, const ModelConfig& c, const DecoderLayer& layer,
                                 typename Ops::Tensor x) {
  return llama_mlp(ops, layer, llama_attention(ops, c, layer, std::move(x)));
}

}  // namespace gavel
