#include "text/normalizer.h"

#include "text/bpe.h"

namespace gavel {
namespace {

std::string strip(const std::string& text, bool left, bool right) {
  size_t begin = text.size(), end = 0;  // of what is not white space
  for (size_t i = 0; i < text.size();) {
    const size_t at = i;
    if (unicode::is_white_space(unicode::next(text, i))) continue;
    begin = std::min(begin, at);
    end = i;
  }
  if (begin == text.size()) return left || right ? "" : text;
  if (!left) begin = 0;
  if (!right) end = text.size();
  return text.substr(begin, end - begin);
}

std::string strip_accents(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const size_t at = i;
    if (!unicode::is_mark(unicode::next(text, i))) out.append(text, at, i - at);
  }
  return out;
}

struct Normalize {
  std::string text;

  std::string operator()(const normalizer::Unicode& n) { return unicode::normalize(text, n.form); }
  std::string operator()(const normalizer::Lowercase&) { return unicode::lower(text); }
  std::string operator()(const normalizer::Strip& n) { return strip(text, n.left, n.right); }
  std::string operator()(const normalizer::StripAccents&) { return strip_accents(text); }
  std::string operator()(const normalizer::Prepend& n) {
    return text.empty() ? text : n.text + text;
  }
  std::string operator()(const normalizer::Replace& n) {
    std::string out;
    size_t done = 0;
    n.pattern.find_all(text, [&](size_t begin, size_t end) {
      out.append(text, done, begin - done);
      out += n.content;
      done = end;
    });
    return out.append(text, done);
  }
  std::string operator()(const normalizer::ByteLevel&) { return to_byte_level(text); }
};

}  // namespace

std::string normalize(const std::vector<Normalizer>& steps, std::string text) {
  for (const Normalizer& step : steps) text = std::visit(Normalize{std::move(text)}, step);
  return text;
}

}  // namespace gavel
