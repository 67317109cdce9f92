#include "text/pre_tokenizer.h"

#include "text/bpe.h"
#include "text/unicode.h"

namespace gavel {
namespace {

using Span = Words::Span;

// GPT-2's pattern, which ByteLevel splits with.
const Regex& gpt2_pattern() {
  static const Regex regex(
      R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)");
  return regex;
}

struct Part {
  Span span;
  bool match;
};

// Turns matches and what lies between them into words.
void arrange(const std::vector<Part>& parts, SplitBehavior behavior, std::vector<Span>& out) {
  const auto add = [&](Span s) {
    if (s.begin < s.end) out.push_back(s);
  };
  const size_t n = parts.size();
  switch (behavior) {
    case SplitBehavior::removed:
      for (const Part& p : parts)
        if (!p.match) add(p.span);
      return;
    case SplitBehavior::isolated:
      for (const Part& p : parts) add(p.span);
      return;
    case SplitBehavior::contiguous:
      for (size_t i = 0; i < n;) {
        size_t j = i + 1;
        while (j < n && parts[j].match == parts[i].match) ++j;
        add({parts[i].span.begin, parts[j - 1].span.end});
        i = j;
      }
      return;
    case SplitBehavior::merged_with_previous:
      for (size_t i = 0; i < n; ++i) {
        const bool joined = !parts[i].match && i + 1 < n && parts[i + 1].match;
        add({parts[i].span.begin, parts[joined ? i + 1 : i].span.end});
        if (joined) ++i;
      }
      return;
    case SplitBehavior::merged_with_next:
      for (size_t i = 0; i < n; ++i) {
        const bool joined = parts[i].match && i + 1 < n && !parts[i + 1].match;
        add({parts[i].span.begin, parts[joined ? i + 1 : i].span.end});
        if (joined) ++i;
      }
      return;
  }
}

// Splits each word at what `matches(word, found)` reports by calling found(begin, end).
template <typename Matches>
void split(Words& words, SplitBehavior behavior, bool invert, const Matches& matches) {
  std::vector<Span> out;
  out.reserve(words.spans.size());
  std::vector<Part> parts;
  for (const Span& word : words.spans) {
    const std::string_view text(words.text.data() + word.begin, word.end - word.begin);
    size_t done = 0;
    parts.clear();
    const auto part = [&](size_t begin, size_t end, bool match) {
      parts.push_back({{word.begin + begin, word.begin + end}, match != invert});
    };
    matches(text, [&](size_t begin, size_t end) {
      if (done < begin) part(done, begin, false);
      part(begin, end, true);
      done = end;
    });
    if (done < text.size()) part(done, text.size(), false);
    arrange(parts, behavior, out);
  }
  words.spans = std::move(out);
}

void split_regex(Words& words, const Regex& regex, SplitBehavior behavior, bool invert) {
  split(words, behavior, invert,
        [&](std::string_view text, const auto& found) { regex.find_all(text, found); });
}

template <typename Is>
void split_characters(Words& words, SplitBehavior behavior, const Is& is) {
  split(words, behavior, false, [&](std::string_view text, const auto& found) {
    for (size_t i = 0; i < text.size();) {
      const size_t at = i;
      if (is(unicode::next(text, i))) found(at, i);
    }
  });
}

// Replaces each word by what `rewrite(word, is_first)` makes of it.
template <typename Rewrite>
void rewrite(Words& words, const Rewrite& rewrite) {
  std::string text;
  std::vector<Span> spans;
  for (const Span& s : words.spans) {
    const size_t begin = text.size();
    text += rewrite(std::string_view(words.text).substr(s.begin, s.end - s.begin), spans.empty());
    spans.push_back({begin, text.size()});
  }
  words.text = std::move(text);
  words.spans = std::move(spans);
}

struct PreTokenize {
  Words& words;
  bool at_start;

  void operator()(const pre_tokenizer::Split& s) {
    split_regex(words, s.pattern, s.behavior, s.invert);
  }

  void operator()(const pre_tokenizer::ByteLevel& s) {
    if (s.add_prefix_space)
      rewrite(words, [](std::string_view word, bool) {
        std::string out;
        if (!word.starts_with(' ')) out.push_back(' ');
        return out.append(word);
      });
    if (s.use_regex) split_regex(words, gpt2_pattern(), SplitBehavior::isolated, false);
    words.byte_level = true;
  }

  void operator()(const pre_tokenizer::Digits& s) {
    split_characters(words, s.individual ? SplitBehavior::isolated : SplitBehavior::contiguous,
                     unicode::is_numeric);
  }

  void operator()(const pre_tokenizer::Whitespace&) {
    split(words, SplitBehavior::removed, true, [](std::string_view text, const auto& found) {
      enum Kind { none, space, word, other } last = none;
      size_t begin = 0;
      for (size_t i = 0; i < text.size();) {
        const size_t at = i;
        const char32_t c = unicode::next(text, i);
        const Kind kind = unicode::is_white_space(c) ? space : unicode::is_word(c) ? word : other;
        if (kind != last) {
          if (last == word || last == other) found(begin, at);
          begin = at;
        }
        last = kind;
      }
      if (last == word || last == other) found(begin, text.size());
    });
  }

  void operator()(const pre_tokenizer::WhitespaceSplit&) {
    split_characters(words, SplitBehavior::removed, unicode::is_white_space);
  }

  void operator()(const pre_tokenizer::Punctuation& s) {
    split_characters(words, s.behavior, unicode::is_punctuation);
  }

  void operator()(const pre_tokenizer::CharDelimiter& s) {
    split_characters(words, SplitBehavior::removed, [&](char32_t c) { return c == s.delimiter; });
  }

  void operator()(const pre_tokenizer::Metaspace& s) {
    rewrite(words, [&](std::string_view word, bool is_first) {
      std::string out;
      for (char c : word)
        if (c == ' ')
          out += s.replacement;
        else
          out += c;
      const bool prepend = s.prepend == pre_tokenizer::Metaspace::always ||
                           (s.prepend == pre_tokenizer::Metaspace::first && is_first && at_start);
      return prepend && !out.starts_with(s.replacement) ? s.replacement + out : out;
    });
    size_t at = 0;
    const char32_t replacement = unicode::next(s.replacement, at);
    if (s.split)
      split_characters(words, SplitBehavior::merged_with_next,
                       [&](char32_t c) { return c == replacement; });
  }
};

}  // namespace

Words pre_tokenize(const std::vector<PreTokenizer>& steps, std::string text, bool at_start) {
  Words words{std::move(text), {}, false};
  if (!words.text.empty()) words.spans.push_back({0, words.text.size()});
  for (const PreTokenizer& step : steps) {
    if (words.byte_level) {  // only the model reads bytes; any other step sees the alphabet
      rewrite(words, [](std::string_view word, bool) { return to_byte_level(word); });
      words.byte_level = false;
    }
    std::visit(PreTokenize{words, at_start}, step);
  }
  return words;
}

}  // namespace gavel
