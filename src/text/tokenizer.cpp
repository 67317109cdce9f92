#include "text/tokenizer.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "text/tokenizer_impl.h"
#include "text/unicode.h"

namespace gavel {

const std::string* Tokenizer::Impl::token_text(int id) const {
  const AddedToken* token = added.by_id(id);
  return token != nullptr ? &token->content : model.id_to_token(id);
}

const std::string* Tokenizer::Impl::decoded_text(int id) const {
  const std::string* text = added.decoded(id);
  return text != nullptr ? text : model.id_to_token(id);
}

void Tokenizer::Impl::prepare_within() {
  for (const Normalizer& step : normalizers)
    if (!std::holds_alternative<normalizer::Prepend>(step)) within_normalizers_.push_back(step);
  within_pre_tokenizers_ = pre_tokenizers;
  for (PreTokenizer& step : within_pre_tokenizers_) {
    if (auto* s = std::get_if<pre_tokenizer::Metaspace>(&step))
      s->prepend = pre_tokenizer::Metaspace::never;
    if (auto* s = std::get_if<pre_tokenizer::ByteLevel>(&step)) s->add_prefix_space = false;
  }
}

void Tokenizer::Impl::encode_plain(const std::vector<PreTokenizer>& steps, std::string_view text,
                                   bool at_start, BpeWorkspace& workspace,
                                   std::vector<int>& ids) const {
  const Words words = pre_tokenize(steps, std::string(text), at_start);
  for (const Words::Span& s : words.spans)
    model.encode(std::string_view(words.text).substr(s.begin, s.end - s.begin), words.byte_level,
                 workspace, ids);
}

std::vector<int> Tokenizer::Impl::encode(const std::string& text, TextPlace place) const {
  std::unique_ptr<BpeWorkspace> workspace;
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      workspace = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (!workspace) workspace = std::make_unique<BpeWorkspace>();

  std::vector<int> ids;
  ids.reserve(text.size() / 3);
  std::vector<TextPart> parts, inner;
  added.split(text, false, parts);
  for (const TextPart& part : parts) {
    if (part.id >= 0) {
      ids.push_back(part.id);
      continue;
    }
    const bool continued = place.within && part.begin == 0;
    const std::string normal = normalize(continued ? within_normalizers_ : normalizers,
                                         text.substr(part.begin, part.end - part.begin));
    inner.clear();
    added.split(normal, true, inner);
    for (const TextPart& p : inner) {
      const auto plain = std::string_view(normal).substr(p.begin, p.end - p.begin);
      const bool at_start = part.begin == 0 && p.begin == 0;
      const auto& pre = continued && p.begin == 0 ? within_pre_tokenizers_ : pre_tokenizers;
      if (p.id >= 0)
        ids.push_back(p.id);
      else if (place.marked)
        encode_plain(pre, without_marks(plain), at_start, *workspace, ids);
      else
        encode_plain(pre, plain, at_start, *workspace, ids);
    }
  }
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(workspace));
  return ids;
}

Tokenizer Tokenizer::from_file(const std::filesystem::path& path) {
  return from_json(read_file(path), path.string());
}

std::vector<int> Tokenizer::encode(std::string_view text, bool add_special_tokens) const {
  std::vector<int> ids;
  try {
    ids = impl_->encode(unicode::lossy(text), {});
  } catch (const Error& e) {
    fail("tokenizer {}: {}", impl_->name, e.what());
  }
  if (add_special_tokens) {
    ids.insert(ids.begin(), impl_->prefix.begin(), impl_->prefix.end());
    ids.insert(ids.end(), impl_->suffix.begin(), impl_->suffix.end());
  }
  return ids;
}

std::vector<int> Tokenizer::encode_within(std::string_view text, bool marked) const {
  try {
    return impl_->encode(unicode::lossy(text), {.marked = marked, .within = true});
  } catch (const Error& e) {
    fail("tokenizer {}: {}", impl_->name, e.what());
  }
}

std::string Tokenizer::decode(std::span<const int> ids, bool skip_special_tokens) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (int id : ids) {
    if (skip_special_tokens && is_special(id)) continue;
    if (const std::string* text = impl_->decoded_text(id)) tokens.push_back(*text);
  }
  return decode_tokens(impl_->decoders, std::move(tokens));
}

int Tokenizer::vocab_size() const {
  int highest = impl_->model.highest_id();
  for (const AddedToken& token : impl_->added.all()) highest = std::max(highest, token.id);
  return highest + 1;
}

std::optional<int> Tokenizer::token_to_id(std::string_view token) const {
  if (const AddedToken* added = impl_->added.by_content(token)) return added->id;
  return impl_->model.token_to_id(token);
}

std::string Tokenizer::id_to_token(int id) const {
  const std::string* text = impl_->token_text(id);
  return text != nullptr ? *text : "";
}

bool Tokenizer::is_special(int id) const {
  const AddedToken* token = impl_->added.by_id(id);
  return token != nullptr && token->special;
}

const std::vector<AddedToken>& Tokenizer::added_tokens() const { return impl_->added.all(); }

std::string Tokenizer::token_bytes(int id) const { return piece(id, false); }

std::string Tokenizer::piece(int id, bool first) const {
  const std::string* text = impl_->decoded_text(id);
  return text != nullptr ? decode_piece(impl_->decoders, *text, first) : "";
}

std::string StreamDecoder::push(int id) {
  if (skip_special_tokens_ && tokenizer_.is_special(id)) return "";
  pending_ += tokenizer_.piece(id, !started_);
  started_ = true;
  // All but a last character that may still become whole.
  size_t end = pending_.size();
  for (size_t i = pending_.size() - std::min<size_t>(pending_.size(), 3); i < pending_.size();) {
    const unicode::Sequence s = unicode::sequence_at(pending_, i);
    if (s.kind == unicode::Sequence::incomplete) {
      end = i;
      break;
    }
    i += s.length;
  }
  const std::string text = unicode::lossy(std::string_view(pending_).substr(0, end));
  pending_.erase(0, end);
  return text;
}

std::string StreamDecoder::finish() {
  const std::string text = unicode::lossy(pending_);
  pending_.clear();
  started_ = false;
  return text;
}

}  // namespace gavel
