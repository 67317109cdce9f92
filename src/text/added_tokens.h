// Added and special tokens: found in the text before anything else looks at it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "text/bpe.h"

namespace gavel {

struct AddedToken {
  int id = 0;
  std::string content;
  bool single_word = false;  // only where no word character stands beside it
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // takes the white space after it along
  bool normalized = false;   // is looked for in the normalized text
  bool special = false;
  bool operator==(const AddedToken&) const = default;
};

// Added tokens while files are read, with the ids that `tokenizers` gives them.
class AddedTokenList {
 public:
  // A token whose text is known, here or to the model, keeps its id and takes the new settings;
  // the others get the ids after the highest there is, in order. Empty ones are dropped. The ids
  // of `tokens` are not looked at.
  void add(const std::vector<AddedToken>& tokens, const Bpe& model);

  const std::vector<AddedToken>& tokens() const { return tokens_; }
  // Those whose text was special once stay special: decoding leaves them out.
  std::vector<AddedToken> finished() const;

 private:
  std::vector<AddedToken> tokens_;  // each text once
  std::unordered_map<std::string, size_t> by_content_;
  std::unordered_set<std::string> special_;
};

// Whether a token says what a text is and is no part of it: a special token, or one written in
// brackets ("<think>", "<|fim_prefix|>", "[TOOL]"), which many files do not call special.
bool is_control(const AddedToken& token);

// A part of a text: a token found in it, or (id < 0) what lies between tokens.
struct TextPart {
  size_t begin, end;
  int id;
};

class AddedTokens {
 public:
  // `normalize` is applied to the contents of tokens that ask to be found in normalized text.
  AddedTokens(std::vector<AddedToken> tokens,
              const std::function<std::string(const std::string&)>& normalize);
  AddedTokens() = default;

  // Splits valid UTF-8 text at the tokens that are looked for before (false) or after (true)
  // normalization: the leftmost, and among those the longest.
  void split(std::string_view text, bool normalized, std::vector<TextPart>& parts) const;

  // Where the longest control token that is written at `at` ends; 0 where there is none. Tokens of
  // one character are left out.
  size_t control_end(std::string_view text, size_t at) const;
  size_t longest_control() const { return longest_control_; }  // in bytes

  bool any(bool normalized) const { return !finders_[normalized ? 1 : 0].edges.empty(); }
  const AddedToken* by_id(int id) const;
  const AddedToken* by_content(std::string_view content) const;
  // What decoders see of a token: its normalized text where it is looked for in normalized text.
  const std::string* decoded(int id) const;
  const std::vector<AddedToken>& all() const { return tokens_; }

 private:
  // A trie of bytes; edge (node, byte) -> node. Node 0 is the root.
  struct Finder {
    std::unordered_map<uint64_t, uint32_t> edges;
    std::vector<int> token_at = {-1};  // index into tokens_ of what ends in a node
    bool first[256] = {};
    void add(std::string_view content, int token);
    int longest(std::string_view text, size_t at, size_t& end) const;
  };

  std::vector<AddedToken> tokens_;
  std::vector<std::string> decoded_;
  std::unordered_map<int, size_t> by_id_;
  std::unordered_map<std::string, size_t> by_content_;
  Finder finders_[2], control_;
  size_t longest_control_ = 0;
};

}  // namespace gavel
