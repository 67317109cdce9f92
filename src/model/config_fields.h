// What a model's files say beside what is read of them, and whether it may change the arithmetic.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "model/gguf.h"

namespace gavel {

// Throws Error naming the first field of a config.json that is not known here, speaks of arithmetic
// by its name (multipliers, caps, windows, rotary embedding, experts and the like), and has a value
// that is not neutral: neither empty nor off, nor the 1 of a factor. `head_dim` is the model's.
void check_config_fields(const nlohmann::json& json, const std::string& file, int head_dim);

// The same for an entry of it that says how positions are rotated.
void check_rope_fields(const nlohmann::json& json, const std::string& file, int head_dim);

// Fields that are not known and set, and whose names do not speak of arithmetic.
std::vector<std::string> unknown_config_fields(const nlohmann::json& json);

// Throws Error naming the first metadata key of the model's architecture ("llama.logit_scale") that
// is not known here and not neutral. All such keys describe the model.
void check_gguf_fields(const GgufFile& file, const std::string& architecture, int head_dim);

}  // namespace gavel
