// Which tokens of a vocabulary may come next in a JSON text.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "generate/json_grammar.h"
#include "text/unicode.h"

namespace gavel {
namespace {

// Steps of one way over one byte, for one token; with more, fewer ways are followed (20 ns a step).
constexpr int64_t kMaxWork = 4'000'000;
constexpr size_t kMaxTokenBytes = 256;  // longer tokens are never drawn

std::vector<std::string> bytes_of(const Tokenizer& tokenizer) {
  std::vector<std::string> tokens(static_cast<size_t>(tokenizer.vocab_size()));
  for (size_t id = 0; id < tokens.size(); ++id)
    if (!tokenizer.is_special(static_cast<int>(id)))
      tokens[id] = tokenizer.token_bytes(static_cast<int>(id));
  return tokens;
}

// Nodes for the sorted tokens from `begin` to `end`, which share their first `depth` bytes.
void add_nodes(TokenTrie::Trie& trie, const std::vector<std::string>& tokens,
               const std::vector<int>& sorted, size_t begin, size_t end, size_t depth) {
  while (begin < end) {
    const auto byte_at = [&](size_t i) {
      return static_cast<uint8_t>(tokens[static_cast<size_t>(sorted[i])][depth]);
    };
    size_t last = begin, longer = begin;
    while (last < end && byte_at(last) == byte_at(begin)) ++last;
    while (longer < last && tokens[static_cast<size_t>(sorted[longer])].size() == depth + 1)
      ++longer;
    const size_t node = trie.nodes.size();
    trie.nodes.push_back(
        {byte_at(begin), 0, static_cast<uint32_t>(begin), static_cast<uint32_t>(longer - begin)});
    add_nodes(trie, tokens, sorted, longer, last, depth + 1);
    trie.nodes[node].end = static_cast<uint32_t>(trie.nodes.size());
    begin = last;
  }
}

}  // namespace

TokenTrie::TokenTrie(const Tokenizer& tokenizer) : TokenTrie(bytes_of(tokenizer)) {}

TokenTrie::TokenTrie(std::vector<std::string> tokens) : tokens_(std::move(tokens)) {
  JsonMatcher string(JsonGrammar::compile({{"type", "string"}}));
  string.advance('"');
  const JsonMatcher body = string;
  for (size_t id = 0; id < tokens_.size(); ++id) {
    const std::string& bytes = tokens_[id];
    if (bytes.empty() || bytes.size() > kMaxTokenBytes) continue;
    JsonMatcher matcher = body;
    bool is_plain = bytes.find_first_of("\"\\") == std::string::npos;
    for (const char byte : bytes)
      is_plain = is_plain && matcher.advance(static_cast<uint8_t>(byte));
    is_plain = is_plain && matcher.advance('"');  // it ends with a character's end
    (is_plain ? plain_ : rest_).ids.push_back(static_cast<int>(id));
    if (is_plain)
      longest_plain_ = std::max(longest_plain_, static_cast<int64_t>(unicode::count(bytes)));
  }
  for (Trie* trie : {&plain_, &rest_}) {
    std::sort(trie->ids.begin(), trie->ids.end(), [&](int a, int b) {
      return tokens_[static_cast<size_t>(a)] < tokens_[static_cast<size_t>(b)];
    });
    add_nodes(*trie, tokens_, trie->ids, 0, trie->ids.size(), 0);
  }
}

// False where it would take too long.
bool JsonMatcher::walk(const TokenTrie::Trie& trie, size_t begin, size_t end, const Configs& at,
                       std::vector<bool>& allowed) {
  const size_t held = stack_.size();
  Configs next;
  for (size_t i = begin; i < end; i = trie.nodes[i].end) {
    const auto& node = trie.nodes[i];
    step_all(at, node.byte, next);
    if (work_ > kMaxWork && max_ways_ > 1) return false;
    if (!next.empty()) {
      for (uint32_t k = 0; k < node.count; ++k)
        allowed[static_cast<size_t>(trie.ids[node.first + k])] = true;
      if (!walk(trie, i + 1, node.end, next, allowed)) return false;
    }
    stack_.resize(held);
  }
  return true;
}

bool JsonMatcher::mask_in_time(const TokenTrie& tokens, std::vector<bool>& allowed) {
  allowed.assign(tokens.size(), false);
  // Within a string that has room all plain tokens may come, and need no walk.
  Configs others;
  bool roomy = false;
  for (const Config& c : configs_) {
    if (c.top.rule < 0) continue;
    const bool room = has_room(c, tokens.longest_plain());
    roomy |= room;
    if (!room) others.push_back(c);
  }
  if (roomy)
    for (const int id : tokens.plain().ids) allowed[static_cast<size_t>(id)] = true;
  return walk(tokens.plain(), 0, tokens.plain().nodes.size(), others, allowed) &&
         walk(tokens.rest(), 0, tokens.rest().nodes.size(), configs_, allowed);
}

void JsonMatcher::mask(const TokenTrie& tokens, std::vector<bool>& allowed) {
  const size_t held = stack_.size();
  max_ways_ = kMaxWays;
  while (work_ = 0, !mask_in_time(tokens, allowed)) {
    stack_.resize(held);
    max_ways_ = std::max<size_t>(1, max_ways_ / 8);
    configs_.resize(std::min(configs_.size(), max_ways_));
  }
}

}  // namespace gavel
