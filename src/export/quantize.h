// Quantizing a model's matrices to MLX's affine form, and back.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "model/weights.h"

namespace gavel {

// What a rule says of the modules whose path contains `pattern` (a regular expression): bits and
// group size, or nothing, which leaves them dense. Later rules win.
struct QuantizeRule {
  std::string pattern;
  std::optional<Quantization> to;
};
// "down_proj=6", "lm_head=8:32" (bits, and a group size), "o_proj=none". Throws UsageError.
QuantizeRule parse_quantize_rule(const std::string& text, int default_group_size);

struct QuantizeOptions {
  Quantization base{64, 4};
  std::vector<QuantizeRule> rules;
  // "", or mlx_lm's recipes: mixed_2_6, mixed_3_4, mixed_3_6, mixed_4_6.
  std::string recipe;
};

// Quantizes every matrix whose rows divide into groups, the same bits as mlx_lm's convert gives of
// the same dense weights. What is quantized already is dequantized first, where it changes.
void quantize_model(LoadedModel& model, const QuantizeOptions& options);

// "float32", "float16" or "bfloat16"; nothing for any other name.
std::optional<mlx::core::Dtype> find_dtype(const std::string& name);

// The type that a directory's config.json declares as "torch_dtype": mlx_lm's convert casts to it.
// Nothing for a GGUF file.
std::optional<mlx::core::Dtype> declared_dtype(const LoadedModel& model);

// Casts all numbers: dense matrices, the scales and biases of quantized ones, vectors.
void cast_model(LoadedModel& model, mlx::core::Dtype dtype);

// Makes every matrix dense: quantized ones by MLX's own operation, in their scales' type.
void dequantize_model(LoadedModel& model);

struct SizeReport {
  uint64_t bytes = 0;
  double bits_per_weight = 0.0;
};
SizeReport size_of(const LoadedModel& model);

// exp of the mean loss over the tokens of `text` (all but the first of each window), read in
// windows of at most `window` tokens.
double perplexity(const LoadedModel& model, const std::string& text, int window = 1024);

}  // namespace gavel
