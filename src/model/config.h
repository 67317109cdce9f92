// What a model's config.json (or GGUF metadata) says of its shape, under Hugging Face's names.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace gavel {

// Rotary frequencies that differ from theta^(-2i/d): Llama 3's and "linear"; other kinds are
// refused with a sentence.
struct RopeScaling {
  std::string rope_type;  // "llama3", "linear", or "factors" (see below)
  float factor = 1.0f;
  float low_freq_factor = 1.0f;
  float high_freq_factor = 4.0f;
  int original_max_position_embeddings = 8192;
  // Only for "factors": what a GGUF's rope_freqs.weight says where it is not Llama 3's formula.
  // Frequency i is divided by factors[i].
  std::vector<float> factors;
};

// affine: MLX's usual one; the others: floating-point formats, see model/mx_formats.h.
enum class QuantizationMode { affine, mxfp4, mxfp8, nvfp4 };
const char* to_string(QuantizationMode mode);

struct Quantization {
  int group_size = 64;
  int bits = 4;
  QuantizationMode mode = QuantizationMode::affine;
  bool operator==(const Quantization&) const = default;
};

// The "quantization" entry of a config.json: a default, and what single modules have instead
// (nothing: that module is dense).
struct QuantizationMap {
  Quantization base;
  std::map<std::string, std::optional<Quantization>> modules;
};

struct ModelConfig {
  std::string model_type;  // "llama", "qwen2", "qwen3", "mistral"
  int hidden_size = 0;
  int intermediate_size = 0;
  int num_hidden_layers = 0;
  int num_attention_heads = 0;
  int num_key_value_heads = 0;
  int head_dim = 0;
  int vocab_size = 0;
  int max_position_embeddings = 0;
  float rms_norm_eps = 1e-6f;
  float rope_theta = 10000.0f;
  std::optional<RopeScaling> rope_scaling;
  bool tie_word_embeddings = false;
  bool attention_bias = false;      // q, k and v have biases (qwen2: yes)
  bool attention_out_bias = false;  // o has one too (llama with attention_bias)
  bool mlp_bias = false;
  bool qk_norm = false;  // RMSNorm over each head of q and k (qwen3)
  // Tokens that each one attends to in the original. Not applied here: see warn_of_window.
  std::optional<int> sliding_window;
};

// A config.json. `name` is what errors call the file. Whether the head is tied is not always
// written: `has_lm_head` says whether the weights bring one. Throws Error: a family that is not
// supported (the sentence lists those that are), a missing or absurd size, an option that would
// change the result and is not implemented.
ModelConfig parse_model_config(const nlohmann::json& json, const std::string& name,
                               bool has_lm_head);

// The "quantization" (or, the same, "quantization_config") of a config.json as mlx_lm writes it.
// Throws Error for other kinds of quantization (GPTQ, AWQ and so on).
std::optional<QuantizationMap> parse_quantization(const nlohmann::json& json,
                                                  const std::string& name);

// Throws Error, naming `name`, where a size is absurd or sizes do not fit together.
void check_model_config(const ModelConfig& config, const std::string& name);

// A config.json that transformers and mlx_lm load (without quantization, dtype or token ids).
nlohmann::ordered_json model_config_json(const ModelConfig& config);

// Attention here sees the whole context. Warns where the model was trained with a window that is
// shorter: beyond it the result differs from the original's.
void warn_of_window(const ModelConfig& config, const std::string& name);

// The rotary frequencies, head_dim / 2 of them, in radians a position, scaling applied.
std::vector<float> rope_inv_freq(const ModelConfig& config);

// "llama, mistral, qwen2, qwen3": for sentences.
std::string supported_families();

// One tensor that a model of this configuration must have.
struct TensorSpec {
  std::string name;  // cols > 0: the module's path, a matrix; cols == 0: the whole name, a vector
  int rows = 0;
  int cols = 0;
};
std::vector<TensorSpec> model_tensors(const ModelConfig& config);

}  // namespace gavel
