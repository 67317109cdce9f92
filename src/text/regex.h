// Regular expressions on PCRE2: as tokenizer files write them (Oniguruma's Ruby syntax with
// Unicode), and as Python's `re` reads them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace gavel {

class Regex {
 public:
  // Throws Error naming the pattern where it is wrong, or where it uses one of the few constructs
  // that PCRE2 understands differently and that are not translated.
  explicit Regex(const std::string& pattern);

  // Calls found(begin, end) for each match from left to right; empty matches are left out. `text`
  // must be valid UTF-8. Throws Error where matching exceeds PCRE2's limits.
  template <typename Found>
  void find_all(std::string_view text, Found&& found) const {
    size_t begin = 0, end = 0;
    for (size_t at = 0; at < text.size(); at = end)
      if (!find(text, at, begin, end))
        return;
      else
        found(begin, end);
  }

  // The first match at or after `at` that is not empty.
  bool find(std::string_view text, size_t at, size_t& begin, size_t& end) const;

  static std::string escape(std::string_view literal);
  // The pattern in PCRE2's terms; for tests.
  static std::string to_pcre2(const std::string& pattern);

 private:
  std::shared_ptr<void> code_;
  bool jit_ = false;
};

// A pattern of Python's `re` for short texts of no trust: compiling and matching have bounds.
class PythonRegex {
 public:
  // Throws Error naming the pattern where it is wrong or too large.
  explicit PythonRegex(const std::string& pattern);

  // re.match: whether the pattern matches at the beginning of `text` (valid UTF-8). Throws Error
  // where that takes more steps than any sensible pattern needs.
  bool match(std::string_view text) const;

 private:
  std::string pattern_;
  std::shared_ptr<void> code_;
};

}  // namespace gavel
