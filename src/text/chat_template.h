// Chat templates: the subset of Jinja that real models' templates use, with strings identical to
// Python's jinja2 as transformers sets it up (trim_blocks, lstrip_blocks, loop controls, tojson,
// strftime_now, raise_exception).
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace gavel {

struct Message {
  std::string role;     // "system", "user", "assistant"
  std::string content;  // UTF-8
  // What of the content others wrote: special tokens written in it are text.
  std::vector<TextSpan> literal = {};
};

class ChatTemplate {
 public:
  // Parses the template. Throws Error naming the line and a construct that is not supported.
  explicit ChatTemplate(const std::string& source);

  // Renders with any context (messages, tools, add_generation_prompt, bos_token, ...).
  std::string render(const nlohmann::ordered_json& context) const;

  // Renders messages as transformers' apply_chat_template does.
  std::string render(const std::vector<Message>& messages, bool add_generation_prompt,
                     const std::string& bos_token = "", const std::string& eos_token = "") const;

  // Whether a system message's text is in the prompt that is made of it, and still is once an
  // assistant's turn follows; false too where the template raises an error for one. Says so in a
  // warning the first time that it is asked, where it is not.
  bool takes_system(const std::string& bos_token, const std::string& eos_token) const;

  struct Impl;

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace gavel
