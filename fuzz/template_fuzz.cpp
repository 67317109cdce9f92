// A chat template, rendered with messages, tools and the rest of what transformers gives one.
#include <nlohmann/json.hpp>

#include "fuzz.h"
#include "text/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gavel;
  static const nlohmann::ordered_json context = nlohmann::ordered_json::parse(R"({
    "messages": [{"role": "system", "content": "Be brief."},
                 {"role": "user", "content": " Why? <b>\n"},
                 {"role": "assistant", "content": "<think>\nx</think>Because.",
                  "tool_calls": [{"type": "function", "function":
                                  {"name": "f", "arguments": {"x": 1.5}}}]},
                 {"role": "tool", "content": "7"}],
    "tools": [{"type": "function", "function":
               {"name": "f", "description": "d", "parameters": {"type": "object"}}}],
    "documents": null, "add_generation_prompt": true, "enable_thinking": false,
    "bos_token": "<s>", "eos_token": "</s>"})");
  return fuzz::run([&] { ChatTemplate(std::string(fuzz::text_of(data, size))).render(context); });
}
