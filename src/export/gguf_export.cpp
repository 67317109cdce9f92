#include "export/gguf_export.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "export/ggml_quantize.h"
#include "export/gguf_writer.h"
#include "export/tokenizer_export.h"
#include "model/gguf_model.h"
#include "model/gguf_tensors.h"

namespace gavel {
namespace fs = std::filesystem;
namespace mx = mlx::core;
namespace {

// llama.cpp's LLAMA_FTYPE numbers.
uint32_t file_type(GgufKind kind) {
  switch (kind) {
    case GgufKind::f32:
      return 0;
    case GgufKind::f16:
      return 1;
    case GgufKind::q4_0:
      return 2;
    case GgufKind::q4_1:
      return 3;
    case GgufKind::q8_0:
      return 7;
    case GgufKind::bf16:
      return 32;
    case GgufKind::automatic:
      break;
  }
  return 1024;  // "guessed"
}

std::optional<GgmlType> type_of(GgufKind kind) {
  switch (kind) {
    case GgufKind::f32:
      return GgmlType::f32;
    case GgufKind::f16:
      return GgmlType::f16;
    case GgufKind::bf16:
      return GgmlType::bf16;
    case GgufKind::q8_0:
      return GgmlType::q8_0;
    case GgufKind::q4_0:
      return GgmlType::q4_0;
    case GgufKind::q4_1:
      return GgmlType::q4_1;
    case GgufKind::automatic:
      break;
  }
  return std::nullopt;
}

GgmlType dense_type(mx::Dtype dtype) {
  if (dtype == mx::float16) return GgmlType::f16;
  if (dtype == mx::bfloat16) return GgmlType::bf16;
  return GgmlType::f32;
}

int bits_per_weight(GgmlType type) {
  const GgmlTypeInfo& info = ggml_type_info(type);
  return info.block_bytes * 8 / info.block_values;
}

// The type of one matrix, and whether its groups go over exactly.
struct Choice {
  GgmlType type;
  bool lossless;
};

Choice choose(const std::string& name, const WeightRows& rows, mx::Dtype dtype, GgufKind kind) {
  const std::optional<GgmlType> exact = lossless_ggml_type(rows);
  if (kind == GgufKind::automatic) {
    if (exact) return {*exact, true};
    return {rows.quantized() ? GgmlType::f16 : dense_type(dtype), false};
  }
  GgmlType type = *type_of(kind);
  const bool table = name == "model.embed_tokens" || name == "lm_head";
  // Embeddings and head are what suffers most from few bits.
  if (table && bits_per_weight(type) < 8 && !(exact && bits_per_weight(*exact) < 8))
    type = GgmlType::q8_0;
  if (exact == type) return {type, true};
  if (rows.cols() % ggml_type_info(type).block_values != 0)
    return {rows.cols() % 32 == 0 ? GgmlType::q8_0 : GgmlType::f16, false};
  return {type, false};
}

void add_matrix(GgufWriter& out, const std::string& name, const Weight& weight, int head_dim,
                GgufKind kind, GgufExportReport& report) {
  const auto rows = std::make_shared<const WeightRows>(weight);
  const Choice choice = choose(name, *rows, weight.data.dtype(), kind);
  report.weights += rows->rows() * rows->cols();
  report.lossless += choice.lossless;
  report.requantized += rows->quantized() && !choice.lossless;
  out.add({*gguf_tensor_name(name + ".weight"),
           choice.type,
           {rows->rows(), rows->cols()},
           [=](int64_t row, std::byte* to) {
             const int64_t from = deinterleaved_row(row, head_dim);
             if (choice.lossless) return pack_ggml_row(choice.type, *rows, from, to);
             std::vector<float> values(static_cast<size_t>(rows->cols()));
             rows->values(from, values.data());
             quantize_ggml_row(choice.type, values.data(), rows->cols(), to);
           }});
}

// Norms and biases, always in F32 as llama.cpp wants them.
void add_vector(GgufWriter& out, const std::string& name, const mx::array& array, int head_dim) {
  mx::array f = mx::contiguous(mx::astype(array, mx::float32));
  f.eval();
  const int64_t count = f.size();
  out.add({*gguf_tensor_name(name), GgmlType::f32, {count}, [=](int64_t, std::byte* to) {
             const float* from = f.data<float>();
             for (int64_t i = 0; i < count; ++i)
               std::memcpy(to + i * 4, from + deinterleaved_row(i, head_dim), 4);
           }});
}

// The table of divisors by which GGUF expresses Llama 3's scaling.
void add_rope_factors(GgufWriter& out, const ModelConfig& config) {
  ModelConfig plain = config;
  plain.rope_scaling.reset();
  const auto base = rope_inv_freq(plain), scaled = rope_inv_freq(config);
  out.add({"rope_freqs.weight", GgmlType::f32, {config.head_dim / 2}, [=](int64_t, std::byte* to) {
             for (size_t i = 0; i < base.size(); ++i) {
               const float factor = base[i] / scaled[i];
               std::memcpy(to + i * 4, &factor, 4);
             }
           }});
}

std::string architecture(const ModelConfig& c) {
  return c.model_type == "mistral" ? "llama" : c.model_type;
}

void put_config(GgufWriter& out, const ModelConfig& c) {
  const std::string arch = architecture(c);
  const auto u32 = [&](const char* key, int value) {
    out.set_u32(arch + "." + key, static_cast<uint32_t>(value));
  };
  u32("vocab_size", c.vocab_size);
  u32("context_length", c.max_position_embeddings);
  u32("embedding_length", c.hidden_size);
  u32("block_count", c.num_hidden_layers);
  u32("feed_forward_length", c.intermediate_size);
  u32("attention.head_count", c.num_attention_heads);
  u32("attention.head_count_kv", c.num_key_value_heads);
  u32("attention.key_length", c.head_dim);
  u32("attention.value_length", c.head_dim);
  u32("rope.dimension_count", c.head_dim);
  out.set_f32(arch + ".attention.layer_norm_rms_epsilon", c.rms_norm_eps);
  out.set_f32(arch + ".rope.freq_base", c.rope_theta);
  if (c.rope_scaling && c.rope_scaling->rope_type == "linear") {
    out.set(arch + ".rope.scaling.type", "linear");
    out.set_f32(arch + ".rope.scaling.factor", c.rope_scaling->factor);
  }
}

void put_tokenizer(GgufWriter& out, const LoadedModel& model) {
  const GgufTokenizerFields f = tokenizer_to_gguf(model);
  out.set("tokenizer.ggml.model", f.model);
  out.set("tokenizer.ggml.pre", f.pre.empty() ? "default" : f.pre);
  out.set_strings("tokenizer.ggml.tokens", f.tokens);
  out.set_i32s("tokenizer.ggml.token_type",
               f.token_types.empty() ? std::vector<int>(f.tokens.size(), 1) : f.token_types);
  if (f.model == "llama") {
    out.set_f32s("tokenizer.ggml.scores", f.scores);
    out.set_bool("tokenizer.ggml.add_space_prefix", f.add_space_prefix);
  } else {
    out.set_strings("tokenizer.ggml.merges", f.merges);
  }
  const auto id = [&](const char* which, const std::optional<int>& value) {
    if (value)
      out.set_u32(fmt::format("tokenizer.ggml.{}_token_id", which), static_cast<uint32_t>(*value));
  };
  id("bos", f.bos_token_id);
  id("eos", f.eos_token_id);
  id("unknown", f.unknown_token_id);
  id("padding", f.padding_token_id);
  if (f.add_bos_token) out.set_bool("tokenizer.ggml.add_bos_token", *f.add_bos_token);
  if (f.add_eos_token) out.set_bool("tokenizer.ggml.add_eos_token", *f.add_eos_token);
  if (model.chat_template) out.set("tokenizer.chat_template", *model.chat_template);
}

bool is_rotated(const std::string& name) {
  return name.find(".self_attn.q_proj") != std::string::npos ||
         name.find(".self_attn.k_proj") != std::string::npos;
}

std::string model_name(const fs::path& path) {
  const fs::path whole = fs::absolute(path).lexically_normal();
  if (const auto part = parse_gguf_part_name(whole.filename().string())) return part->prefix;
  return whole.stem().string();
}

// A split model that is written over its own parts would be lost where writing fails.
void check_not_source(const fs::path& source, const fs::path& path) {
  const auto folder = [](const fs::path& file) {
    return file.parent_path().empty() ? fs::path(".") : file.parent_path();
  };
  std::error_code ec;
  if (parse_gguf_part_name(source.filename().string()) &&
      gguf_part_prefix(source) == gguf_part_prefix(path) &&
      fs::equivalent(folder(source), folder(path), ec))
    fail("{} would overwrite parts of the model itself: write to another file", path.string());
}

}  // namespace

std::optional<GgufKind> parse_gguf_kind(const std::string& text) {
  std::string lower = text;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  for (const auto& [name, kind] :
       std::initializer_list<std::pair<const char*, GgufKind>>{{"auto", GgufKind::automatic},
                                                               {"f32", GgufKind::f32},
                                                               {"f16", GgufKind::f16},
                                                               {"bf16", GgufKind::bf16},
                                                               {"q8_0", GgufKind::q8_0},
                                                               {"q4_0", GgufKind::q4_0},
                                                               {"q4_1", GgufKind::q4_1}})
    if (lower == name) return kind;
  return std::nullopt;
}

std::optional<uint64_t> parse_part_size(const std::string& text) {
  uint64_t n = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, n);
  const std::string_view unit(at, static_cast<size_t>(end - at));
  const uint64_t factor = unit == "G" ? 1000000000 : unit == "M" ? 1000000 : unit.empty() ? 1 : 0;
  if (error != std::errc() || factor == 0 || n == 0 || n > UINT64_MAX / factor) return std::nullopt;
  return n * factor;
}

