// Reads Hugging Face's tokenizer.json.
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "text/tokenizer_impl.h"
#include "text/unicode.h"

namespace gavel {
namespace {

using Json = nlohmann::json;

// Typed access to the fields of an object; errors name the object by `where`.
class Fields {
 public:
  Fields(const Json& json, std::string where) : json_(json), where_(std::move(where)) {
    if (!json.is_object()) fail("{} is not an object", where_);
  }

  const std::string& where() const { return where_; }
  // nullptr where the field is missing or null.
  const Json* find(const char* key) const {
    const auto it = json_.find(key);
    return it == json_.end() || it->is_null() ? nullptr : &*it;
  }
  const Json& at(const char* key) const {
    const Json* value = find(key);
    if (value == nullptr) fail("{} has no \"{}\"", where_, key);
    return *value;
  }
  std::string text(const char* key) const {
    const Json& value = at(key);
    if (!value.is_string()) fail("\"{}\" of {} is not a string", key, where_);
    return value.get<std::string>();
  }
  std::string text(const char* key, const std::string& otherwise) const {
    return find(key) != nullptr ? text(key) : otherwise;
  }
  bool flag(const char* key, bool otherwise) const {
    const Json* value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_boolean()) fail("\"{}\" of {} is not true or false", key, where_);
    return value->get<bool>();
  }
  int number(const char* key, int lowest, int highest) const {
    return to_int(at(key), lowest, highest, fmt::format("\"{}\" of {}", key, where_));
  }
  const Json& list(const char* key) const {
    const Json& value = at(key);
    if (!value.is_array()) fail("\"{}\" of {} is not a list", key, where_);
    return value;
  }
  Fields object(const char* key) const {
    return Fields(at(key), fmt::format("\"{}\" of {}", key, where_));
  }
  // One character.
  char32_t character(const char* key) const {
    const std::string value = text(key);
    size_t i = 0;
    const char32_t c = value.empty() ? 0 : unicode::next(value, i);
    if (value.empty() || i != value.size()) fail("\"{}\" of {} is not one character", key, where_);
    return c;
  }

  static int to_int(const Json& value, int lowest, int highest, const std::string& what) {
    if (!value.is_number_integer()) fail("{} is not an integer", what);
    const bool fits = value.is_number_unsigned() ? value.get<uint64_t>() <= uint64_t{1} << 32
                                                 : value.get<int64_t>() >= -(int64_t{1} << 32);
    const int64_t n = fits ? value.get<int64_t>() : int64_t{1} << 62;
    if (n < lowest || n > highest) fail("{} is not between {} and {}", what, lowest, highest);
    return static_cast<int>(n);
  }

