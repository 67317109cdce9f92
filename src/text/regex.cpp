#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/error.h"
#include "text/unicode.h"

namespace gavel {
namespace {

std::string range_text(unicode::Range r) {
  return r.first == r.last ? fmt::format("\\x{{{:x}}}", static_cast<uint32_t>(r.first))
                           : fmt::format("\\x{{{:x}}}-\\x{{{:x}}}", static_cast<uint32_t>(r.first),
                                         static_cast<uint32_t>(r.last));
}

std::string added(std::string_view property) {
  std::string out;
  for (const auto& r : unicode::added_since_14(property)) out += range_text(r);
  return out;
}

// What stands inside [...] for a class escape whose meaning differs: Oniguruma's \s is the
// property White_Space (PCRE2 adds U+180E), \w has marks and connectors, \h is a hex digit.
std::string class_escape(char c) {
  std::string out;
  switch (c) {
    case 's':
      for (const auto& r : unicode::white_space()) out += range_text(r);
      return out;
    case 'S': {
      char32_t from = 0;
      for (const auto& r : unicode::white_space()) {
        if (r.first > from) out += range_text({from, r.first - 1});
        from = r.last + 1;
      }
      return out + range_text({from, 0x10FFFF});
    }
    case 'w':
      // The first ones, superscripts and fractions of Latin-1, are Oniguruma's own.
      return "\\xb2\\xb3\\xb9\\xbc-\\xbe\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24b6}-\\x{24e9}\\x{"
             "1f130}-\\x{1f149}"
             "\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}" +
             added("L") + added("M") + added("Nd");
    case 'd':
      return "\\p{Nd}" + added("Nd");
    case 'h':
      return "0-9a-fA-F";
    default:
      return {};
  }
}

// Copies a pattern and rewrites what PCRE2 would understand otherwise.
class Translator {
 public:
  explicit Translator(const std::string& pattern) : in_(pattern) {}

