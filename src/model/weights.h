// Models in: a Hugging Face / MLX directory or a GGUF file becomes one set of named arrays.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "model/config.h"
#include "ops/ops.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace gavel {

// Everything that is read of a model. Matrix weights are keyed by module path under Hugging Face's
// names ("model.layers.0.self_attn.q_proj", "model.embed_tokens", "lm_head"); vectors by full
// tensor name ("model.layers.0.input_layernorm.weight", "model.layers.0.self_attn.q_proj.bias").
struct LoadedModel {
  ModelConfig config;
  std::optional<Quantization> quantization;  // the file's default, where it is quantized
  std::unordered_map<std::string, Weight> weights;
  std::unordered_map<std::string, mlx::core::array> vectors;
  std::optional<Tokenizer> tokenizer;
  std::optional<std::string> chat_template;  // Jinja source
  std::string bos_token, eos_token;          // "" where there is none
  std::vector<int> eos_token_ids;            // all ids that end a generation
  std::filesystem::path path;                // the directory or file that was read
};

// Reads a directory (config.json, *.safetensors, tokenizer.json, tokenizer_config.json,
// chat_template.jinja, generation_config.json) or a .gguf file. Memory-mapped; never holds more
// than the model itself plus a tensor or so. Throws Error: unknown family, missing tensor, wrong
// shape or dtype, cut or corrupt file.
LoadedModel load_model(const std::filesystem::path& path);

}  // namespace gavel
