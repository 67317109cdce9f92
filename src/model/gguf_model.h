// A model in a GGUF file under Hugging Face's names.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "model/gguf_parts.h"
#include "model/weights.h"

namespace gavel {

// GGUF's name of a Hugging Face tensor: "model.layers.3.self_attn.q_proj" + ".weight" or ".bias"
// -> "blk.3.attn_q.weight". Nothing where GGUF has no such tensor.
std::optional<std::string> gguf_tensor_name(const std::string& hugging_face_name);

// Whether GGUF stores this family's q and k rows interleaved (those converted as "llama" are).
bool gguf_interleaves_rope(const std::string& model_type);

// The configuration that the metadata (and rope_freqs.weight, where it is there) describe.
ModelConfig gguf_config(const GgufParts& parts);

// The tokenizer.ggml.* metadata. Throws Error where tokens are missing or ids are out of range.
GgufTokenizerFields gguf_tokenizer_fields(const GgufFile& file);

LoadedModel load_gguf_model(const std::filesystem::path& path);

}  // namespace gavel
