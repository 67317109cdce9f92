#include "text/token_decoder.h"

#include <charconv>
#include <optional>

#include "text/bpe.h"
#include "text/unicode.h"

namespace gavel {
namespace {

// The byte that a token like <0x0A> stands for.
std::optional<char> fallback_byte(const std::string& token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  uint8_t value = 0;
  const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, value, 16);
  if (error != std::errc() || end != token.data() + 5) return std::nullopt;
  return static_cast<char>(value);
}

std::string replace(const Regex& pattern, const std::string& content, const std::string& text) {
  std::string out;
  size_t done = 0;
  pattern.find_all(text, [&](size_t begin, size_t end) {
    out.append(text, done, begin - done);
    out += content;
    done = end;
  });
  return out.append(text, done);
}

std::string strip(const decoder::Strip& s, std::string text) {
  std::string c;
  unicode::append(c, s.character);
  for (int i = 0; i < s.start && text.starts_with(c); ++i) text.erase(0, c.size());
  for (int i = 0; i < s.stop && text.ends_with(c); ++i) text.erase(text.size() - c.size());
  return text;
}

std::string from_metaspace(const decoder::Metaspace& s, const std::string& token, bool first) {
  std::string out;
  for (size_t i = 0; i < token.size();) {
    if (token.compare(i, s.replacement.size(), s.replacement) == 0) {
      if (!(first && s.prepended)) out += ' ';
      i += s.replacement.size();
    } else {
      out += token[i++];
    }
  }
  return out;
}

std::string replace_suffix(const std::string& suffix, const std::string& token, const char* by) {
  std::string out;
  for (size_t i = 0; i < token.size();) {
    if (!suffix.empty() && token.compare(i, suffix.size(), suffix) == 0) {
      out += by;
      i += suffix.size();
    } else {
      out += token[i++];
    }
  }
  return out;
}

std::string join(const std::vector<std::string>& tokens, std::string_view between = "") {
  std::string out;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0) out += between;
    out += tokens[i];
  }
  return out;
}

struct Decode {
  std::vector<std::string> tokens;

  std::vector<std::string> operator()(const decoder::ByteLevel&) {
    std::string bytes;
    for (const std::string& token : tokens) bytes += from_byte_level(token).value_or(token);
    return {unicode::lossy(bytes)};
  }

  std::vector<std::string> operator()(const decoder::ByteFallback&) {
    std::vector<std::string> out;
    std::string bytes;
    const auto flush = [&] {
      if (unicode::is_valid(bytes))
        out.push_back(bytes);
      else
        for (size_t i = 0; i < bytes.size(); ++i) out.emplace_back("\xEF\xBF\xBD");
      bytes.clear();
    };
    for (std::string& token : tokens) {
      if (const auto byte = fallback_byte(token)) {
        bytes += *byte;
        continue;
      }
      if (!bytes.empty()) flush();
      out.push_back(std::move(token));
    }
    if (!bytes.empty()) flush();
    return out;
  }

  std::vector<std::string> operator()(const decoder::Fuse&) { return {join(tokens)}; }

  std::vector<std::string> operator()(const decoder::Replace& s) {
    for (std::string& token : tokens) token = replace(s.pattern, s.content, token);
    return std::move(tokens);
  }

  std::vector<std::string> operator()(const decoder::Strip& s) {
    for (std::string& token : tokens) token = strip(s, std::move(token));
    return std::move(tokens);
  }

  std::vector<std::string> operator()(const decoder::Metaspace& s) {
    for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = from_metaspace(s, tokens[i], i == 0);
    return std::move(tokens);
  }

  std::vector<std::string> operator()(const decoder::WordSuffix& s) {
    for (size_t i = 0; i < tokens.size(); ++i)
      tokens[i] = replace_suffix(s.suffix, tokens[i], i + 1 < tokens.size() ? " " : "");
    return std::move(tokens);
  }
};

}  // namespace

std::string decode_tokens(const std::vector<DecoderStep>& steps, std::vector<std::string> tokens) {
  if (steps.empty()) return join(tokens, " ");
  for (const DecoderStep& step : steps) tokens = std::visit(Decode{std::move(tokens)}, step);
  return join(tokens);
}

std::string decode_piece(const std::vector<DecoderStep>& steps, std::string token, bool first) {
  if (steps.empty()) return (first ? "" : " ") + token;
  bool fused = false;
  for (const DecoderStep& step : steps) {
    if (std::holds_alternative<decoder::ByteLevel>(step)) {
      if (auto bytes = from_byte_level(token)) token = std::move(*bytes);
    } else if (std::holds_alternative<decoder::ByteFallback>(step)) {
      // One byte of a character: nothing below but Strip could apply to it.
      if (const auto byte = fallback_byte(token)) {
        token.assign(1, *byte);
        if (static_cast<uint8_t>(*byte) >= 0x80) return token;
      }
    } else if (std::holds_alternative<decoder::Fuse>(step)) {
      fused = true;
    } else if (const auto* s = std::get_if<decoder::Replace>(&step)) {
      token = replace(s->pattern, s->content, token);
    } else if (const auto* s = std::get_if<decoder::Strip>(&step)) {
      if (!fused || first) token = strip(*s, std::move(token));
    } else if (const auto* s = std::get_if<decoder::Metaspace>(&step)) {
      token = from_metaspace(*s, token, first);
    } else if (const auto* s = std::get_if<decoder::WordSuffix>(&step)) {
      token = replace_suffix(s->suffix, token, " ");
    }
  }
  return token;
}

}  // namespace gavel
