// Text whose special tokens are not the model's: marks are put into them, by which no token is
// found.
#include <algorithm>

#include "base/error.h"
#include "text/tokenizer_impl.h"
#include "text/unicode.h"

namespace gavel {
namespace {

constexpr std::string_view kMark = "\uFDD0";  // a noncharacter, which Unicode keeps for such use

size_t character_end(std::string_view text, size_t at) {
  return at + unicode::sequence_at(text, at).length;
}

// The characters with which control tokens begin that are looked for in normalized text, where
// other characters than their own may have become them.
std::u32string normalized_beginnings(const Tokenizer::Impl& impl) {
  std::u32string all;
  for (const AddedToken& token : impl.added.all()) {
    if (!token.normalized || !is_control(token)) continue;
    const size_t first = character_end(token.content, 0);
    const std::string text = normalize(impl.normalizers, token.content.substr(0, first));
    for (size_t i = 0; i < text.size();)
      if (const char32_t c = unicode::next(text, i); c != U'\u2581') all += c;
  }
  return all;
}

// Finds the places behind which marks go.
class Marker {
 public:
  explicit Marker(const Tokenizer::Impl& impl)
      : impl_(impl), beginnings_(normalized_beginnings(impl)) {}

  void mark(std::string_view text, TextSpan span, std::vector<size_t>& marks) const {
    span.end = std::min(span.end, text.size());
    const size_t reach = std::max<size_t>(impl_.added.longest_control(), 1) - 1;
    for (size_t at = span.begin - std::min(span.begin, reach); at < span.end; ++at) {
      if ((text[at] & 0xC0) == 0x80) continue;
      const bool written = impl_.added.control_end(text, at) > span.begin;
      if (written || (at >= span.begin && may_become(text, at)))
        marks.push_back(character_end(text, at));
    }
  }

 private:
  bool may_become(std::string_view text, size_t at) const {
    if (beginnings_.empty()) return false;
    const std::string_view one = text.substr(at, character_end(text, at) - at);
    const std::string normal = normalize(impl_.normalizers, unicode::lossy(one));
    for (size_t i = 0; i < normal.size();)
      if (beginnings_.find(unicode::next(normal, i)) != std::u32string::npos) return true;
    return false;
  }

  const Tokenizer::Impl& impl_;
  std::u32string beginnings_;
};

}  // namespace

std::string without_marks(std::string_view marked) {
  std::string out;
  out.reserve(marked.size());
  for (size_t i = 0; i < marked.size();) {
    const size_t mark = std::min(marked.find(kMark, i), marked.size());
    out += marked.substr(i, mark - i);
    i = std::min(mark + kMark.size(), marked.size());
    if (mark == marked.size() || !marked.substr(i).starts_with(kMark)) continue;
    out += kMark;  // two stand for one of the text's own
    i += kMark.size();
  }
  return out;
}

bool Tokenizer::mark_literal(std::string_view text, std::span<const TextSpan> literal,
                             std::string& marked) const {
  const Marker marker(*impl_);
  std::vector<size_t> marks;
  for (const TextSpan& span : literal) marker.mark(text, span, marks);
  std::sort(marks.begin(), marks.end());
  marks.erase(std::unique(marks.begin(), marks.end()), marks.end());
  marked.clear();
  auto next = marks.begin();
  for (size_t i = 0; i < text.size();) {
    const size_t end = character_end(text, i);
    const std::string_view character = text.substr(i, end - i);
    marked += character;
    if (character == kMark) marked += kMark;
    if (next != marks.end() && *next == end) {
      marked += kMark;
      ++next;
    }
    i = end;
  }
  return !marks.empty();
}

bool Tokenizer::holds_control(std::string_view text) const {
  std::vector<size_t> marks;
  Marker(*impl_).mark(text, {0, text.size()}, marks);
  return !marks.empty();
}

std::vector<int> Tokenizer::encode_marked(std::string_view marked) const {
  try {
    return impl_->encode(unicode::lossy(marked), {.marked = true});
  } catch (const Error& e) {
    fail("tokenizer {}: {}", impl_->name, e.what());
  }
}

}  // namespace gavel
