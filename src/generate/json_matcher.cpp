// Reading a JSON text byte by byte: which ways through the grammar are still open.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "generate/json_grammar.h"

namespace gavel {
namespace {

using Kind = JsonGrammar::Kind;

constexpr int kMaxDepth = 32;   // of values in values
constexpr int kMaxDigits = 15;  // of a number's whole part, and of its fraction
constexpr int kMaxExponentDigits = 2;
constexpr size_t kCompactAt = 1 << 14;

// States of an object; an array's are those without a key.
enum : uint8_t {
  kOpen,
  kFirst,
  kNext,
  kNextBlank,
  kInKey,
  kColon,
  kValue,
  kValueBlank,
  kInValue,
  kAfter
};
// Of a string.
enum : uint8_t { kQuote, kBody, kEscape, kHex1, kHex2, kHexLow2, kHex3, kHex4, kUtf8 };
// Of a number.
enum : uint8_t {
  kSign,
  kFirstDigit,
  kZero,
  kWhole,
  kPoint,
  kFraction,
  kE,
  kExponentSign,
  kExponent
};

bool is_digit(uint8_t b) { return b >= '0' && b <= '9'; }
bool is_hex(uint8_t b) { return is_digit(b) || (b >= 'a' && b <= 'f') || (b >= 'A' && b <= 'F'); }
// A character of several bytes: what its next byte may be (1: E0's, 2: ED's, 3: F0's, 4: F4's) * 4
// + bytes to come. 0 for a byte that begins none.
uint8_t utf8_lead(uint8_t b) {
  if (b < 0xC2 || b > 0xF4) return 0;
  const int more = b < 0xE0 ? 1 : b < 0xF0 ? 2 : 3;
  const int next = b == 0xE0 ? 1 : b == 0xED ? 2 : b == 0xF0 ? 3 : b == 0xF4 ? 4 : 0;
  return static_cast<uint8_t>(next << 2 | more);
}

bool ends_number(uint8_t state) {
  return state == kZero || state == kWhole || state == kFraction || state == kExponent;
}

}  // namespace

JsonMatcher::JsonMatcher(std::shared_ptr<const JsonGrammar> grammar)
    : grammar_(std::move(grammar)) {
  const auto& root = grammar_->rules[static_cast<size_t>(grammar_->root)];
  for (const int option : root.options)
    configs_.push_back({{.rule = static_cast<int16_t>(option)}, -1});
}

bool JsonMatcher::fits(int rule, int32_t above) const {
  const int depth = above < 0 ? 0 : stack_[static_cast<size_t>(above)].depth;
  return depth + grammar_->rules[static_cast<size_t>(rule)].depth < kMaxDepth;
}

// A value of the rule begins with the byte, within the frame `parent`, which stands on `above`.
void JsonMatcher::start(int rule, Frame parent, int32_t above, uint8_t byte, Configs& to) {
  if (!fits(rule, above)) return;
  const int depth = above < 0 ? 0 : stack_[static_cast<size_t>(above)].depth;
  stack_.push_back({parent, above, depth + 1});
  const auto here = static_cast<int32_t>(stack_.size()) - 1;
  for (const int option : grammar_->rules[static_cast<size_t>(rule)].options)
    if (fits(option, above)) step({{.rule = static_cast<int16_t>(option)}, here}, byte, to);
}

// The top's value is read.
void JsonMatcher::pop(const Config& c, Configs& to) const {
  if (c.parent < 0) return to.push_back({});
  const Held& held = stack_[static_cast<size_t>(c.parent)];
  Config next{held.frame, held.parent};
  const auto& r = rule(next.top);
  if (next.top.state == kInKey) {
    next.top.state = kColon;
  } else {
    next.top.state = kAfter;
    if (r.kind == Kind::array && next.top.data < static_cast<int32_t>(std::max(r.least, r.most)))
      ++next.top.data;  // items; more than either limit are all one
  }
  to.push_back(next);
}

void JsonMatcher::step(const Config& c, uint8_t byte, Configs& to) {
  if (c.top.rule < 0) return;
  const auto& r = rule(c.top);
  switch (r.kind) {
    case Kind::literal: {
      if (static_cast<uint8_t>(r.text[static_cast<size_t>(c.top.data)]) != byte) return;
      Config next = c;
      if (static_cast<size_t>(++next.top.data) == r.text.size())
        pop(next, to);
      else
        to.push_back(next);
      return;
    }
    case Kind::string:
      return step_string(c, byte, to);
    case Kind::number:
    case Kind::integer:
      return step_number(c, byte, to);
    case Kind::object:
      return step_object(c, byte, to);
    case Kind::array:
      return step_array(c, byte, to);
    case Kind::any_of:
      return;  // options are never that
  }
}

bool JsonMatcher::has_room(const Config& c, int64_t characters) const {
  const auto& r = rule(c.top);
  return r.kind == Kind::string && c.top.state == kBody &&
         (r.most < 0 || r.most - c.top.data >= characters);
}

void JsonMatcher::step_string(Config c, uint8_t b, Configs& to) {
  const auto& r = rule(c.top);
  Frame& f = c.top;
  const auto go = [&](uint8_t state) {
    f.state = state;
    to.push_back(c);
  };
  const auto character = [&] {  // one more is complete
    if (f.data < static_cast<int32_t>(std::max(r.least, r.most))) ++f.data;
    go(kBody);
  };
  switch (f.state) {
    case kQuote:
      if (b == '"') go(kBody);
      return;
    case kBody:
      if (b == '"') {
        if (f.data >= r.least) pop(c, to);
        return;
      }
      if (r.most >= 0 && f.data >= r.most) return;
      if (b == '\\') return go(kEscape);
      if (b >= 0x20 && b < 0x80) return character();
      f.more = utf8_lead(b);
      if (f.more == 0) return;
      return go(kUtf8);
    case kUtf8: {
      static constexpr uint8_t kLow[] = {0x80, 0xA0, 0x80, 0x90, 0x80};
      static constexpr uint8_t kHigh[] = {0xBF, 0xBF, 0x9F, 0xBF, 0x8F};
      if (b < kLow[f.more >> 2] || b > kHigh[f.more >> 2]) return;
      f.more = static_cast<uint8_t>((f.more & 3) - 1);
      return f.more == 0 ? character() : go(kUtf8);
    }
    case kEscape:
      if (b == 'u') return go(kHex1);
      if (std::string_view("\"\\/bfnrt").find(static_cast<char>(b)) != std::string_view::npos)
        character();
      return;
    case kHex1:  // surrogates are not written: the characters themselves can be
      if (is_hex(b)) go(b == 'd' || b == 'D' ? kHexLow2 : kHex2);
      return;
    case kHexLow2:
      if (b >= '0' && b <= '7') go(kHex3);
      return;
    case kHex2:
    case kHex3:
      if (is_hex(b)) go(f.state == kHex2 ? kHex3 : kHex4);
      return;
    default:
      if (is_hex(b)) character();
  }
}

void JsonMatcher::step_number(Config c, uint8_t b, Configs& to) {
  if (ends_number(c.top.state)) {  // what follows is the frame's below
    Configs below;
    pop(c, below);
    for (const Config& next : below) step(next, b, to);
  }
  Frame& f = c.top;
  const bool fraction = rule(f).kind == Kind::number;
  const auto go = [&](uint8_t state, int most) {
    f.data = f.state == state ? f.data + 1 : 1;  // digits of this part
    f.state = state;
    if (f.data <= most) to.push_back(c);
  };
  switch (f.state) {
    case kSign:
      if (b == '-') return go(kFirstDigit, 1);
      [[fallthrough]];
    case kFirstDigit:
      if (is_digit(b)) go(b == '0' ? kZero : kWhole, kMaxDigits);
      return;
    case kWhole:
      if (is_digit(b)) return go(kWhole, kMaxDigits);
      [[fallthrough]];
    case kZero:
      if (fraction && b == '.') go(kPoint, 1);
      if (fraction && (b == 'e' || b == 'E')) go(kE, 1);
      return;
    case kPoint:
    case kFraction:
      if (is_digit(b)) return go(kFraction, kMaxDigits);
      if (f.state == kFraction && (b == 'e' || b == 'E')) go(kE, 1);
      return;
    case kE:
      if (b == '+' || b == '-') return go(kExponentSign, 1);
      [[fallthrough]];
    default:
      if (is_digit(b)) go(kExponent, kMaxExponentDigits);
  }
}

// Whether a member can come, from this one of the schema's on.
bool JsonMatcher::has_key(const Config& c, int32_t from) const {
  const auto& r = rule(c.top);
  if (r.items >= 0) return fits(r.items, c.parent);
  for (size_t i = static_cast<size_t>(from); i < r.members.size(); ++i)
    if (fits(r.members[i].value, c.parent)) return true;
  return false;
}

void JsonMatcher::step_object(Config c, uint8_t b, Configs& to) {
  const auto& r = rule(c.top);
  Frame& f = c.top;
  const auto go = [&](uint8_t state) {
    f.state = state;
    to.push_back(c);
  };
  const auto can_close = [&](int32_t from) {
    return std::none_of(r.members.begin() + from, r.members.end(),
                        [](const auto& m) { return m.required; });
  };
  switch (f.state) {
    case kOpen:
      if (b == '{') go(kFirst);
      return;
    case kAfter: {
      const int32_t next = r.members.empty() ? 0 : f.data + 1;
      if (b == '}' && can_close(next)) return pop(c, to);
      if (b != ',' || !has_key(c, next)) return;
      f.data = next;
      return go(kNext);
    }
    case kColon:
      if (b == ':') go(kValue);
      return;
    case kValue:
      if (b == ' ') return go(kValueBlank);
      [[fallthrough]];
    case kValueBlank:
      f.state = kInValue;
      return start(r.items >= 0 ? r.items : r.members[static_cast<size_t>(f.data)].value, f,
                   c.parent, b, to);
    case kFirst:
      if (b == '}' && can_close(0)) return pop(c, to);
      break;
    case kNext:
      if (b == ' ') return go(kNextBlank);
      break;
    default:
      break;
  }
  if (b != '"') return;
  f.state = kInKey;
  if (r.items >= 0) {
    if (has_key(c, 0)) start(grammar_->any_string, f, c.parent, b, to);
    return;
  }
  for (auto i = static_cast<size_t>(f.data); i < r.members.size(); ++i) {
    const auto& m = r.members[i];
    f.data = static_cast<int32_t>(i);
    if (fits(m.value, c.parent)) start(m.key, f, c.parent, b, to);
    if (m.required) return;
  }
}

void JsonMatcher::step_array(Config c, uint8_t b, Configs& to) {
  const auto& r = rule(c.top);
  Frame& f = c.top;
  const auto go = [&](uint8_t state) {
    f.state = state;
    to.push_back(c);
  };
  const bool more = (r.most < 0 || f.data < r.most) && fits(r.items, c.parent);
  switch (f.state) {
    case kOpen:
      if (b == '[') go(kFirst);
      return;
    case kFirst:
    case kAfter:
      if (b == ']' && f.data >= r.least) return pop(c, to);
      if (f.state == kFirst) break;
      if (b == ',' && more) go(kNext);
      return;
    case kNext:
      if (b == ' ') return go(kNextBlank);
      break;
    default:
      break;
  }
  f.state = kInValue;
  if (more) start(r.items, f, c.parent, b, to);
}

void JsonMatcher::step_all(const Configs& from, uint8_t byte, Configs& to) {
  to.clear();
  for (const Config& c : from) step(c, byte, to);
  work_ += static_cast<int64_t>(from.size() + to.size());
  if (to.size() < 2) return;
  std::sort(to.begin(), to.end());
  to.erase(std::unique(to.begin(), to.end()), to.end());  // ways that have met
  // Each way can be gone to its end, so leaving some out leaves valid texts.
  if (to.size() > max_ways_) to.resize(max_ways_);
}

bool JsonMatcher::advance(uint8_t byte) {
  Configs next;
  step_all(configs_, byte, next);
  configs_ = std::move(next);
  if (stack_.size() > kCompactAt) compact();
  return !configs_.empty();
}

// Forgets the frames that no configuration stands on.
void JsonMatcher::compact() {
  std::vector<int32_t> place(stack_.size(), -1);
  for (const Config& c : configs_)
    for (int32_t i = c.parent; i >= 0 && place[static_cast<size_t>(i)] < 0;
         i = stack_[static_cast<size_t>(i)].parent)
      place[static_cast<size_t>(i)] = 0;
  int32_t kept = 0;
  for (size_t i = 0; i < stack_.size(); ++i) {  // what stands below comes first
    if (place[i] < 0) continue;
    Held held = stack_[i];
    if (held.parent >= 0) held.parent = place[static_cast<size_t>(held.parent)];
    place[i] = kept;
    stack_[static_cast<size_t>(kept++)] = held;
  }
  stack_.resize(static_cast<size_t>(kept));
  for (Config& c : configs_)
    if (c.parent >= 0) c.parent = place[static_cast<size_t>(c.parent)];
}

bool JsonMatcher::may_end() const {
  return std::any_of(configs_.begin(), configs_.end(), [&](const Config& c) {
    if (c.top.rule < 0) return true;
    const Kind kind = rule(c.top).kind;
    return c.parent < 0 && (kind == Kind::number || kind == Kind::integer) &&
           ends_number(c.top.state);
  });
}

bool JsonMatcher::complete() const {
  return !configs_.empty() && std::all_of(configs_.begin(), configs_.end(),
                                          [](const Config& c) { return c.top.rule < 0; });
}

}  // namespace gavel
