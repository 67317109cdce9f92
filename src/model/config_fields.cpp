#include "model/config_fields.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"

namespace gavel {
namespace {

using nlohmann::json;

// Read by parse_model_config, parse_quantization and the readers of tokens.
const std::set<std::string> kRead = {"attention_bias",     "eos_token_id",
                                     "head_dim",           "hidden_act",
                                     "hidden_size",        "intermediate_size",
                                     "layer_types",        "max_position_embeddings",
                                     "max_window_layers",  "mlp_bias",
                                     "model_type",         "num_attention_heads",
                                     "num_hidden_layers",  "num_key_value_heads",
                                     "quantization",       "quantization_config",
                                     "rms_norm_eps",       "rope_parameters",
                                     "rope_scaling",       "rope_theta",
                                     "sliding_window",     "tie_word_embeddings",
                                     "use_sliding_window", "vocab_size"};

// Without effect on what a loaded model computes: where it came from, how it was begun or is kept,
// how transformers calls it or generates with it.
const std::set<std::string> kHarmless = {"_attn_implementation",
                                         "_attn_implementation_autoset",
                                         "_attn_implementation_internal",
                                         "_commit_hash",
                                         "_name_or_path",
                                         "architectures",
                                         "attn_implementation",
                                         "bad_words_ids",
                                         "begin_suppress_tokens",
                                         "bos_token_id",
                                         "decoder_start_token_id",
                                         "do_sample",
                                         "dtype",
                                         "eos_token",
                                         "finetuning_task",
                                         "forced_bos_token_id",
                                         "forced_eos_token_id",
                                         "id2label",
                                         "is_decoder",
                                         "is_llama_config",
                                         "label2id",
                                         "layer_norm_eps",  // of LayerNorm, which no family has
                                         "layer_norm_epsilon",
                                         "length_penalty",
                                         "max_length",
                                         "min_length",
                                         "model_max_length",
                                         "num_beams",
                                         "num_beam_groups",
                                         "num_return_sequences",
                                         "output_attentions",
                                         "pad_token_id",
                                         "pretraining_tp",
                                         "repetition_penalty",
                                         "return_dict",
                                         "sep_token_id",
                                         "task_specific_params",
                                         "temperature",
                                         "tokenizer_class",
                                         "top_k",
                                         "top_p",
                                         "torch_dtype",
                                         "transformers.js_config",
                                         "transformers_version",
                                         "typical_p",
                                         "unk_token_id",
                                         "unsloth_fixed",
                                         "unsloth_version",
                                         "use_cache"};

const std::set<std::string> kRopeRead = {"factor",
                                         "high_freq_factor",
                                         "low_freq_factor",
                                         "original_max_position_embeddings",
                                         "rope_theta",
                                         "rope_type",
                                         "type"};

// Parts of names that speak of arithmetic.
constexpr std::array<const char*, 29> kArithmetic = {
    "act_",   "activation", "alibi",    "alpha",   "attention", "attn",     "bias",  "cap",
    "clamp",  "clip",       "expert",   "factor",  "gate",      "layer",    "logit", "moe",
    "multip", "norm",       "parallel", "partial", "pct",       "residual", "rope",  "rotary",
    "scal",   "sink",       "sparse",   "swiglu",  "window"};

// Keys below GGUF's "llama." that are read, and those that change nothing.
const std::set<std::string> kGgufRead = {"attention.head_count",
                                         "attention.head_count_kv",
                                         "attention.key_length",
                                         "attention.layer_norm_rms_epsilon",
                                         "attention.sliding_window",
                                         "attention.value_length",
                                         "block_count",
                                         "context_length",
                                         "embedding_length",
                                         "expert_count",
                                         "feed_forward_length",
                                         "rope.dimension_count",
                                         "rope.freq_base",
                                         "rope.scale_linear",
                                         "rope.scaling.factor",
                                         "rope.scaling.type"};
const std::set<std::string> kGgufHarmless = {
    "attention.layer_norm_epsilon", "rope.scaling.finetuned",
    "rope.scaling.original_context_length", "tensor_data_layout", "vocab_size"};

bool has(const std::string& name, std::string_view part) {
  return name.find(part) != std::string::npos;
}

bool near(double a, double b) { return std::abs(a - b) <= 1e-5 * std::abs(b); }

// The number that changes nothing, for a field of this name, other than 0.
bool is_neutral_number(const std::string& name, double value, int head_dim) {
  if (value == 0) return true;
  const bool factor = has(name, "scal") || has(name, "multip") || has(name, "factor") ||
                      has(name, "pct") || has(name, "percent") || has(name, "ratio");
  // In the place of 1 / sqrt(head_dim), or as the number whose root it is.
  if (has(name, "pre_attn_scalar")) return value == head_dim;
  if (name == "attention_multiplier" || name == "attention_scale" || name == "attention.scale")
    return near(value, 1.0 / std::sqrt(static_cast<double>(head_dim)));
  if (has(name, "rotary_dim")) return value == head_dim;
  return factor && value == 1;
}

bool is_neutral_text(const std::string& value) {
  // SwiGLU is what an MLP with a gate and SiLU is.
  return value.empty() || value == "silu" || value == "swiglu" || value == "default" ||
         value == "none";
}

bool is_neutral(const std::string& name, const json& value, int head_dim) {
  if (value.is_boolean()) return value.get<bool>() == (name == "is_causal" || name == "causal");
  if (value.is_number()) return is_neutral_number(name, value.get<double>(), head_dim);
  if (value.is_string()) return is_neutral_text(value.get_ref<const std::string&>());
  return value.empty();  // null, [] and {}
}

// Dropout and initialization belong to training the base model, flash attention is a way to compute
// the same.
bool is_known(const std::string& name) {
  return kRead.contains(name) || kHarmless.contains(name) || name.starts_with("init") ||
         has(name, "dropout") || has(name, "pdrop") || has(name, "flash");
}

bool speaks_of_arithmetic(const std::string& name) {
  return std::any_of(kArithmetic.begin(), kArithmetic.end(),
                     [&](const char* part) { return has(name, part); });
}

bool is_neutral(const std::string& name, const GgufValue& value, int head_dim) {
  return std::visit(
      [&](const auto& v) {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, bool>)
          return v == (name == "attention.causal");
        else if constexpr (std::is_arithmetic_v<T>)
          return is_neutral_number(name, static_cast<double>(v), head_dim);
        else if constexpr (std::is_same_v<T, std::string>)
          return is_neutral_text(v);
        else
          return std::all_of(v.begin(), v.end(),
                             [](const auto& item) { return item == typename T::value_type{}; });
      },
      value.value);
}

[[noreturn]] void refuse(const std::string& file, const std::string& name,
                         const std::string& value) {
  fail(
      "{}: {}{} is not known here and may change what the model computes, so the model is not "
      "supported",
      file, name, value);
}

}  // namespace

