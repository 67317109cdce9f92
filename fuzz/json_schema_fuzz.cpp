// A JSON schema (the first line) and choices among the tokens that it lets come (a byte each): some
// token must be able to come until the value is whole, and the value must then be JSON.
#include <nlohmann/json.hpp>

#include "fuzz.h"
#include "generate/json_grammar.h"

namespace {

const gavel::TokenTrie& vocabulary() {
  static const gavel::TokenTrie trie = [] {
    std::vector<std::string> tokens;
    for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
    for (const char* more :
         {"",         "{\"",      "\"}",      "\":",   "\": \"", "\", \"", "[{",   "}]",
          "},",       "true",     "null",     "false", "ab",     "a\"",    "\\\"", "\\u00",
          "\xC3\xA9", "\xF0\x9F", "\x98\x80", "12",    "-1.5e3", "0,",     "  ",   "\n"})
      tokens.emplace_back(more);
    return gavel::TokenTrie(std::move(tokens));
  }();
  return trie;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gavel;
  const std::string_view input = fuzz::text_of(data, size);
  const size_t line = std::min(input.find('\n'), input.size());
  const auto schema = nlohmann::ordered_json::parse(input.substr(0, line), nullptr, false);
  if (schema.is_discarded()) return 0;
  return fuzz::run([&] {
    JsonMatcher matcher(JsonGrammar::compile(schema));
    std::string text;
    std::vector<bool> allowed;
    std::vector<size_t> ids;
    for (size_t i = line + 1; i < std::min(input.size(), line + 300); ++i) {
      matcher.mask(vocabulary(), allowed);
      ids.clear();
      for (size_t id = 0; id < allowed.size(); ++id)
        if (allowed[id]) ids.push_back(id);
      if (ids.empty() ? !matcher.may_end() : matcher.complete()) std::abort();
      if (ids.empty()) break;
      const size_t id = ids[static_cast<uint8_t>(input[i]) % ids.size()];
      for (const char byte : vocabulary().bytes(static_cast<int>(id)))
        if (!matcher.advance(static_cast<uint8_t>(byte))) std::abort();
      text += vocabulary().bytes(static_cast<int>(id));
    }
    if (matcher.may_end() && !nlohmann::json::accept(text)) std::abort();
  });
}