GgufExportReport export_gguf(const LoadedModel& model, GgufKind kind, const fs::path& path,
                             uint64_t part_bytes) {
  const ModelConfig& c = model.config;
  GgufExportReport report;
  GgufWriter out;
  out.set("general.architecture", architecture(c));
  out.set("general.type", "model");
  out.set("general.name", model_name(model.path));
  out.set_u32("general.file_type", file_type(kind));
  out.set_u32("general.quantization_version", 2);
  put_config(out, c);
  put_tokenizer(out, model);
  if (c.rope_scaling && c.rope_scaling->rope_type != "linear") add_rope_factors(out, c);
  for (const TensorSpec& spec : model_tensors(c)) {
    const int head_dim =
        is_rotated(spec.name) && gguf_interleaves_rope(c.model_type) ? c.head_dim : 0;
    if (spec.cols > 0)
      add_matrix(out, spec.name, model.weights.at(spec.name), head_dim, kind, report);
    else
      add_vector(out, spec.name, model.vectors.at(spec.name), head_dim);
  }
  check_not_source(model.path, path);
  report.files = out.write(path, part_bytes);
  for (const fs::path& file : report.files) report.bytes += fs::file_size(file);
  return report;
}

void export_gguf_lora(const ModelConfig& config, const Adapter& adapter, const fs::path& path) {
  if (adapter.matrices.empty()) fail("the adapter has no matrices");
  GgufWriter out;
  out.set("general.architecture", architecture(config));
  out.set("general.type", "adapter");
  out.set("adapter.type", "lora");
  out.set_u32("general.file_type", 0);
  // One alpha for the file; llama.cpp scales each pair by alpha / rank. What differs goes into B.
  const LoraMatrix& first = adapter.matrices.front();
  const float alpha =
      first.scale != 0.0f ? first.scale * static_cast<float>(first.a.shape(1)) : 1.0f;
  out.set_f32("adapter.lora.alpha", alpha);
  for (const LoraMatrix& m : adapter.matrices) {
    const std::string name = *gguf_tensor_name(module_path(m) + ".weight");
    const int rank = m.a.shape(1);
    const float factor = m.scale * static_cast<float>(rank) / alpha;
    mx::array a = mx::contiguous(mx::astype(mx::transpose(m.a), mx::float32));  // [r, in]
    mx::array b = mx::astype(mx::transpose(m.b), mx::float32);                  // [out, r]
    if (factor != 1.0f) b = b * factor;
    b = mx::contiguous(b);
    mx::eval({a, b});
    const int head_dim = (m.projection == Projection::q || m.projection == Projection::k) &&
                                 gguf_interleaves_rope(config.model_type)
                             ? config.head_dim
                             : 0;
    const auto add = [&](const char* suffix, const mx::array& matrix, int turned) {
      const int64_t cols = matrix.shape(1);
      out.add(
          {name + suffix, GgmlType::f32, {matrix.shape(0), cols}, [=](int64_t row, std::byte* to) {
             std::memcpy(to, matrix.data<float>() + deinterleaved_row(row, turned) * cols,
                         static_cast<size_t>(cols) * 4);
           }});
    };
    add(".lora_a", a, 0);
    add(".lora_b", b, head_dim);
  }
  out.write(path);
}

}  // namespace gavel