void check_config_fields(const json& j, const std::string& file, int head_dim) {
  for (const auto& [name, value] : j.items()) {
    const bool layers = name == "num_layers" || name == "n_layers" || name == "n_layer";
    if (layers && value == j.value("num_hidden_layers", json())) continue;
    if (!is_known(name) && speaks_of_arithmetic(name) && !is_neutral(name, value, head_dim))
      refuse(file, name, " (" + value.dump().substr(0, 60) + ")");
  }
}

void check_rope_fields(const json& j, const std::string& file, int head_dim) {
  for (const auto& [name, value] : j.items())
    if (!kRopeRead.contains(name) && !is_neutral(name, value, head_dim))
      refuse(file, "the rotary embedding's " + name, " (" + value.dump().substr(0, 60) + ")");
}

std::vector<std::string> unknown_config_fields(const json& j) {
  std::vector<std::string> names;
  for (const auto& [name, value] : j.items())
    if (!is_known(name) && !speaks_of_arithmetic(name) && !is_neutral(name, value, 0))
      names.push_back(name);
  return names;
}

void check_gguf_fields(const GgufFile& file, const std::string& architecture, int head_dim) {
  const std::string prefix = architecture + ".";
  for (const auto& [key, value] : file.metadata()) {
    if (!key.starts_with(prefix)) continue;
    const std::string name = key.substr(prefix.size());
    if (kGgufRead.contains(name) || kGgufHarmless.contains(name)) continue;
    if (!is_neutral(name, value, head_dim)) refuse(file.name(), "metadata " + key, "");
  }
}

}  // namespace gavel
