// LoRA adapters (Hu et al. 2021): y = W x + scale * B A x, scale = alpha / rank, kept in mlx_lm's
// layout (lora_a [in, rank], lora_b [rank, out]).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "model/transformer.h"

namespace gavel {

enum class LoraInit : uint8_t { kaiming, gaussian };

struct LoraConfig {
  int rank = 8;
  float scale = 20.0f;  // alpha / rank; mlx_lm's default
  float dropout = 0.0f;
  std::vector<Projection> targets = {Projection::q, Projection::v};
  int num_layers = 16;  // the last so many layers; -1: all
};

struct LoraMatrix {
  size_t layer = 0;
  Projection projection = Projection::q;
  mx::array a;         // [in_features, rank], float32
  mx::array b;         // [rank, out_features], float32
  float scale = 1.0f;  // differs between matrices only in adapters read from elsewhere
};

struct Adapter {
  LoraConfig config;
  std::vector<LoraMatrix> matrices;  // by layer, then projection
};

// What names such as q_proj or self_attn.q_proj stand for. Throws Error for one that is not known
// or that is there twice.
std::vector<Projection> parse_targets(const std::vector<std::string>& names);

// "model.layers.3.self_attn.q_proj".
std::string module_path(const LoraMatrix& m);

// A new adapter: A uniform in +-1/sqrt(in) (kaiming, as torch and mlx_lm do) or normal with
// deviation 1/rank (gaussian, as PEFT does), B zero. Throws Error where the model does not have so
// many layers.
Adapter make_adapter(const Model& model, const LoraConfig& config, LoraInit init, uint64_t seed);

// Trainable values of the adapter.
int64_t parameter_count(const Adapter& adapter);

// The adapter as the model's forward pass takes it; `arrays`, where given, are a, b of each matrix
// in order and stand in for the adapter's own.
ModelLora bind(const Model& model, const Adapter& adapter, const Arrays* arrays = nullptr);

// Several adapters as one: their weighted low-rank updates side by side in one larger rank.
struct WeightedAdapter {
  Adapter adapter;
  float weight = 1.0f;
};
Adapter stack(const std::vector<WeightedAdapter>& adapters);

// The same update with one rank (the largest, others filled with zeros) and one scale (the others'
// share of it multiplied into b) in all matrices: all that mlx_lm's files can say.
Adapter uniform(const Adapter& adapter);

// Reads an adapter directory (mlx_lm's adapter_config.json + adapters.safetensors, or PEFT's
// adapter_config.json + adapter_model.safetensors), or one .safetensors file beside an
// adapter_config.json. Throws Error: what is missing, does not fit the model, is not LoRA, or is a
// setting that would change what the adapter computes and is not known here.
Adapter load_adapter(const Model& model, const std::filesystem::path& path);

// Writes `file` (adapters.safetensors or the like) as mlx_lm reads it (uniform), atomically.
void save_adapter_weights(const Adapter& adapter, const std::filesystem::path& file);
// Writes adapter_config.json, atomically; `extra_json` is an object whose entries are added.
void save_adapter_config(const Adapter& adapter, const std::filesystem::path& directory,
                         const std::string& extra_json = "{}");

}  // namespace gavel
