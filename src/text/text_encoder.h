// What turns text into a model's tokens.
#pragma once

#include <optional>
#include <string>

#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace gavel {

struct TextEncoder {
  Tokenizer tokenizer;
  std::optional<ChatTemplate> chat_template;  // needed for `messages` and `prompt`/`completion`
  std::string bos_token, eos_token;
  std::optional<int> eos_token_id;  // appended to `text` records
  std::string id;                   // what its tokens follow from, as a hash; "": not known
};

}  // namespace gavel
