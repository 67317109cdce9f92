// The forms in which data sets write what a chat model is to learn, made lists of messages:
// mlx_lm's and OpenAI's, TRL's, ShareGPT's and Alpaca's.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "data/dataset.h"

namespace gavel {

// The kind of a file, by its first record: prompt with completion, messages, text; where there is
// none of them ShareGPT's `conversations` (a chat) or Alpaca's `instruction` with `output` (a
// completion); messages_a with messages_b is a ranked pair. Throws Error for another record, naming
// what it is where that is known.
RecordKind kind_of(const nlohmann::ordered_json& record, const DatasetOptions& options);

// The messages of a record that is no text: {role, content, ...} each, not checked beyond what
// making them needs. With `masked`, a completion must be one message, since the last alone carries
// loss. Throws Error for a field that is missing, mistyped, or of no meaning here.
nlohmann::ordered_json messages_of(const nlohmann::ordered_json& record, RecordKind kind,
                                   bool masked, const DatasetOptions& options);

// A field that must be text, or a number, which becomes its text. Throws Error where it is neither.
std::string text_field(const nlohmann::ordered_json& record, const std::string& name);

}  // namespace gavel
