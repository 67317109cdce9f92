// Builds a tokenizer from a GGUF file's metadata. It names the pre-tokenizer instead of describing
// it: the table below says what each name stands for in the model's own tokenizer.json.
#include <cmath>

#include "base/error.h"
#include "text/gguf_pre_tokenizer.h"
#include "text/spm_merges.h"
#include "text/tokenizer_impl.h"
#include "text/unicode.h"

namespace gavel {
namespace {

constexpr const char* gpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr const char* llama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* qwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* qwen35 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* gpt4o =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* tekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* deepseek_v3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* bloom = R"( ?[^(\s|.,!?…。，、।۔،)]+)";

}  // namespace

const std::vector<GgufPreTokenizer>& gguf_pre_tokenizers() {
  static const std::vector<GgufPreTokenizer> types = {
      {"gpt-2", false, {gpt2}},
      {"gpt2", false, {gpt2}},
      {"phi-2", false, {gpt2}},
      {"mpt", false, {gpt2}},
      {"olmo", false, {gpt2}, true},
      {"jais", false, {gpt2}},
      {"trillion", false, {gpt2}},
      {"granite-docling", false, {gpt2}},
      {"jina-v1-en", false, {gpt2}},
      {"jina-v2-code", false, {gpt2}},
      {"roberta-bpe", false, {gpt2}},
      {"smollm", true, {gpt2}},
      {"starcoder", true, {gpt2}},
      {"refact", true, {gpt2}},
      {"command-r", true, {gpt2}, true},
      {"codeshell", true, {gpt2}},
      {"exaone", true, {gpt2}},
      {"minerva-7b", true, {gpt2}},
      {"llama3", false, {llama3}, false, true, true},
      {"llama-v3", false, {llama3}, false, true, true},
      {"llama-bpe", false, {llama3}, false, true, true},
      {"falcon3", false, {llama3}, false, true, true},
      {"falcon-h1", false, {llama3}, false, true, true},
      {"smaug-bpe", false, {llama3}, false, true},
      {"dbrx", false, {llama3}},
      {"chatglm-bpe", false, {llama3}},
      {"glm4", false, {llama3}},
      {"qwen2", false, {qwen2}, true},
      {"deepseek-r1-qwen", false, {qwen2}, true},
      {"megrez", false, {qwen2}, true},
      {"stablelm2", false, {qwen2}},
      {"hunyuan", false, {qwen2}},
      {"qwen35", false, {qwen35}, true},
      {"gpt-4o", false, {gpt4o}},
      {"llama4", false, {gpt4o}},
      {"tekken", false, {tekken}, false, true, true},
      {"deepseek-v3", false, {R"(\p{N}{1,3})", "[一-龥぀-ゟ゠-ヿ]+", deepseek_v3}},
      {"hunyuan-dense", false, {R"(\p{N}{1,3})", "[一-龥぀-ゟ゠-ヿ]+", deepseek_v3}},
      {"bloom", false, {bloom}},
      {"poro-chat", false, {bloom}},
      {"gpt3-finnish", false, {bloom}},
      {"viking", true, {bloom}},
  };
  return types;
}

const GgufPreTokenizer* find_gguf_pre_tokenizer(const std::string& name) {
  for (const GgufPreTokenizer& type : gguf_pre_tokenizers())
    if (name == type.name) return &type;
  return nullptr;
}

namespace {

std::pair<std::string, std::string> split_merge(const std::string& merge, size_t rank) {
  const size_t space = merge.find(' ', 1);  // a token may begin with a space of its own
  if (space == std::string::npos) fail("merge {} (\"{}\") has no space", rank, merge);
  return {merge.substr(0, space), merge.substr(space + 1)};
}

using Tokens = std::vector<std::pair<std::string, int>>;

void put_ends(const GgufTokenizerFields& fields, bool add_bos, Tokenizer::Impl& impl) {
  const auto put = [&](bool wanted, const std::optional<int>& id, std::vector<int>& where,
                       const char* what) {
    if (!wanted) return;
    if (!id || *id < 0 || static_cast<size_t>(*id) >= fields.tokens.size())
      fail("it asks for a {} token and names none of its tokens", what);
    where.push_back(*id);
  };
  put(fields.add_bos_token.value_or(add_bos), fields.bos_token_id, impl.prefix, "BOS");
  put(fields.add_eos_token.value_or(false), fields.eos_token_id, impl.suffix, "EOS");
}

// SentencePiece's BPE as transformers' LlamaTokenizerFast does it: spaces are "▁", one is put
// before each piece of text between special tokens, and characters without a token become byte
// tokens.
void build_sentencepiece(const GgufTokenizerFields& fields, Tokenizer::Impl& impl) {
  if (fields.scores.size() != fields.tokens.size())
    fail("it has {} tokens and {} scores", fields.tokens.size(), fields.scores.size());
  constexpr const char* space = "\xE2\x96\x81";  // U+2581
  if (fields.add_space_prefix) impl.normalizers.push_back(normalizer::Prepend{space});
  impl.normalizers.push_back(normalizer::Replace{Regex(Regex::escape(" ")), space});
  impl.decoders.push_back(decoder::Replace{Regex(Regex::escape(space)), " "});
  impl.decoders.push_back(decoder::ByteFallback{});
  impl.decoders.push_back(decoder::Fuse{});
  if (fields.add_space_prefix) impl.decoders.push_back(decoder::Strip{U' ', 1, 0});
  Tokens tokens;
  std::vector<AddedToken> added;
  for (size_t i = 0; i < fields.tokens.size(); ++i) {
    const int id = static_cast<int>(i);
    const std::string& text = fields.tokens[i];
    if (!unicode::is_valid(text)) fail("token {} is not UTF-8", id);
    if (!std::isfinite(fields.scores[i])) fail("the score of token {} is no number", id);
    tokens.emplace_back(text, id);
    const int kind = fields.token_types.empty() ? 1 : fields.token_types[i];
    if (kind >= 2 && kind <= 4 && !text.empty())
      added.push_back({.id = id, .content = text, .special = kind != 4});
  }
  BpeSettings settings{.fuse_unknown = true, .byte_fallback = true};
  if (const auto unknown = fields.unknown_token_id)
    if (!fields.tokens[static_cast<size_t>(*unknown)].empty())
      settings.unknown_token = fields.tokens[static_cast<size_t>(*unknown)];
  const auto merges = merges_from_scores(fields.tokens, fields.scores, ordinary_pieces(fields));
  impl.model = Bpe(std::move(tokens), merges, std::move(settings));
  impl.added = AddedTokens(std::move(added), [](const std::string& content) { return content; });
  put_ends(fields, fields.bos_token_id.has_value(), impl);
}

void build_byte_level(const GgufTokenizerFields& fields, Tokenizer::Impl& impl) {
  const GgufPreTokenizer* type = find_gguf_pre_tokenizer(fields.pre.empty() ? "gpt-2" : fields.pre);
  if (type == nullptr) fail("its pre-tokenizer \"{}\" is not known", fields.pre);

  if (type->normalize) impl.normalizers.push_back(normalizer::Unicode{unicode::Form::nfc});
  if (type->digits) impl.pre_tokenizers.push_back(pre_tokenizer::Digits{true});
  for (const char* pattern : type->patterns)
    impl.pre_tokenizers.push_back(
        pre_tokenizer::Split{Regex(pattern), SplitBehavior::isolated, false});
  impl.pre_tokenizers.push_back(pre_tokenizer::ByteLevel{false, false});
  impl.decoders.push_back(decoder::ByteLevel{});

  Tokens tokens;
  tokens.reserve(fields.tokens.size());
  std::vector<AddedToken> added;
  for (size_t i = 0; i < fields.tokens.size(); ++i) {
    const int id = static_cast<int>(i);
    const std::string& text = fields.tokens[i];
    if (!unicode::is_valid(text)) fail("token {} is not UTF-8", id);
    tokens.emplace_back(text, id);
    const int kind = fields.token_types.empty() ? 1 : fields.token_types[i];
    if ((kind == 3 || kind == 4) && !text.empty())
      added.push_back({.id = id, .content = text, .special = kind == 3});
  }
  std::vector<std::pair<std::string, std::string>> merges;
  merges.reserve(fields.merges.size());
  for (const std::string& merge : fields.merges)
    merges.push_back(split_merge(merge, merges.size()));
  impl.model = Bpe(std::move(tokens), merges, {.ignore_merges = type->ignore_merges});
  impl.added = AddedTokens(std::move(added), [](const std::string& content) { return content; });

  put_ends(fields, type->add_bos && fields.bos_token_id, impl);
}

void build(const GgufTokenizerFields& fields, Tokenizer::Impl& impl) {
  if (fields.tokens.size() > static_cast<size_t>(max_token_id))
    fail("it has {} tokens, more than is possible", fields.tokens.size());
  if (!fields.token_types.empty() && fields.token_types.size() != fields.tokens.size())
    fail("it has {} tokens and {} token types", fields.tokens.size(), fields.token_types.size());
  if (fields.model == "gpt2") return build_byte_level(fields, impl);
  if (fields.model == "llama") return build_sentencepiece(fields, impl);
  fail(
      "its tokenizer model \"{}\" is not supported, only \"gpt2\" (byte-level BPE) and \"llama\" "
      "(SentencePiece BPE)",
      fields.model);
}

}  // namespace

std::vector<bool> ordinary_pieces(const GgufTokenizerFields& fields) {
  std::vector<bool> out(fields.tokens.size(), true);
  for (size_t i = 0; i < fields.token_types.size() && i < out.size(); ++i)
    out[i] = fields.token_types[i] == 1 || fields.token_types[i] == 4 || fields.token_types[i] == 5;
  return out;
}

Tokenizer Tokenizer::from_gguf(const GgufTokenizerFields& fields, const std::string& name) {
  auto impl = std::make_shared<Impl>();
  impl->name = name;
  try {
    build(fields, *impl);
    impl->prepare_within();
  } catch (const Error& e) {
    fail("the tokenizer of {} cannot be used: {}", name, e.what());
  }
  return Tokenizer(std::move(impl));
}

}  // namespace gavel