 private:
  const Json& json_;
  std::string where_;
};

// Calls read(fields) for a single step, or for each of a (nested) Sequence.
template <typename Read>
void each_step(const Json& json, const std::string& where, const char* list_name, const Read& read,
               int depth = 0) {
  if (json.is_null()) return;
  if (depth > 8) fail("{} is nested too deeply", where);
  const Fields fields(json, where);
  if (fields.text("type") != "Sequence") return read(fields);
  for (const Json& step : fields.list(list_name))
    each_step(step, where, list_name, read, depth + 1);
}

// {"String": ".."} or {"Regex": ".."}
Regex read_pattern(const Fields& step) {
  const Fields pattern = step.object("pattern");
  if (pattern.find("Regex") != nullptr) return Regex(pattern.text("Regex"));
  const std::string literal = pattern.text("String");
  if (literal.empty()) fail("the pattern of {} is empty", step.where());
  return Regex(Regex::escape(literal));
}

SplitBehavior read_behavior(const Fields& step) {
  const std::string name = step.text("behavior");
  if (name == "Removed") return SplitBehavior::removed;
  if (name == "Isolated") return SplitBehavior::isolated;
  if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
  if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
  if (name == "Contiguous") return SplitBehavior::contiguous;
  fail("{} has an unknown behavior \"{}\"", step.where(), name);
}

Normalizer read_normalizer(const Fields& step) {
  const std::string type = step.text("type");
  if (type == "NFC") return normalizer::Unicode{unicode::Form::nfc};
  if (type == "NFD") return normalizer::Unicode{unicode::Form::nfd};
  if (type == "NFKC") return normalizer::Unicode{unicode::Form::nfkc};
  if (type == "NFKD") return normalizer::Unicode{unicode::Form::nfkd};
  if (type == "Lowercase") return normalizer::Lowercase{};
  if (type == "Strip")
    return normalizer::Strip{step.flag("strip_left", true), step.flag("strip_right", true)};
  if (type == "StripAccents") return normalizer::StripAccents{};
  if (type == "Prepend") return normalizer::Prepend{step.text("prepend")};
  if (type == "Replace") return normalizer::Replace{read_pattern(step), step.text("content")};
  if (type == "ByteLevel") return normalizer::ByteLevel{};
  fail("the normalizer {} is not supported", type);
}

pre_tokenizer::Metaspace read_metaspace(const Fields& step) {
  pre_tokenizer::Metaspace metaspace;
  unicode::append(metaspace.replacement, step.character("replacement"));
  const std::string scheme = step.text("prepend_scheme", "always");
  using M = pre_tokenizer::Metaspace;
  if (scheme != "always" && scheme != "first" && scheme != "never")
    fail("Metaspace has an unknown prepend_scheme \"{}\"", scheme);
  metaspace.prepend = scheme == "always" ? M::always : scheme == "first" ? M::first : M::never;
  if (!step.flag("add_prefix_space", true)) metaspace.prepend = M::never;
  metaspace.split = step.flag("split", true);
  return metaspace;
}

PreTokenizer read_pre_tokenizer(const Fields& step) {
  const std::string type = step.text("type");
  if (type == "Split")
    return pre_tokenizer::Split{read_pattern(step), read_behavior(step),
                                step.flag("invert", false)};
  if (type == "ByteLevel")
    return pre_tokenizer::ByteLevel{step.flag("add_prefix_space", true),
                                    step.flag("use_regex", true)};
  if (type == "Digits") return pre_tokenizer::Digits{step.flag("individual_digits", false)};
  if (type == "Whitespace") return pre_tokenizer::Whitespace{};
  if (type == "WhitespaceSplit") return pre_tokenizer::WhitespaceSplit{};
  if (type == "Punctuation")
    return pre_tokenizer::Punctuation{step.find("behavior") != nullptr ? read_behavior(step)
                                                                       : SplitBehavior::isolated};
  if (type == "CharDelimiterSplit")
    return pre_tokenizer::CharDelimiter{step.character("delimiter")};
  if (type == "Metaspace") return read_metaspace(step);
  fail("the pre-tokenizer {} is not supported", type);
}

DecoderStep read_decoder(const Fields& step) {
  const std::string type = step.text("type");
  if (type == "ByteLevel") return decoder::ByteLevel{};
  if (type == "ByteFallback") return decoder::ByteFallback{};
  if (type == "Fuse") return decoder::Fuse{};
  if (type == "Replace") return decoder::Replace{read_pattern(step), step.text("content")};
  if (type == "Strip")
    return decoder::Strip{step.character("content"), step.number("start", 0, 1 << 20),
                          step.number("stop", 0, 1 << 20)};
  if (type == "BPEDecoder") return decoder::WordSuffix{step.text("suffix", "</w>")};
  if (type == "Metaspace") {
    const auto metaspace = read_metaspace(step);
    return decoder::Metaspace{metaspace.replacement,
                              metaspace.prepend != pre_tokenizer::Metaspace::never};
  }
  fail("the decoder {} is not supported", type);
}

// Puts what a TemplateProcessing adds around `prefix` and `suffix`.
void read_template(const Fields& step, Tokenizer::Impl& impl) {
  const Json* specials = step.find("special_tokens");
  std::vector<int> before, after;
  bool seen_text = false;
  for (const Json& item : step.list("single")) {
    const Fields piece(item, "an item of the post-processor's \"single\"");
    if (piece.find("Sequence") != nullptr) {
      if (seen_text || piece.object("Sequence").text("id") != "A")
        fail("the post-processor's \"single\" does not have just one sequence A");
      seen_text = true;
      continue;
    }
    const std::string name = piece.object("SpecialToken").text("id");
    const auto it = specials != nullptr && specials->is_object() ? specials->find(name)
                                                                 : Json::const_iterator();
    if (specials == nullptr || !specials->is_object() || it == specials->end())
      fail("the post-processor uses \"{}\", which is not among its special_tokens", name);
    for (const Json& id : Fields(*it, "special token " + name).list("ids"))
      (seen_text ? after : before)
          .push_back(Fields::to_int(id, 0, max_token_id, "an id of " + name));
  }
  if (!seen_text) fail("the post-processor's \"single\" has no sequence A");
  impl.prefix.insert(impl.prefix.begin(), before.begin(), before.end());
  impl.suffix.insert(impl.suffix.end(), after.begin(), after.end());
}

void read_post_processor(const Fields& step, Tokenizer::Impl& impl) {
  const std::string type = step.text("type");
  if (type == "ByteLevel") return;  // changes offsets only
  if (type == "TemplateProcessing") return read_template(step, impl);
  if (type == "RobertaProcessing" || type == "BertProcessing") {
    const auto id_of = [&](const char* key) {
      const Json& pair = step.list(key);
      if (pair.size() != 2) fail("\"{}\" of {} is not a pair of text and id", key, type);
      return Fields::to_int(pair[1], 0, max_token_id, fmt::format("the id in \"{}\"", key));
    };
    impl.prefix.insert(impl.prefix.begin(), id_of("cls"));
    impl.suffix.push_back(id_of("sep"));
    return;
  }
  fail("the post-processor {} is not supported", type);
}

std::pair<std::string, std::string> read_merge(const Json& merge, size_t rank) {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string())
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  if (merge.is_string()) {
    const auto text = merge.get<std::string>();
    const size_t space = text.find(' ');
    if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos)
      return {text.substr(0, space), text.substr(space + 1)};
  }
  fail("merge {} is neither a pair of strings nor a string with one space", rank);
}

