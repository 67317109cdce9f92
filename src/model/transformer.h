// The decoder that all supported families share: RMSNorm, grouped-query attention with rotary
// embedding, SwiGLU. What differs between families is in ModelConfig.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/config.h"
#include "model/weights.h"
#include "ops/ops.h"

namespace gavel {

// The seven matrices of a layer, in the order of their names below.
enum class Projection { q, k, v, o, gate, up, down };
constexpr int kProjections = 7;
// "self_attn.q_proj", ..., "mlp.down_proj".
const std::string& projection_path(Projection p);
// "q_proj" -> Projection::q; nothing where there is no such one.
std::optional<Projection> projection_by_name(const std::string& name);

struct DecoderLayer {
  mx::array input_layernorm, post_attention_layernorm;  // [hidden_size]
  std::optional<mx::array> q_norm, k_norm;              // [head_dim]
  std::vector<Weight> weights;                          // kProjections of them
  std::array<std::optional<mx::array>, kProjections> biases;
};

class CardInference;

struct Model {
  Backend backend;
  ModelConfig config;
  Weight embed_tokens;
  Weight lm_head;  // embed_tokens itself where they are tied
  std::vector<DecoderLayer> layers;
  mx::array norm;      // [hidden_size]
  mx::array inv_freq;  // [head_dim / 2]
  // How it generates on an NVIDIA card (model/card_inference.h); null: as a graph, or on the CPU.
  std::shared_ptr<CardInference> card;
};

// Puts the loaded arrays in their places. Throws Error naming a tensor that is missing or has the
// wrong shape.
Model make_model(const LoadedModel& loaded, const Backend& backend = cpu_backend());
// Forgets the loaded arrays where the model has copies of its own in a device's memory.
void release_weights(LoadedModel& loaded, const Backend& backend);
// The same weights with products of another precision.
Model with_precision(Model model, kernels::Precision precision);

// LoRA branches of the projections of every layer; empty ones are plain.
struct LayerLora {
  std::array<std::optional<LoraBranch>, kProjections> of;
};
using ModelLora = std::vector<LayerLora>;

// What of a layer is not kept for the backward pass but computed again.
enum class Recompute : uint8_t {
  none,
  mlp,    // gate and up, the widest: its MLP's input is kept
  layer,  // all but the layer's input
};

// Hidden states before the last norm, for training: ids [T] int32. `rows`, where given, are the
// only ones returned. With Recompute::layer, `group` layers are computed again together.
mx::array hidden_states(const Model& model, const mx::array& ids, const SegmentsPtr& segments,
                        const ModelLora* lora, Recompute recompute = Recompute::none, int group = 1,
                        const Rows& rows = nullptr);

// Logits [T, vocab_size] of hidden states (final norm and head).
mx::array logits(const Model& model, const mx::array& hidden);

// Parameters of the base model (weights counted unpacked, biases and norms included).
int64_t parameter_count(const Model& model);

// A hash of the base model's weights: of every tensor its type, its shape and samples from its
// whole length, so that it takes no time to speak of for a model of any size. Where the files lie
// is no part of it.
uint64_t weights_hash(const Model& model);

}  // namespace gavel
