// JSON schemas as automata over bytes: which bytes, and with a vocabulary which tokens, may come
// next in a JSON text that the schema takes. Debian packages no library that does this.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace gavel {

// A compiled schema. The texts it allows are some of those that are valid: members in the schema's
// order, those that it does not name only where it names none, at most one blank after ':' and ','.
struct JsonGrammar {
  enum class Kind : uint8_t { literal, string, number, integer, object, array, any_of };
  struct Member {
    int key = 0, value = 0;  // rules
    bool required = false;
  };
  struct Rule {
    Kind kind = Kind::any_of;
    std::string text;          // literal
    std::vector<int> options;  // any_of; after compiling each rule's own, none of them any_of
    std::vector<Member> members;
    int items = -1;                // array: of its items; object: of members with any name
    int64_t least = 0, most = -1;  // items, or characters of a string; -1: no limit
    int depth = 0;                 // nesting that the rule needs at least
  };
  std::vector<Rule> rules;
  int root = 0, any_string = 0;

  // Any JSON object.
  static std::shared_ptr<const JsonGrammar> any_object();
  // Throws Error, naming the place in the schema, for what is not supported or fits no value.
  static std::shared_ptr<const JsonGrammar> compile(const nlohmann::ordered_json& schema);
};

// The bytes of a vocabulary's tokens as two tries: of those that are whole characters of a JSON
// string (without quotes and escapes), and of all others. Special tokens are in none.
class TokenTrie {
 public:
  explicit TokenTrie(const Tokenizer& tokenizer);
  explicit TokenTrie(std::vector<std::string> tokens);  // "": no token

  struct Node {
    uint8_t byte;
    uint32_t end;           // the index after its subtree: nodes are in preorder
    uint32_t first, count;  // of `ids`: the tokens that end here
  };
  struct Trie {
    std::vector<Node> nodes;
    std::vector<int> ids;
  };
  const Trie& plain() const { return plain_; }
  const Trie& rest() const { return rest_; }
  int64_t longest_plain() const { return longest_plain_; }  // characters
  const std::string& bytes(int id) const { return tokens_[static_cast<size_t>(id)]; }
  size_t size() const { return tokens_.size(); }

 private:
  std::vector<std::string> tokens_;
  Trie plain_, rest_;
  int64_t longest_plain_ = 0;
};

// One text on its way through a grammar.
class JsonMatcher {
 public:
  explicit JsonMatcher(std::shared_ptr<const JsonGrammar> grammar);

  // Takes a byte. False, and nothing may come any more, where the text is no beginning then.
  bool advance(uint8_t byte);
  bool may_end() const;   // the text is a whole value
  bool complete() const;  // and nothing can follow
  // allowed[id]: whether the token keeps the text a beginning. Tokens without bytes never do.
  void mask(const TokenTrie& tokens, std::vector<bool>& allowed);

 private:
  struct Frame {
    int16_t rule = -1;  // -1: the whole value is read
    uint8_t state = 0, more = 0;
    int32_t data = 0;
    auto operator<=>(const Frame&) const = default;
  };
  struct Config {
    Frame top;
    int32_t parent = -1;  // of stack_
    auto operator<=>(const Config&) const = default;
  };
  struct Held {
    Frame frame;
    int32_t parent, depth;
  };
  using Configs = std::vector<Config>;

  const JsonGrammar::Rule& rule(const Frame& f) const {
    return grammar_->rules[static_cast<size_t>(f.rule)];
  }
  void step_all(const Configs& from, uint8_t byte, Configs& to);
  void step(const Config& c, uint8_t byte, Configs& to);
  void step_string(Config c, uint8_t byte, Configs& to);
  void step_number(Config c, uint8_t byte, Configs& to);
  void step_object(Config c, uint8_t byte, Configs& to);
  void step_array(Config c, uint8_t byte, Configs& to);
  void start(int rule, Frame parent, int32_t above, uint8_t byte, Configs& to);
  void pop(const Config& c, Configs& to) const;
  bool fits(int rule, int32_t above) const;
  bool has_key(const Config& c, int32_t from) const;
  void compact();
  bool has_room(const Config& c, int64_t characters) const;  // in a string, for any that are plain
  bool walk(const TokenTrie::Trie& trie, size_t begin, size_t end, const Configs& at,
            std::vector<bool>& allowed);
  bool mask_in_time(const TokenTrie& tokens, std::vector<bool>& allowed);

  std::shared_ptr<const JsonGrammar> grammar_;
  std::vector<Held> stack_;  // frames below the tops, which configurations share
  Configs configs_;
  static constexpr size_t kMaxWays = 2048;
  size_t max_ways_ = kMaxWays;  // fewer where following them all would take too long
  int64_t work_ = 0;
};

}  // namespace gavel