Bpe read_model(const Fields& model) {
  if (const std::string type = model.text("type", "BPE"); type != "BPE")
    fail("the model {} is not supported, only BPE", type);
  if (const Json* dropout = model.find("dropout"); dropout != nullptr && *dropout != 0)
    fail("the model asks for dropout, which is not supported");
  BpeSettings settings;
  if (model.find("unk_token") != nullptr) settings.unknown_token = model.text("unk_token");
  settings.continuing_prefix = model.text("continuing_subword_prefix", "");
  settings.word_suffix = model.text("end_of_word_suffix", "");
  settings.fuse_unknown = model.flag("fuse_unk", false);
  settings.byte_fallback = model.flag("byte_fallback", false);
  settings.ignore_merges = model.flag("ignore_merges", false);

  const Json& vocabulary = model.at("vocab");
  if (!vocabulary.is_object()) fail("\"vocab\" of the model is not an object");
  std::vector<std::pair<std::string, int>> tokens;
  tokens.reserve(vocabulary.size());
  for (const auto& [text, id] : vocabulary.items())
    tokens.emplace_back(text,
                        Fields::to_int(id, 0, max_token_id, fmt::format("the id of \"{}\"", text)));

  std::vector<std::pair<std::string, std::string>> merges;
  const Json& list = model.list("merges");
  merges.reserve(list.size());
  for (const Json& merge : list) {
    if (merge.is_string() && merge.get_ref<const std::string&>().starts_with("#version")) continue;
    merges.push_back(read_merge(merge, merges.size()));
  }
  return Bpe(std::move(tokens), merges, std::move(settings));
}

// The list as the file has it; the ids in it are what it claims, see AddedTokenList.
std::vector<AddedToken> read_added_tokens(const Fields& file) {
  std::vector<AddedToken> tokens;
  if (file.find("added_tokens") == nullptr) return tokens;
  for (const Json& json : file.list("added_tokens")) {
    const Fields fields(json, fmt::format("added token {}", tokens.size()));
    AddedToken token;
    token.content = fields.text("content");
    token.id = fields.find("id") != nullptr ? fields.number("id", 0, max_token_id) : -1;
    token.single_word = fields.flag("single_word", false);
    token.lstrip = fields.flag("lstrip", false);
    token.rstrip = fields.flag("rstrip", false);
    token.special = fields.flag("special", false);
    token.normalized = fields.flag("normalized", !token.special);
    tokens.push_back(std::move(token));
  }
  return tokens;
}

void read(const Json& json, TokenizerFile& out) {
  const Fields file(json, "it");
  Tokenizer::Impl& impl = *out.impl;
  const auto steps = [&](const char* key, const char* list, const auto& read_step) {
    if (const Json* value = file.find(key))
      each_step(*value, fmt::format("the {}", key), list, read_step);
  };
  steps("normalizer", "normalizers",
        [&](const Fields& f) { impl.normalizers.push_back(read_normalizer(f)); });
  steps("pre_tokenizer", "pretokenizers",
        [&](const Fields& f) { impl.pre_tokenizers.push_back(read_pre_tokenizer(f)); });
  steps("post_processor", "processors", [&](const Fields& f) { read_post_processor(f, impl); });
  steps("decoder", "decoders", [&](const Fields& f) { impl.decoders.push_back(read_decoder(f)); });
  impl.model = read_model(file.object("model"));
  impl.prepare_within();
  out.stated = read_added_tokens(file);
  out.added.add(out.stated, impl.model);
}

}  // namespace

TokenizerFile read_tokenizer_json(std::string_view text, const std::string& name) {
  TokenizerFile out;
  out.impl = std::make_shared<Tokenizer::Impl>();
  out.impl->name = name;
  try {
    read(Json::parse(text), out);
  } catch (const Json::exception& e) {
    fail("{} is not a tokenizer.json: {}", name, e.what());
  } catch (const Error& e) {
    fail("{} is not a tokenizer.json that can be used: {}", name, e.what());
  }
  return out;
}

void finish_added_tokens(TokenizerFile& file) {
  file.impl->added = AddedTokens(file.added.finished(), [&](const std::string& content) {
    return normalize(file.impl->normalizers, content);
  });
}

Tokenizer Tokenizer::from_json(std::string_view text, const std::string& name) {
  TokenizerFile file = read_tokenizer_json(text, name);
  finish_added_tokens(file);
  return Tokenizer(std::move(file.impl));
}

}  // namespace gavel
