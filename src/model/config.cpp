#include "model/config.h"

#include <spdlog/spdlog.h>

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "base/error.h"
#include "model/config_fields.h"

namespace gavel {
namespace {

using nlohmann::json;

// What makes a family differ from the plain llama block. A new one is one line here, where its
// block is made of the same parts.
struct Family {
  const char* model_type;
  const char* architecture;  // transformers' class
  bool qkv_bias;             // always has biases on q, k and v
  bool attention_bias_key;   // config may switch them on, and then o has one too
  bool mlp_bias_key;
  bool qk_norm;
};
constexpr std::array<Family, 4> kFamilies{{
    {"llama", "LlamaForCausalLM", false, true, true, false},
    {"mistral", "MistralForCausalLM", false, false, false, false},
    {"qwen2", "Qwen2ForCausalLM", true, false, false, false},
    {"qwen3", "Qwen3ForCausalLM", false, true, false, true},
}};

const Family* find_family(const std::string& model_type) {
  for (const Family& f : kFamilies)
    if (model_type == f.model_type) return &f;
  return nullptr;
}

// A value of the config, or nothing where it is absent or null.
template <typename T>
std::optional<T> get(const json& j, const char* key, const std::string& name) {
  const auto it = j.find(key);
  if (it == j.end() || it->is_null()) return std::nullopt;
  if constexpr (std::is_same_v<T, bool>) {
    if (it->is_boolean()) return it->get<bool>();
    fail("{}: {} must be true or false", name, key);
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (it->is_string()) return it->get<std::string>();
    fail("{}: {} must be a string", name, key);
  } else if constexpr (std::is_integral_v<T>) {
    if (it->is_number()) {
      const double v = it->get<double>();
      if (v == std::floor(v) && std::abs(v) <= 2147483647.0) return static_cast<T>(v);
    }
    fail("{}: {} must be a whole number", name, key);
  } else {
    if (it->is_number()) return static_cast<T>(it->get<double>());
    fail("{}: {} must be a number", name, key);
  }
}

int required(const json& j, const char* key, const std::string& name) {
  if (const auto v = get<int>(j, key, name)) return *v;
  fail("{}: {} is missing", name, key);
}

void parse_rope_entry(const json& r, const std::string& name, ModelConfig& c) {
  if (const auto theta = get<float>(r, "rope_theta", name)) c.rope_theta = *theta;
  auto type = get<std::string>(r, "rope_type", name);
  if (!type) type = get<std::string>(r, "type", name);
  if (!type || *type == "default") return;
  if (*type != "llama3" && *type != "linear")
    fail("{}: rotary scaling of type \"{}\" is not supported (default, linear and llama3 are)",
         name, *type);
  RopeScaling s;
  s.rope_type = *type;
  s.factor = get<float>(r, "factor", name).value_or(1.0f);
  s.low_freq_factor = get<float>(r, "low_freq_factor", name).value_or(1.0f);
  s.high_freq_factor = get<float>(r, "high_freq_factor", name).value_or(4.0f);
  s.original_max_position_embeddings =
      get<int>(r, "original_max_position_embeddings", name).value_or(8192);
  if (!(s.factor > 0) || !(s.low_freq_factor > 0) || !(s.high_freq_factor > s.low_freq_factor) ||
      s.original_max_position_embeddings <= 0)
    fail("{}: the rotary scaling's numbers make no sense", name);
  c.rope_scaling = s;
}

// "rope_scaling" (transformers 4) or "rope_parameters" (5): the same keys, and theta in the latter.
void parse_rope(const json& j, const std::string& name, ModelConfig& c) {
  if (const auto theta = get<float>(j, "rope_theta", name)) c.rope_theta = *theta;
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const auto it = j.find(key);
    if (it == j.end() || it->is_null()) continue;
    if (!it->is_object()) fail("{}: {} must be an object", name, key);
    parse_rope_entry(*it, name, c);
  }
}

// Whether a window is in use: by family, a switch with its first layer, or the kinds of its layers.
std::optional<int> window_of(const json& j, const std::string& name, const ModelConfig& c) {
  const auto window = get<int>(j, "sliding_window", name);
  const int first_layer = get<int>(j, "max_window_layers", name).value_or(0);
  bool used = get<bool>(j, "use_sliding_window", name).value_or(c.model_type == "mistral") &&
              first_layer < c.num_hidden_layers;
  if (const auto it = j.find("layer_types"); it != j.end() && !it->is_null()) {
    if (!it->is_array()) fail("{}: layer_types must be a list", name);
    for (const auto& type : *it) {
      if (type != "full_attention" && type != "sliding_attention")
        fail("{}: layers of the type {} are not supported", name, type.dump());
      used = used || type == "sliding_attention";
    }
  }
  return used ? window : std::nullopt;
}

Quantization quantization_from(const json& j, const std::string& name, const std::string& where) {
  Quantization q;
  const auto mode = get<std::string>(j, "mode", name).value_or("affine");
  for (const Quantization& only : {Quantization{32, 4, QuantizationMode::mxfp4},
                                   {32, 8, QuantizationMode::mxfp8},
                                   {16, 4, QuantizationMode::nvfp4}}) {
    if (mode != to_string(only.mode)) continue;
    q.mode = only.mode;
    q.group_size = get<int>(j, "group_size", name).value_or(only.group_size);
    q.bits = get<int>(j, "bits", name).value_or(only.bits);
    if (q != only)
      fail("{}: {} ({}) has groups of {} with {} bits, and not of {} with {}", name, mode, where,
           only.group_size, only.bits, q.group_size, q.bits);
    return q;
  }
  if (mode != "affine")
    fail("{}: quantization mode \"{}\" of {} is not supported (affine, mxfp4, mxfp8 and nvfp4 are)",
         name, mode, where);
  q.group_size = get<int>(j, "group_size", name).value_or(64);
  q.bits = get<int>(j, "bits", name).value_or(4);
  if (q.bits < 2 || q.bits > 8 || q.bits == 7)
    fail("{}: {} bits a weight ({}) are not supported (2, 3, 4, 5, 6 and 8 are)", name, q.bits,
         where);
  if (q.group_size < 16 || q.group_size > 4096 || q.group_size % 16 != 0)
    fail("{}: quantization groups of {} weights ({}) are not supported", name, q.group_size, where);
  return q;
}

}  // namespace

