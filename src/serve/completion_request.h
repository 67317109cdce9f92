// What a request for a completion asks for: the fields of OpenAI's API, checked.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "generate/engine.h"
#include "serve/context.h"

namespace gavel {

struct Completion {
  bool chat = true;
  const ServedModel* model = nullptr;
  std::vector<std::vector<int>> prompts;  // a chat has one
  GenerateOptions options;
  std::vector<std::string> stops;
  size_t choices = 1;  // of each prompt
  bool echo = false;   // the text begins with the prompt
  bool stream = false, include_usage = false;
  std::string id;
  int64_t created = 0;
};

// Of /v1/chat/completions (`chat`) or /v1/completions. Throws ApiError for what is not known or
// would change the answer and is not supported.
Completion parse_completion(const ServeContext& context, const std::string& text, bool chat);

}  // namespace gavel
