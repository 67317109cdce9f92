#include "model/gguf_model.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <set>

#include "base/error.h"
#include "model/config_fields.h"
#include "model/gguf_tensors.h"
#include "text/spm_merges.h"

namespace gavel {
namespace {

constexpr std::array<std::pair<const char*, const char*>, 11> kLayerNames{{
    {"input_layernorm", "attn_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"},
    {"post_attention_layernorm", "ffn_norm"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
}};

int narrow(const GgufFile& file, const std::string& key, int64_t value) {
  if (value < 0 || value > 0x7fffffff) fail("{}: metadata {} is {}", file.name(), key, value);
  return static_cast<int>(value);
}

int required(const GgufFile& file, const std::string& key) {
  const auto v = file.integer(key);
  if (!v) fail("{}: metadata {} is missing", file.name(), key);
  return narrow(file, key, *v);
}

// Llama 3's scaling comes as a table of divisors. Its usual parameters are tried, since with them
// the configuration can be written as a config.json again; else the table itself is kept.
void read_rope_factors(const GgufParts& parts, ModelConfig& c) {
  const auto [owner, t] = parts.find_tensor("rope_freqs.weight");
  if (t == nullptr) return;
  const GgufFile& file = *owner;
  if (t->type != GgmlType::f32 || t->shape.size() != 1 || t->shape[0] != c.head_dim / 2)
    fail("{}: rope_freqs.weight must be {} numbers in F32", file.name(), c.head_dim / 2);
  std::vector<float> factors(static_cast<size_t>(t->shape[0]));
  std::memcpy(factors.data(), file.file().bytes().data() + t->offset, t->bytes);
  for (const float f : factors)
    if (!(f > 0) || !std::isfinite(f))
      fail("{}: rope_freqs.weight holds {}, which is no divisor", file.name(), f);
  ModelConfig plain = c;
  plain.rope_scaling.reset();
  const auto base = rope_inv_freq(plain);
  c.rope_scaling = RopeScaling{.rope_type = "llama3",
                               .factor = *std::max_element(factors.begin(), factors.end())};
  const auto scaled = rope_inv_freq(c);
  for (size_t i = 0; i < factors.size(); ++i) {
    if (std::abs(base[i] / factors[i] - scaled[i]) <= 1e-5f * scaled[i]) continue;
    c.rope_scaling = RopeScaling{.rope_type = "factors", .factors = std::move(factors)};
    return;
  }
}

void read_rope(const GgufParts& parts, const std::string& arch, ModelConfig& c) {
  const GgufFile& file = parts.first();
  c.rope_theta =
      static_cast<float>(file.number(arch + ".rope.freq_base").value_or(double{c.rope_theta}));
  const auto dimensions = file.integer(arch + ".rope.dimension_count");
  if (dimensions && *dimensions != c.head_dim)
    fail("{}: rotary embedding of {} of {} dimensions a head is not supported", file.name(),
         *dimensions, c.head_dim);
  const std::string* type = file.text(arch + ".rope.scaling.type");
  if (type != nullptr && *type != "none" && *type != "linear")
    fail("{}: rotary scaling of type \"{}\" is not supported (none and linear are)", file.name(),
         *type);
  // As in llama.cpp: linear where no type is given, the older key where the newer one is not.
  auto key = arch + ".rope.scaling.factor";
  if (!file.number(key)) key = arch + ".rope.scale_linear";
  const double factor = file.number(key).value_or(1.0);
  if (!(factor >= 0) || !std::isfinite(factor)) fail("{}: {} is {}", file.name(), key, factor);
  if ((type == nullptr || *type == "linear") && factor != 0 && factor != 1)
    c.rope_scaling = RopeScaling{.rope_type = "linear", .factor = static_cast<float>(factor)};
  if (c.rope_scaling && parts.find_tensor("rope_freqs.weight").tensor != nullptr)
    fail("{}: linear rotary scaling ({}) together with rope_freqs.weight is not supported",
         file.name(), key);
  read_rope_factors(parts, c);
}

// Ids that end a generation: those that the metadata names, and control tokens whose text says so.
std::vector<int> end_ids(const GgufFile& file, const GgufTokenizerFields& fields) {
  std::set<int> ids;
  for (const char* key : {"eos", "eot", "eom"}) {
    const auto id = file.integer(fmt::format("tokenizer.ggml.{}_token_id", key));
    if (id && *id >= 0 && *id < static_cast<int64_t>(fields.tokens.size()))
      ids.insert(static_cast<int>(*id));
  }
  for (size_t i = 0; i < fields.tokens.size(); ++i) {
    if (i >= fields.token_types.size() || fields.token_types[i] != 3) continue;
    for (const char* end :
         {"<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|endoftext|>", "</s>"})
      if (fields.tokens[i] == end) ids.insert(static_cast<int>(i));
  }
  return {ids.begin(), ids.end()};
}

void read_text_side(const GgufFile& file, LoadedModel& model) {
  if (file.text("tokenizer.ggml.model") == nullptr) return;
  const GgufTokenizerFields fields = gguf_tokenizer_fields(file);
  model.tokenizer = Tokenizer::from_gguf(fields, file.name());
  const auto token = [&](const std::optional<int>& id) {
    return id ? fields.tokens[static_cast<size_t>(*id)] : std::string();
  };
  model.bos_token = token(fields.bos_token_id);
  model.eos_token = token(fields.eos_token_id);
  model.eos_token_ids = end_ids(file, fields);
  if (const std::string* t = file.text("tokenizer.chat_template")) model.chat_template = *t;
}

// Scores, and what llama.cpp takes where a SentencePiece vocabulary does not say it.
void read_sentencepiece(const GgufFile& file, GgufTokenizerFields& f) {
  if (const auto* list = file.numbers("tokenizer.ggml.scores")) {
    if (list->size() != f.tokens.size())
      fail("{}: {} token scores for {} tokens", file.name(), list->size(), f.tokens.size());
    f.scores.assign(list->begin(), list->end());
  }
  f.add_space_prefix = file.boolean("tokenizer.ggml.add_space_prefix").value_or(true);
  if (file.boolean("tokenizer.ggml.remove_extra_whitespaces").value_or(false))
    spdlog::warn("{}: tokenizer.ggml.remove_extra_whitespaces is not applied, as in llama.cpp",
                 file.name());
  const auto fallback = [&](std::optional<int>& id, int usual) {
    if (!id && usual < static_cast<int>(f.tokens.size())) id = usual;
  };
  fallback(f.unknown_token_id, 0);
  fallback(f.bos_token_id, 1);
  fallback(f.eos_token_id, 2);
  // Some converters know no scores and write the same for all. Pieces are numbered best first.
  const auto ordinary = ordinary_pieces(f);
  bool same = true;
  for (size_t i = 0, first = f.tokens.size(); i < f.scores.size() && same; ++i) {
    if (!ordinary[i] || (i < f.token_types.size() && f.token_types[i] != 1)) continue;
    if (first == f.tokens.size()) first = i;
    same = f.scores[i] == f.scores[first];
  }
  if (!same) return;
  spdlog::warn(
      "{}: its tokens have no scores or all the same; their order is taken for it, as in the model "
      "that such a vocabulary comes from",
      file.name());
  f.scores.resize(f.tokens.size());
  for (size_t i = 0; i < f.scores.size(); ++i) f.scores[i] = -static_cast<float>(i);
}

}  // namespace

std::optional<std::string> gguf_tensor_name(const std::string& name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos) return std::nullopt;
  const std::string module = name.substr(0, dot), kind = name.substr(dot);  // ".weight", ".bias"
  if (module == "model.embed_tokens") return "token_embd" + kind;
  if (module == "model.norm") return "output_norm" + kind;
  if (module == "lm_head") return "output" + kind;
  constexpr std::string_view prefix = "model.layers.";
  if (!module.starts_with(prefix)) return std::nullopt;
  const size_t end = module.find('.', prefix.size());
  if (end == std::string::npos) return std::nullopt;
  const std::string layer = module.substr(prefix.size(), end - prefix.size());
  for (const auto& [theirs, ours] : kLayerNames)
    if (module.compare(end + 1, std::string::npos, theirs) == 0)
      return "blk." + layer + "." + ours + kind;
  return std::nullopt;
}

bool gguf_interleaves_rope(const std::string& model_type) {
  return model_type == "llama" || model_type == "mistral";
}

ModelConfig gguf_config(const GgufParts& parts) {
  const GgufFile& file = parts.first();
  const std::string* architecture = file.text("general.architecture");
  if (architecture == nullptr) fail("{}: metadata general.architecture is missing", file.name());
  const std::string& arch = *architecture;
  if (const std::string* type = file.text("general.type"); type != nullptr && *type != "model")
    fail("{} holds a \"{}\", not a model", file.name(), *type);
  if (arch != "llama" && arch != "qwen2" && arch != "qwen3")
    fail("{}: models of the family \"{}\" are not supported; supported are {}", file.name(), arch,
         supported_families());
  if (file.integer(arch + ".expert_count").value_or(0) > 0)
    fail("{}: mixtures of experts are not supported", file.name());
  ModelConfig c;
  c.model_type = arch;
  c.hidden_size = required(file, arch + ".embedding_length");
  c.intermediate_size = required(file, arch + ".feed_forward_length");
  c.num_hidden_layers = required(file, arch + ".block_count");
  c.num_attention_heads = required(file, arch + ".attention.head_count");
  const std::string kv_key = arch + ".attention.head_count_kv";
  c.num_key_value_heads =
      narrow(file, kv_key, file.integer(kv_key).value_or(c.num_attention_heads));
  const std::string head_key = arch + ".attention.key_length";
  const int default_head_dim =
      c.num_attention_heads > 0 ? c.hidden_size / c.num_attention_heads : 0;
  c.head_dim = narrow(file, head_key, file.integer(head_key).value_or(default_head_dim));
  if (const auto v = file.integer(arch + ".attention.value_length"); v && *v != c.head_dim)
    fail("{}: values of {} dimensions a head beside keys of {} are not supported", file.name(), *v,
         c.head_dim);
  c.max_position_embeddings = required(file, arch + ".context_length");
  c.rms_norm_eps =
      static_cast<float>(file.number(arch + ".attention.layer_norm_rms_epsilon").value_or(1e-6));
  const auto has = [&](const char* name) { return parts.find_tensor(name).tensor != nullptr; };
  const GgufTensor* embedding = parts.find_tensor("token_embd.weight").tensor;
  if (embedding == nullptr || embedding->shape.size() != 2)
    fail("{}: tensor token_embd.weight is missing or no matrix", file.name());
  c.vocab_size = static_cast<int>(embedding->shape[0]);
  c.tie_word_embeddings = !has("output.weight");
  c.attention_bias = has("blk.0.attn_q.bias");
  c.attention_out_bias = has("blk.0.attn_output.bias");
  c.mlp_bias = has("blk.0.ffn_up.bias");
  c.qk_norm = has("blk.0.attn_q_norm.weight");
  check_model_config(c, file.name());
  read_rope(parts, arch, c);
  check_model_config(c, file.name());
  const std::string window = arch + ".attention.sliding_window";
  if (const auto v = file.integer(window); v && *v > 0) c.sliding_window = narrow(file, window, *v);
  check_gguf_fields(file, arch, c.head_dim);
  return c;
}

GgufTokenizerFields gguf_tokenizer_fields(const GgufFile& file) {
  GgufTokenizerFields f;
  if (const auto* s = file.text("tokenizer.ggml.model")) f.model = *s;
  if (const auto* s = file.text("tokenizer.ggml.pre")) f.pre = *s;
  if (const auto* list = file.strings("tokenizer.ggml.tokens")) f.tokens = *list;
  if (f.tokens.empty()) fail("{}: metadata tokenizer.ggml.tokens is missing", file.name());
  if (const auto* list = file.integers("tokenizer.ggml.token_type")) {
    if (list->size() != f.tokens.size())
      fail("{}: {} token types for {} tokens", file.name(), list->size(), f.tokens.size());
    for (const int64_t t : *list) f.token_types.push_back(static_cast<int>(t));
  }
  if (const auto* list = file.strings("tokenizer.ggml.merges")) f.merges = *list;
  const auto id = [&](const char* which) -> std::optional<int> {
    const std::string key = fmt::format("tokenizer.ggml.{}_token_id", which);
    const auto v = file.integer(key);
    if (!v) return std::nullopt;
    if (*v < 0 || *v >= static_cast<int64_t>(f.tokens.size()))
      fail("{}: metadata {} is {}, and there are {} tokens", file.name(), key, *v, f.tokens.size());
    return static_cast<int>(*v);
  };
  f.bos_token_id = id("bos");
  f.eos_token_id = id("eos");
  f.unknown_token_id = id("unknown");
  f.padding_token_id = id("padding");
  if (f.model == "llama") read_sentencepiece(file, f);
  f.add_bos_token = file.boolean("tokenizer.ggml.add_bos_token");
  f.add_eos_token = file.boolean("tokenizer.ggml.add_eos_token");
  return f;
}

LoadedModel load_gguf_model(const std::filesystem::path& path) {
  const GgufParts parts(path);
  LoadedModel model;
  model.path = path;
  model.config = gguf_config(parts);
  const ModelConfig& c = model.config;
  std::set<std::string> dequantized, used{"rope_freqs.weight"};
  for (const TensorSpec& spec : model_tensors(c)) {
    const bool matrix = spec.cols > 0;
    const auto name = gguf_tensor_name(matrix ? spec.name + ".weight" : spec.name);
    const auto [file, tensor] = name ? parts.find_tensor(*name) : GgufParts::Tensor{};
    if (tensor == nullptr)
      fail("{}: tensor {} ({}) is missing", parts.first().name(), name.value_or("?"), spec.name);
    used.insert(*name);
    std::vector<int64_t> shape{spec.rows};
    if (matrix) shape.push_back(spec.cols);
    if (tensor->shape != shape)
      fail("{}: tensor {} is [{}] where the metadata want [{}]", file->name(), *name,
           fmt::join(tensor->shape, ", "), fmt::join(shape, ", "));
    const bool rotated = spec.name.find(".self_attn.q_proj") != std::string::npos ||
                         spec.name.find(".self_attn.k_proj") != std::string::npos;
    const int head_dim = rotated && gguf_interleaves_rope(c.model_type) ? c.head_dim : 0;
    if (!matrix) {
      model.vectors.emplace(spec.name, read_gguf_vector(file, *tensor, head_dim));
      continue;
    }
    Weight w = read_gguf_matrix(file, *tensor, head_dim);
    if (!w.quantized() && ggml_type_info(tensor->type).block_values > 1)
      dequantized.insert(ggml_type_info(tensor->type).name);
    if (w.quantized() && !model.quantization && spec.name != "model.embed_tokens")
      model.quantization = Quantization{w.group_size, w.bits};
    model.weights.emplace(spec.name, std::move(w));
  }
  for (const auto& file : parts.files())
    for (const GgufTensor& t : file->tensors())
      if (!used.contains(t.name))
        fail("{}: tensor {} is not known in a model of this family and may change what it computes",
             file->name(), t.name);
  if (!dequantized.empty())
    spdlog::info("{}: tensors in {} are held as f16", path.string(), fmt::join(dequantized, ", "));
  read_text_side(parts.first(), model);
  return model;
}

}  // namespace gavel
