// A model as a Hugging Face / MLX directory that mlx_lm (and, where it is not quantized,
// transformers) loads.
#pragma once

#include <filesystem>

#include "adapter/lora.h"
#include "model/weights.h"

namespace gavel {

// Throws Error unless a model may be written there: the directory is new, empty, or holds a model
// that gavel wrote, which is then replaced. Other files in it stay.
void check_model_target(const std::filesystem::path& directory);
// The same for a PEFT adapter.
void check_peft_target(const std::filesystem::path& directory);

// Writes weights (in shards of at most shard_bytes, with an index), config.json and the tokenizer's
// files, into a directory that check_model_target() allows. config.json is the source's own where
// it was a directory, with what changed; else one is written.
void write_model_directory(const LoadedModel& model, const std::filesystem::path& directory,
                           uint64_t shard_bytes = uint64_t{5} << 30);

// Writes a PEFT adapter directory (adapter_config.json, adapter_model.safetensors).
// base_model: what to put down as the base, "" for nothing.
void write_peft_adapter(const Adapter& adapter, const std::string& base_model,
                        const std::filesystem::path& directory);

}  // namespace gavel
