#include "text/added_tokens.h"

#include <algorithm>

#include "text/thought.h"
#include "text/unicode.h"

namespace gavel {
namespace {

// The start of the last character before text[at] (at > 0).
size_t previous(std::string_view text, size_t at) {
  do --at;
  while (at > 0 && (text[at] & 0xC0) == 0x80);
  return at;
}

bool word_before(std::string_view text, size_t at) {
  if (at == 0) return false;
  size_t start = previous(text, at);
  return unicode::is_word(unicode::next(text, start));
}

bool word_after(std::string_view text, size_t at) {
  return at < text.size() && unicode::is_word(unicode::next(text, at));
}

size_t skip_space_back(std::string_view text, size_t at, size_t limit) {
  while (at > limit) {
    const size_t start = previous(text, at);
    size_t i = start;
    if (!unicode::is_white_space(unicode::next(text, i))) break;
    at = start;
  }
  return at;
}

size_t skip_space(std::string_view text, size_t at) {
  while (at < text.size()) {
    size_t i = at;
    if (!unicode::is_white_space(unicode::next(text, i))) break;
    at = i;
  }
  return at;
}

}  // namespace

bool is_control(const AddedToken& token) {
  const std::string_view text = token.content;
  const auto bracketed = [&](char open, char close) {
    return text.size() > 2 && text.front() == open && text.back() == close &&
           text.find_first_of(" \t\r\n") == std::string_view::npos;
  };
  return token.special || bracketed('<', '>') || bracketed('[', ']') || is_thought_tag(text);
}

void AddedTokenList::add(const std::vector<AddedToken>& tokens, const Bpe& model) {
  int next = static_cast<int>(model.size());
  for (const AddedToken& token : tokens_) next = std::max(next, token.id + 1);
  for (AddedToken token : tokens) {
    if (token.content.empty()) continue;
    if (token.special) special_.insert(token.content);
    const auto known = by_content_.find(token.content);
    if (known != by_content_.end()) {
      token.id = tokens_[known->second].id;
      tokens_[known->second] = std::move(token);
      continue;
    }
    const auto id = model.token_to_id(token.content);
    token.id = id ? *id : next++;
    by_content_.emplace(token.content, tokens_.size());
    tokens_.push_back(std::move(token));
  }
}

std::vector<AddedToken> AddedTokenList::finished() const {
  std::vector<AddedToken> out = tokens_;
  for (AddedToken& token : out) token.special = special_.contains(token.content);
  return out;
}

void AddedTokens::Finder::add(std::string_view content, int token) {
  if (content.empty()) return;
  uint32_t node = 0;
  for (char c : content) {
    const uint64_t key = uint64_t{node} << 8 | static_cast<uint8_t>(c);
    const auto [edge, is_new] = edges.try_emplace(key, static_cast<uint32_t>(token_at.size()));
    if (is_new) token_at.push_back(-1);
    node = edge->second;
  }
  first[static_cast<uint8_t>(content[0])] = true;
  if (token_at[node] < 0) token_at[node] = token;
}

int AddedTokens::Finder::longest(std::string_view text, size_t at, size_t& end) const {
  int found = -1;
  uint32_t node = 0;
  for (size_t i = at; i < text.size(); ++i) {
    const auto edge = edges.find(uint64_t{node} << 8 | static_cast<uint8_t>(text[i]));
    if (edge == edges.end()) break;
    node = edge->second;
    if (token_at[node] >= 0) {
      found = token_at[node];
      end = i + 1;
    }
  }
  return found;
}

AddedTokens::AddedTokens(std::vector<AddedToken> tokens,
                         const std::function<std::string(const std::string&)>& normalize)
    : tokens_(std::move(tokens)) {
  for (const AddedToken& token : tokens_)
    decoded_.push_back(token.normalized ? normalize(token.content) : token.content);
  // Special tokens go first: where two have the same text, the first one found counts.
  for (const bool special : {true, false})
    for (size_t i = 0; i < tokens_.size(); ++i) {
      const AddedToken& token = tokens_[i];
      if (token.special != special) continue;
      by_id_[token.id] = i;
      by_content_.emplace(token.content, i);
      finders_[token.normalized ? 1 : 0].add(decoded_[i], static_cast<int>(i));
      size_t second = 0;
      if (!token.content.empty()) unicode::next(token.content, second);
      if (!is_control(token) || second >= token.content.size()) continue;
      control_.add(token.content, static_cast<int>(i));
      longest_control_ = std::max(longest_control_, token.content.size());
    }
}

const std::string* AddedTokens::decoded(int id) const {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : &decoded_[it->second];
}

void AddedTokens::split(std::string_view text, bool normalized,
                        std::vector<TextPart>& parts) const {
  const Finder& finder = finders_[normalized ? 1 : 0];
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    size_t end = 0;
    const int index =
        finder.first[static_cast<uint8_t>(text[at])] ? finder.longest(text, at, end) : -1;
    if (index < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(index)];
    size_t begin = at;
    at = end;
    if (token.single_word && (word_before(text, begin) || word_after(text, end))) continue;
    if (token.lstrip) begin = skip_space_back(text, begin, std::min(done, begin));
    if (token.rstrip) end = skip_space(text, end);
    if (done < begin) parts.push_back({done, begin, -1});
    parts.push_back({begin, end, token.id});
    // A token that is white space may be found again in what this one took along, as in
    // `tokenizers`.
    done = end;
  }
  if (done < text.size()) parts.push_back({done, text.size(), -1});
}

size_t AddedTokens::control_end(std::string_view text, size_t at) const {
  size_t end = 0;
  if (control_.first[static_cast<uint8_t>(text[at])]) control_.longest(text, at, end);
  return end;
}

const AddedToken* AddedTokens::by_id(int id) const {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : &tokens_[it->second];
}

const AddedToken* AddedTokens::by_content(std::string_view content) const {
  const auto it = by_content_.find(std::string(content));
  return it == by_content_.end() ? nullptr : &tokens_[it->second];
}

}  // namespace gavel