const char* to_string(QuantizationMode mode) {
  switch (mode) {
    case QuantizationMode::affine:
      return "affine";
    case QuantizationMode::mxfp4:
      return "mxfp4";
    case QuantizationMode::mxfp8:
      return "mxfp8";
    case QuantizationMode::nvfp4:
      return "nvfp4";
  }
  return "";
}

std::string supported_families() {
  std::string out;
  for (const Family& f : kFamilies) {
    if (!out.empty()) out += ", ";
    out += f.model_type;
  }
  return out;
}

void check_model_config(const ModelConfig& c, const std::string& name) {
  const auto within = [&](const char* key, int value, int most) {
    if (value < 1 || value > most)
      fail("{}: {} is {}; it must be between 1 and {}", name, key, value, most);
  };
  within("hidden_size", c.hidden_size, 1 << 17);
  within("intermediate_size", c.intermediate_size, 1 << 20);
  within("num_hidden_layers", c.num_hidden_layers, 1 << 12);
  within("num_attention_heads", c.num_attention_heads, 1 << 12);
  within("num_key_value_heads", c.num_key_value_heads, c.num_attention_heads);
  within("head_dim", c.head_dim, 1 << 12);
  within("vocab_size", c.vocab_size, 1 << 24);
  within("max_position_embeddings", c.max_position_embeddings, 1 << 30);
  if (c.head_dim % 2 != 0) fail("{}: head_dim is {}; it must be even", name, c.head_dim);
  if (c.num_attention_heads % c.num_key_value_heads != 0)
    fail("{}: {} attention heads cannot share {} key/value heads evenly", name,
         c.num_attention_heads, c.num_key_value_heads);
  if (!(c.rms_norm_eps >= 0 && c.rms_norm_eps < 1))
    fail("{}: rms_norm_eps is {}", name, c.rms_norm_eps);
  if (!(c.rope_theta > 0) || !std::isfinite(c.rope_theta))
    fail("{}: rope_theta is {}", name, c.rope_theta);
}