  std::string run() {
    while (at_ < in_.size()) {
      const char c = in_[at_];
      if (c == '\\') {
        escape();
      } else if (c == '[') {
        open_class();
      } else if (c == ']' && in_class_) {
        in_class_ = false;
        take(1);
      } else if (in_class_ && in_.compare(at_, 2, "&&") == 0) {
        unsupported("an intersection of character classes (&&)");
      } else if (!in_class_ && c == '(') {
        group();
      } else {
        take(1);
      }
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void unsupported(const char* what) {
    fail("the pattern {} uses {}, which is not supported", in_, what);
  }

  void take(size_t n) {
    out_.append(in_, at_, n);
    at_ += n;
  }

  void open_class() {
    if (in_class_) {
      if (in_.compare(at_, 2, "[:") != 0) unsupported("a character class inside another");
      const size_t end = in_.find(":]", at_);
      if (end == std::string::npos) unsupported("an unfinished [: :]");
      return take(end + 2 - at_);
    }
    in_class_ = true;
    take(1);
    if (at_ < in_.size() && in_[at_] == '^') take(1);
    if (at_ < in_.size() && in_[at_] == ']') out_ += "\\", take(1);  // first: a literal
  }

  void group() {
    take(1);
    if (at_ >= in_.size() || in_[at_] != '?') return;
    // In (?m) Ruby's m lets the dot match a newline, which PCRE2 calls s.
    for (size_t i = at_ + 1; i < in_.size() && (isalpha(in_[i]) != 0 || in_[i] == '-'); ++i)
      if (in_[i] == 'm') unsupported("the option (?m)");
  }

  void escape() {
    if (at_ + 1 >= in_.size()) return take(1);
    const char c = in_[at_ + 1];
    if (c == 'u') return code_point();
    if (c == 'p' || c == 'P') return property();
    const char lower = static_cast<char>(c | 0x20);
    const bool negated = c != lower;
    if (lower != 's' && lower != 'w' && lower != 'd' && lower != 'h') return take(2);
    if (in_class_ && negated && c != 'S') unsupported("a negated class inside [...]");
    at_ += 2;
    if (in_class_)
      out_ += class_escape(c);
    else
      out_ += (negated ? "[^" : "[") + class_escape(lower) + "]";
  }

  void code_point() {  // \uHHHH
    if (at_ + 6 > in_.size()) unsupported("an unfinished \\u");
    out_ += "\\x{" + in_.substr(at_ + 2, 4) + "}";
    at_ += 6;
  }

  void property() {
    const size_t open = at_ + 2;
    const size_t close = open < in_.size() && in_[open] == '{' ? in_.find('}', open) : open;
    if (close == std::string::npos) unsupported("an unfinished \\p{");
    std::string name = close == open ? in_.substr(open, 1) : in_.substr(open + 1, close - open - 1);
    bool negated = in_[at_ + 1] == 'P';
    if (!name.empty() && name[0] == '^') negated = !negated, name.erase(0, 1);
    const std::string more = added(name);
    if (more.empty()) return take(close + 1 - at_);
    at_ = close + 1;
    if (in_class_)
      out_ += (negated ? "\\P{" : "\\p{") + name + "}" + (negated ? "" : more);
    else
      out_ += (negated ? "[^\\p{" : "[\\p{") + name + "}" + more + "]";
  }

  const std::string& in_;
  std::string out_;
  size_t at_ = 0;
  bool in_class_ = false;
};

std::string message_of(int code) {
  PCRE2_UCHAR buffer[256] = {};
  pcre2_get_error_message(code, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);
}

// What matching needs besides the pattern, one a thread. The stack lets the compiled code
// backtrack through long texts; it grows only where a text asks for it.
struct MatchState {
  pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* stack = pcre2_jit_stack_create(32 << 10, 16 << 20, nullptr);
  MatchState() { pcre2_jit_stack_assign(context, nullptr, stack); }
  ~MatchState() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
  MatchState(const MatchState&) = delete;
  MatchState& operator=(const MatchState&) = delete;
};

}  // namespace

std::string Regex::to_pcre2(const std::string& pattern) { return Translator(pattern).run(); }

Regex::Regex(const std::string& pattern) {
  const std::string translated = to_pcre2(pattern);
  int error = 0;
  PCRE2_SIZE where = 0;
  // Multiline: in Ruby's syntax ^ and $ always match at line breaks.
  auto* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                             PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                             &error, &where, nullptr);
  if (code == nullptr) fail("the pattern {} is not right: {}", pattern, message_of(error));
  code_ =
      std::shared_ptr<void>(code, [](void* p) { pcre2_code_free(static_cast<pcre2_code*>(p)); });
  jit_ = pcre2_jit_compile(code, PCRE2_JIT_COMPLETE) == 0;
}

bool Regex::find(std::string_view text, size_t at, size_t& begin, size_t& end) const {
  thread_local MatchState state;
  const auto* code = static_cast<const pcre2_code*>(code_.get());
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  const uint32_t options = PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY;
  const int rc =
      jit_ ? pcre2_jit_match(code, subject, text.size(), at, options, state.data, state.context)
           : pcre2_match(code, subject, text.size(), at, options, state.data, state.context);
  if (rc == PCRE2_ERROR_NOMATCH) return false;
  if (rc < 0) fail("cannot split a text of {} bytes into words: {}", text.size(), message_of(rc));
  const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(state.data);
  begin = offsets[0];
  end = offsets[1];
  // \K may set the start after the end, and would make a loop that does not move on.
  if (begin < at || end <= begin) fail("a pattern matched backwards, which is not supported");
  return true;
}

std::string Regex::escape(std::string_view literal) {
  std::string out;
  for (char c : literal) {
    if (static_cast<unsigned char>(c) < 0x80 && isalnum(static_cast<unsigned char>(c)) == 0)
      out += '\\';
    out += c;
  }
  return out;
}

namespace {

constexpr size_t kMaxPythonPattern = 10000;  // bytes
constexpr uint32_t kMaxPythonSteps = 20000;  // of the matcher, for one text
constexpr uint32_t kMaxPythonMemory = 1024;  // KiB

// Python's \Z is PCRE2's \z; all else that module names are matched with is the same in both.
std::string from_python(const std::string& pattern) {
  std::string out;
  for (size_t i = 0; i < pattern.size(); ++i) {
    out += pattern[i];
    if (pattern[i] == '\\' && i + 1 < pattern.size()) {
      ++i;
      out += pattern[i] == 'Z' ? 'z' : pattern[i];
    }
  }
  return out;
}

}  // namespace

PythonRegex::PythonRegex(const std::string& pattern) : pattern_(pattern) {
  if (pattern.size() > kMaxPythonPattern)
    fail("a pattern of {} bytes is too long (at most {})", pattern.size(), kMaxPythonPattern);
  const std::string translated = from_python(pattern);
  int error = 0;
  PCRE2_SIZE where = 0;
  auto* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                             PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED | PCRE2_NEVER_BACKSLASH_C,
                             &error, &where, nullptr);
  if (code == nullptr) fail("the pattern {} is not right: {}", pattern, message_of(error));
  code_ =
      std::shared_ptr<void>(code, [](void* p) { pcre2_code_free(static_cast<pcre2_code*>(p)); });
}

bool PythonRegex::match(std::string_view text) const {
  const auto* code = static_cast<const pcre2_code*>(code_.get());
  const std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)> data(
      pcre2_match_data_create(1, nullptr), pcre2_match_data_free);
  const std::unique_ptr<pcre2_match_context, void (*)(pcre2_match_context*)> context(
      pcre2_match_context_create(nullptr), pcre2_match_context_free);
  pcre2_set_match_limit(context.get(), kMaxPythonSteps);
  pcre2_set_heap_limit(context.get(), kMaxPythonMemory);
  const int rc = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0,
                             PCRE2_NO_UTF_CHECK, data.get(), context.get());
  if (rc == PCRE2_ERROR_NOMATCH) return false;
  if (rc < 0) fail("the pattern {} cannot be matched with {}: {}", pattern_, text, message_of(rc));
  return true;
}

}  // namespace gavel
