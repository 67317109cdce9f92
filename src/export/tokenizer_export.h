// Tokenizers from one format to the other: tokenizer.json <-> GGUF's metadata.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "model/weights.h"
#include "text/tokenizer.h"

namespace gavel {

// What GGUF says of a tokenizer that a directory's tokenizer.json describes. Ids up to vocab_size
// that have no token become unused ones. Throws Error where its pre-tokenizer has no name in GGUF
// or it is no byte-level BPE.
GgufTokenizerFields tokenizer_to_gguf(const LoadedModel& model);

// A tokenizer.json that `tokenizers` reads, with the same results.
nlohmann::json tokenizer_from_gguf(const GgufTokenizerFields& fields, const std::string& name);

// The tokenizer's files of `model` by name, for a directory: a directory's own, unchanged; of a
// GGUF file's metadata tokenizer.json, tokenizer_config.json, chat_template.jinja and
// generation_config.json are made. Throws Error where they cannot be.
std::map<std::string, std::string> tokenizer_files(const LoadedModel& model);

}  // namespace gavel