ModelConfig parse_model_config(const json& j, const std::string& name, bool has_lm_head) {
  if (!j.is_object()) fail("{} is not a JSON object", name);
  ModelConfig c;
  const auto type = get<std::string>(j, "model_type", name);
  if (!type) fail("{}: model_type is missing", name);
  c.model_type = *type;
  const Family* family = find_family(c.model_type);
  if (family == nullptr)
    fail("{}: models of the family \"{}\" are not supported; supported are {}", name, c.model_type,
         supported_families());
  c.hidden_size = required(j, "hidden_size", name);
  c.intermediate_size = required(j, "intermediate_size", name);
  c.num_hidden_layers = required(j, "num_hidden_layers", name);
  c.num_attention_heads = required(j, "num_attention_heads", name);
  c.num_key_value_heads = get<int>(j, "num_key_value_heads", name).value_or(c.num_attention_heads);
  c.head_dim = get<int>(j, "head_dim", name)
                   .value_or(c.num_attention_heads > 0 ? c.hidden_size / c.num_attention_heads : 0);
  c.vocab_size = required(j, "vocab_size", name);
  c.max_position_embeddings = get<int>(j, "max_position_embeddings", name).value_or(2048);
  c.rms_norm_eps = get<float>(j, "rms_norm_eps", name).value_or(1e-6f);
  parse_rope(j, name, c);
  c.tie_word_embeddings = get<bool>(j, "tie_word_embeddings", name).value_or(!has_lm_head);
  const bool bias = get<bool>(j, "attention_bias", name).value_or(false);
  c.attention_bias = family->qkv_bias || (family->attention_bias_key && bias);
  c.attention_out_bias = family->attention_bias_key && bias;
  c.mlp_bias = family->mlp_bias_key && get<bool>(j, "mlp_bias", name).value_or(false);
  c.qk_norm = family->qk_norm;
  const auto activation = get<std::string>(j, "hidden_act", name).value_or("silu");
  if (activation != "silu")
    fail("{}: the activation \"{}\" is not supported (silu is)", name, activation);
  check_model_config(c, name);
  c.sliding_window = window_of(j, name, c);
  check_config_fields(j, name, c.head_dim);
  for (const char* key : {"rope_scaling", "rope_parameters"})
    if (const auto it = j.find(key); it != j.end() && it->is_object())
      check_rope_fields(*it, name, c.head_dim);
  return c;
}

void warn_of_window(const ModelConfig& c, const std::string& name) {
  if (c.sliding_window && *c.sliding_window < c.max_position_embeddings)
    spdlog::warn("{}: the sliding window of {} tokens is not applied: longer texts see all tokens",
                 name, *c.sliding_window);
}

std::optional<QuantizationMap> parse_quantization(const json& j, const std::string& name) {
  const json* q = nullptr;
  for (const char* key : {"quantization", "quantization_config"}) {
    const auto it = j.find(key);
    if (it == j.end() || it->is_null()) continue;
    if (!it->is_object()) fail("{}: {} must be an object", name, key);
    q = &*it;
    break;
  }
  if (q == nullptr) return std::nullopt;
  if (const auto it = q->find("quant_method"); it != q->end())
    fail("{}: {} quantization is not supported (MLX's is); take the unquantized model", name,
         it->is_string() ? it->get<std::string>() : it->dump());
  QuantizationMap map;
  map.base = quantization_from(*q, name, "the default");
  for (const auto& [key, value] : q->items()) {
    if (key == "group_size" || key == "bits" || key == "mode") continue;
    if (value.is_object()) {
      map.modules[key] = quantization_from(value, name, key);
    } else if (value.is_boolean()) {
      map.modules[key] = value.get<bool>() ? std::optional(map.base) : std::nullopt;
    } else if (!value.is_null()) {
      fail("{}: {} is not known in the quantization's settings", name, key);
    }
  }
  return map;
}

nlohmann::ordered_json model_config_json(const ModelConfig& c) {
  const Family* family = find_family(c.model_type);
  if (family == nullptr) fail("cannot write a config.json for the family \"{}\"", c.model_type);
  nlohmann::ordered_json j;
  j["architectures"] = {family->architecture};
  j["model_type"] = c.model_type;
  j["hidden_size"] = c.hidden_size;
  j["intermediate_size"] = c.intermediate_size;
  j["num_hidden_layers"] = c.num_hidden_layers;
  j["num_attention_heads"] = c.num_attention_heads;
  j["num_key_value_heads"] = c.num_key_value_heads;
  j["head_dim"] = c.head_dim;
  j["hidden_act"] = "silu";
  j["vocab_size"] = c.vocab_size;
  j["max_position_embeddings"] = c.max_position_embeddings;
  // As the shortest decimal that is the same float, not as its 17 digits in double.
  j["rms_norm_eps"] = json::parse(fmt::format("{}", c.rms_norm_eps));
  j["rope_theta"] = json::parse(fmt::format("{}", c.rope_theta));
  if (c.rope_scaling) {
    const RopeScaling& s = *c.rope_scaling;
    if (s.rope_type == "factors")
      fail(
          "this model's rotary frequencies come from a table (rope_freqs.weight), which "
          "config.json cannot express");
    nlohmann::ordered_json r;
    r["rope_type"] = s.rope_type;
    r["factor"] = s.factor;
    if (s.rope_type == "llama3") {
      r["low_freq_factor"] = s.low_freq_factor;
      r["high_freq_factor"] = s.high_freq_factor;
      r["original_max_position_embeddings"] = s.original_max_position_embeddings;
    }
    j["rope_scaling"] = r;
  }
  if (family->attention_bias_key) j["attention_bias"] = c.attention_out_bias;
  if (family->mlp_bias_key) j["mlp_bias"] = c.mlp_bias;
  j["tie_word_embeddings"] = c.tie_word_embeddings;
  return j;
}

std::vector<float> rope_inv_freq(const ModelConfig& c) {
  const int half = c.head_dim / 2;
  std::vector<float> out(static_cast<size_t>(half));
  for (int i = 0; i < half; ++i) {
    // In float32, as transformers computes them: an angle at position 1,000 shows a frequency's
    // last bits, so rounding these better would only mean other numbers than everyone's.
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(c.head_dim);
    double freq = 1.0f / std::pow(c.rope_theta, exponent);
    if (c.rope_scaling) {
      const RopeScaling& s = *c.rope_scaling;
      if (s.rope_type == "linear") {
        freq /= s.factor;
      } else if (s.rope_type == "factors") {
        freq /= s.factors.at(static_cast<size_t>(i));
      } else {
        // Llama 3.1: short wavelengths as they are, long ones slowed by `factor`, and a blend
        // between the two.
        const double old_context = s.original_max_position_embeddings;
        const double wavelength = 2.0 * std::numbers::pi / freq;
        if (wavelength > old_context / s.low_freq_factor) {
          freq /= s.factor;
        } else if (wavelength > old_context / s.high_freq_factor) {
          const double smooth = (old_context / wavelength - s.low_freq_factor) /
                                (s.high_freq_factor - s.low_freq_factor);
          freq = (1.0 - smooth) * freq / s.factor + smooth * freq;
        }
      }
    }
    out[static_cast<size_t>(i)] = static_cast<float>(freq);
  }
  return out;
}

std::vector<TensorSpec> model_tensors(const ModelConfig& c) {
  std::vector<TensorSpec> out;
  const int q = c.num_attention_heads * c.head_dim;
  const int kv = c.num_key_value_heads * c.head_dim;
  const auto linear = [&](const std::string& name, int n, int k, bool bias) {
    out.push_back({name, n, k});
    if (bias) out.push_back({name + ".bias", n, 0});
  };
  out.push_back({"model.embed_tokens", c.vocab_size, c.hidden_size});
  for (int i = 0; i < c.num_hidden_layers; ++i) {
    const std::string layer = fmt::format("model.layers.{}.", i);
    out.push_back({layer + "input_layernorm.weight", c.hidden_size, 0});
    linear(layer + "self_attn.q_proj", q, c.hidden_size, c.attention_bias);
    linear(layer + "self_attn.k_proj", kv, c.hidden_size, c.attention_bias);
    linear(layer + "self_attn.v_proj", kv, c.hidden_size, c.attention_bias);
    linear(layer + "self_attn.o_proj", c.hidden_size, q, c.attention_out_bias);
    if (c.qk_norm) {
      out.push_back({layer + "self_attn.q_norm.weight", c.head_dim, 0});
      out.push_back({layer + "self_attn.k_norm.weight", c.head_dim, 0});
    }
    out.push_back({layer + "post_attention_layernorm.weight", c.hidden_size, 0});
    linear(layer + "mlp.gate_proj", c.intermediate_size, c.hidden_size, c.mlp_bias);
    linear(layer + "mlp.up_proj", c.intermediate_size, c.hidden_size, c.mlp_bias);
    linear(layer + "mlp.down_proj", c.hidden_size, c.intermediate_size, c.mlp_bias);
  }
  out.push_back({"model.norm.weight", c.hidden_size, 0});
  if (!c.tie_word_embeddings) out.push_back({"lm_head", c.vocab_size, c.hidden_size});
  return out;
}

}  // namespace gavel
