#include "export/tokenizer_export.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "model/gguf_model.h"
#include "text/added_tokens.h"
#include "text/gguf_pre_tokenizer.h"
#include "text/spm_merges.h"

namespace gavel {
namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;
namespace {

constexpr const char* kSpace = "\xE2\x96\x81";  // U+2581, which SentencePiece writes for a space

// ---- tokenizer.json -> GGUF ----

// A pre-tokenizer as GGUF's table has it: Digits or not, then patterns, then bytes.
struct Shape {
  bool digits = false;
  std::vector<std::string> patterns;
  bool byte_level = false;
};

const json& field(const json& j, const char* key) {
  static const json null;
  if (!j.is_object()) return null;
  const auto it = j.find(key);
  return it == j.end() ? null : *it;
}

std::string text_of(const json& j) { return j.is_string() ? j.get<std::string>() : ""; }

// False where the step has no counterpart in GGUF.
bool add_step(const json& step, Shape& shape) {
  const std::string type = text_of(field(step, "type"));
  if (type == "Sequence") {
    const json& steps = field(step, "pretokenizers");
    return steps.is_array() && std::all_of(steps.begin(), steps.end(),
                                           [&](const json& s) { return add_step(s, shape); });
  }
  if (shape.byte_level) return false;  // it must be last
  if (type == "Digits") {
    shape.digits = true;
    return shape.patterns.empty() && field(step, "individual_digits") == true;
  }
  if (type == "Split") {
    shape.patterns.push_back(text_of(field(field(step, "pattern"), "Regex")));
    return field(step, "behavior") == "Isolated" && field(step, "invert") != true;
  }
  if (type != "ByteLevel" || field(step, "add_prefix_space") == true) return false;
  if (field(step, "use_regex") != false)
    shape.patterns.emplace_back(find_gguf_pre_tokenizer("gpt-2")->patterns.at(0));
  shape.byte_level = true;
  return true;
}

std::string pre_tokenizer_name(const json& tokenizer, const std::string& where) {
  Shape shape;
  const json& normalizer = field(tokenizer, "normalizer");
  const bool plain = normalizer.is_null() || (field(normalizer, "type") == "Sequence" &&
                                              field(normalizer, "normalizers").empty());
  const bool nfc = field(normalizer, "type") == "NFC";
  const bool ignore_merges = field(field(tokenizer, "model"), "ignore_merges") == true;
  if ((plain || nfc) && add_step(field(tokenizer, "pre_tokenizer"), shape) && shape.byte_level) {
    const auto fits = [&](const GgufPreTokenizer& t, bool exactly) {
      return t.digits == shape.digits &&
             std::equal(t.patterns.begin(), t.patterns.end(), shape.patterns.begin(),
                        shape.patterns.end()) &&
             (!exactly || (t.normalize == nfc && t.ignore_merges == ignore_merges));
    };
    // Names that llama.cpp's own converter writes come first; NFC and ignore_merges seldom matter
    // and are dropped rather than refused.
    for (const bool exactly : {true, false}) {
      for (const char* name : {"llama-bpe", "gpt-2", "qwen2", "smollm"})
        if (fits(*find_gguf_pre_tokenizer(name), exactly)) return name;
      for (const GgufPreTokenizer& t : gguf_pre_tokenizers())
        if (fits(t, exactly)) return t.name;
    }
  }
  fail("{}: its pre-tokenizer has no name in GGUF, so it cannot be written there", where);
}

std::vector<std::string> merges_of(const json& model, const std::string& where) {
  std::vector<std::string> out;
  for (const json& m : field(model, "merges")) {
    if (m.is_string())
      out.push_back(m.get<std::string>());
    else if (m.is_array() && m.size() == 2 && m[0].is_string() && m[1].is_string())
      out.push_back(m[0].get<std::string>() + " " + m[1].get<std::string>());
    else
      fail("{}: merge {} is not a pair of tokens", where, out.size());
  }
  return out;
}

// Token ids that a text gets before and after it: BOS and EOS, as the post-processor adds them.
void special_ids(const Tokenizer& tokenizer, GgufTokenizerFields& f) {
  const auto plain = tokenizer.encode("a", false);
  const auto whole = tokenizer.encode("a", true);
  const auto at = std::search(whole.begin(), whole.end(), plain.begin(), plain.end());
  f.add_bos_token = at != whole.end() && at != whole.begin();
  f.add_eos_token =
      at != whole.end() && at + static_cast<std::ptrdiff_t>(plain.size()) != whole.end();
  if (*f.add_bos_token) f.bos_token_id = whole.front();
  if (*f.add_eos_token) f.eos_token_id = whole.back();
}

bool is_step(const json& step, const char* type) { return field(step, "type") == type; }

// {"String": " "} -> "▁", the replacement that SentencePiece makes.
bool replaces_spaces(const json& step) {
  return is_step(step, "Replace") && field(field(step, "pattern"), "String") == " " &&
         field(step, "content") == kSpace;
}

// Whether a tokenizer.json is a SentencePiece model's, and how it treats a text's beginning:
// nothing where it is none. Two forms are written: normalizers, or Metaspace as a pre-tokenizer.
struct SpaceRule {
  bool prefix = true;
  bool exact = true;  // GGUF says the same
};
std::optional<SpaceRule> sentencepiece_rule(const json& tokenizer) {
  if (field(field(tokenizer, "model"), "byte_fallback") != true) return std::nullopt;
  const json& normalizer = field(tokenizer, "normalizer");
  const json& pre = field(tokenizer, "pre_tokenizer");
  if (pre.is_null()) {
    if (replaces_spaces(normalizer)) return SpaceRule{false, true};
    const json& steps = field(normalizer, "normalizers");
    if (!is_step(normalizer, "Sequence") || !steps.is_array()) return std::nullopt;
    if (steps.size() == 1 && replaces_spaces(steps[0])) return SpaceRule{false, true};
    if (steps.size() == 2 && is_step(steps[0], "Prepend") && field(steps[0], "prepend") == kSpace &&
        replaces_spaces(steps[1]))
      return SpaceRule{true, true};
    return std::nullopt;
  }
  if (!normalizer.is_null() || !is_step(pre, "Metaspace") || field(pre, "replacement") != kSpace ||
      field(pre, "split") != false)
    return std::nullopt;
  const bool never = field(pre, "prepend_scheme") == "never";
  return SpaceRule{!never, never};
}

void sentencepiece_fields(const json& tokenizer, const SpaceRule& rule, const std::string& where,
                          GgufTokenizerFields& f) {
  f.model = "llama";
  f.pre = "default";
  f.add_space_prefix = rule.prefix;
  if (!rule.exact)
    spdlog::warn(
        "{}: it puts a space before a text only at its beginning and only where there is none; "
        "GGUF can only say to put one at the beginning and after every special token",
        where);
  std::set<std::string> bytes;
  for (int b = 0; b < 256; ++b) bytes.insert(fmt::format("<0x{:02X}>", b));
  for (size_t i = 0; i < f.tokens.size(); ++i)
    if (f.token_types[i] == 1 && bytes.contains(f.tokens[i])) f.token_types[i] = 6;
  const std::string unknown = text_of(field(field(tokenizer, "model"), "unk_token"));
  for (size_t i = 0; i < f.tokens.size(); ++i)
    if (!unknown.empty() && f.tokens[i] == unknown) {
      f.token_types[i] = 2;
      f.unknown_token_id = static_cast<int>(i);
    }
  MergeList merges;
  for (const std::string& m : merges_of(field(tokenizer, "model"), where)) {
    const size_t space = m.find(' ', 1);
    if (space == std::string::npos) fail("{}: merge \"{}\" has no space", where, m);
    merges.emplace_back(m.substr(0, space), m.substr(space + 1));
  }
  // User-defined tokens are found in a text before it is merged, with or without merges for them.
  std::vector<bool> merged = ordinary_pieces(f);
  for (size_t i = 0; i < merged.size(); ++i)
    if (f.token_types[i] == 4) merged[i] = false;
  auto scores = scores_from_merges(f.tokens, merges, merged);
  if (!scores)
    fail(
        "{}: its merges are not those of a SentencePiece vocabulary, and GGUF has only scores of "
        "tokens for such a tokenizer, so it cannot be written there",
        where);
  f.scores = std::move(*scores);
}

GgufTokenizerFields fields_from_json(const LoadedModel& model, const fs::path& path) {
  const std::string where = path.string();
  const json tokenizer = json::parse(read_file(path, size_t{256} << 20), nullptr, false);
  const json& bpe = field(tokenizer, "model");
  const std::string type = text_of(field(bpe, "type"));
  if ((type != "BPE" && !type.empty()) || !field(bpe, "vocab").is_object())
    fail("{}: only BPE tokenizers can be written to GGUF, this is \"{}\"", where, type);
  const auto rule = sentencepiece_rule(tokenizer);
  GgufTokenizerFields f;
  f.model = "gpt2";
  if (!rule) f.pre = pre_tokenizer_name(tokenizer, where);
  const auto size = static_cast<size_t>(std::max(model.config.vocab_size, 1));
  f.tokens.resize(size);
  f.token_types.assign(size, 5);
  const auto put = [&](const std::string& token, const json& id, int kind) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 ||
        id.get<int64_t>() >= static_cast<int64_t>(size))
      fail("{}: token \"{}\" has the id {}, and the model has {} tokens", where, token, id.dump(),
           size);
    f.tokens[id.get<size_t>()] = token;
    f.token_types[id.get<size_t>()] = kind;
  };
  for (const auto& [token, id] : bpe["vocab"].items()) put(token, id, 1);
  // Those of the directory's other files, too.
  const DirectoryTokenizer whole = Tokenizer::from_directory(path.parent_path());
  std::string inexact;
  for (const AddedToken& a : whole.tokenizer.added_tokens()) {
    if (a.id < static_cast<int>(size))
      put(a.content, a.id, a.special ? 3 : 4);
    else
      spdlog::warn("{}: token \"{}\" has the id {}, beyond the model's {}, and is left out", where,
                   a.content, a.id, size);
    if ((a.single_word || a.lstrip || a.rstrip || (rule && a.normalized)) && inexact.size() < 200)
      inexact += fmt::format("{}\"{}\"", inexact.empty() ? "" : ", ", a.content);
  }
  if (!inexact.empty())
    spdlog::warn(
        "{}: GGUF has no single_word, lstrip, rstrip and normalized, so readers of it find these "
        "tokens in another way: {}",
        where, inexact);
  for (size_t i = 0; i < size; ++i)
    if (f.token_types[i] == 5) f.tokens[i] = fmt::format("[PAD{}]", i);
  if (rule)
    sentencepiece_fields(tokenizer, *rule, where, f);
  else
    f.merges = merges_of(bpe, where);
  const auto id_of = [&](const std::string& token) -> std::optional<int> {
    const auto id = token.empty() ? std::nullopt : model.tokenizer->token_to_id(token);
    return id && *id < static_cast<int>(size) ? id : std::nullopt;
  };
  f.bos_token_id = id_of(model.bos_token);
  f.eos_token_id = id_of(model.eos_token);
  if (!f.eos_token_id && !model.eos_token_ids.empty()) f.eos_token_id = model.eos_token_ids.front();
  special_ids(*model.tokenizer, f);
  if (!whole.unknown_token.empty()) f.unknown_token_id = id_of(whole.unknown_token);
  f.padding_token_id = id_of(whole.padding_token);
  return f;
}

// ---- GGUF -> tokenizer.json ----

json byte_level(bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

json pre_tokenizer_json(const GgufPreTokenizer& pre) {
  json steps = json::array();
  if (pre.digits) steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
  const bool gpt2 = pre.patterns == find_gguf_pre_tokenizer("gpt-2")->patterns;
  if (!gpt2) {
    for (const char* pattern : pre.patterns) {
      json regex;
      regex["Regex"] = pattern;
      steps.push_back(
          {{"type", "Split"}, {"pattern", regex}, {"behavior", "Isolated"}, {"invert", false}});
    }
  }
  steps.push_back(byte_level(gpt2));
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

// Puts BOS and EOS around a text, as the metadata ask.
json post_processor_json(const GgufTokenizerFields& f, bool add_bos) {
  const bool bos = f.add_bos_token.value_or(add_bos) && f.bos_token_id.has_value();
  const bool eos = f.add_eos_token.value_or(false) && f.eos_token_id.has_value();
  if (!bos && !eos) return f.model == "llama" ? json(nullptr) : byte_level(true);
  json single = json::array(), pair = json::array();
  json specials = json::object();
  const auto add = [&](int id, std::initializer_list<json*> to) {
    const std::string& token = f.tokens[static_cast<size_t>(id)];
    for (json* list : to) list->push_back({{"SpecialToken", {{"id", token}, {"type_id", 0}}}});
    specials[token] = {{"id", token}, {"ids", {id}}, {"tokens", {token}}};
  };
  if (bos) add(*f.bos_token_id, {&single, &pair});
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  pair.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  if (eos) add(*f.eos_token_id, {&single, &pair});
  pair.push_back({{"Sequence", {{"id", "B"}, {"type_id", 0}}}});
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", pair},
          {"special_tokens", specials}};
}

json replace_step(const char* from, const char* to) {
  json pattern;
  pattern["String"] = from;
  return {{"type", "Replace"}, {"pattern", pattern}, {"content", to}};
}

json sentencepiece_normalizer(bool prefix) {
  json steps = json::array();
  if (prefix) steps.push_back({{"type", "Prepend"}, {"prepend", kSpace}});
  steps.push_back(replace_step(" ", kSpace));
  return {{"type", "Sequence"}, {"normalizers", steps}};
}

json sentencepiece_decoder(bool prefix) {
  json steps = json::array();
  steps.push_back(replace_step(kSpace, " "));
  for (const char* type : {"ByteFallback", "Fuse"}) steps.push_back(json{{"type", type}});
  if (prefix) steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return {{"type", "Sequence"}, {"decoders", steps}};
}

json merges_json(const GgufTokenizerFields& f, const std::string& name) {
  json merges = json::array();
  if (f.model == "llama") {
    for (const auto& [left, right] : merges_from_scores(f.tokens, f.scores, ordinary_pieces(f)))
      merges.push_back({left, right});
    return merges;
  }
  for (const std::string& m : f.merges) {
    const size_t space = m.find(' ', 1);
    if (space == std::string::npos) fail("{}: merge \"{}\" has no space", name, m);
    merges.push_back({m.substr(0, space), m.substr(space + 1)});
  }
  return merges;
}

std::string text_of_json(const ordered_json& j) {
  return j.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

std::map<std::string, std::string> files_from_gguf(const LoadedModel& model) {
  const GgufParts parts(model.path);
  const GgufFile& file = parts.first();
  if (file.text("tokenizer.ggml.model") == nullptr) return {};
  const GgufTokenizerFields f = gguf_tokenizer_fields(file);
  std::map<std::string, std::string> out;
  out["tokenizer.json"] =
      tokenizer_from_gguf(f, file.name()).dump(1, ' ', false, json::error_handler_t::replace) +
      "\n";
  ordered_json config;
  config["tokenizer_class"] = "PreTrainedTokenizerFast";
  const auto name = [&](const char* key, const std::optional<int>& id) {
    if (id) config[key] = f.tokens[static_cast<size_t>(*id)];
  };
  name("bos_token", f.bos_token_id);
  name("eos_token", f.eos_token_id);
  name("unk_token", f.unknown_token_id);
  name("pad_token", f.padding_token_id);
  config["clean_up_tokenization_spaces"] = false;
  config["model_max_length"] = model.config.max_position_embeddings;
  if (model.chat_template) {
    config["chat_template"] = *model.chat_template;
    out["chat_template.jinja"] = *model.chat_template;
  }
  out["tokenizer_config.json"] = text_of_json(config);
  ordered_json generation = ordered_json::object();
  if (f.bos_token_id) generation["bos_token_id"] = *f.bos_token_id;
  if (!model.eos_token_ids.empty()) generation["eos_token_id"] = model.eos_token_ids;
  if (f.padding_token_id) generation["pad_token_id"] = *f.padding_token_id;
  out["generation_config.json"] = text_of_json(generation);
  return out;
}

}  // namespace

GgufTokenizerFields tokenizer_to_gguf(const LoadedModel& model) {
  if (!fs::is_directory(model.path)) return gguf_tokenizer_fields(GgufParts(model.path).first());
  if (!model.tokenizer) fail("{} has no tokenizer.json", model.path.string());
  return fields_from_json(model, model.path / "tokenizer.json");
}

json tokenizer_from_gguf(const GgufTokenizerFields& f, const std::string& name) {
  const bool sentencepiece = f.model == "llama";
  const GgufPreTokenizer* pre = find_gguf_pre_tokenizer(f.pre.empty() ? "gpt-2" : f.pre);
  if (!sentencepiece && (f.model != "gpt2" || pre == nullptr))
    fail("{}: the tokenizer \"{}\" / \"{}\" cannot be written as tokenizer.json", name, f.model,
         f.pre);
  // Not in the order of ids: an ordered object looks through all of itself at each insertion.
  json vocab = json::object(), added = json::array();
  for (size_t i = 0; i < f.tokens.size(); ++i) {
    const int kind = f.token_types.empty() ? 1 : f.token_types[i];
    if (kind == 5 && !sentencepiece) continue;  // unused
    vocab[f.tokens[i]] = i;
    if (kind == 3 || kind == 4 || (kind == 2 && sentencepiece))
      added.push_back({{"id", i},
                       {"content", f.tokens[i]},
                       {"single_word", false},
                       {"lstrip", false},
                       {"rstrip", false},
                       {"normalized", false},
                       {"special", kind != 4}});
  }
  json j;
  j["version"] = "1.0";
  j["truncation"] = nullptr;
  j["padding"] = nullptr;
  j["added_tokens"] = std::move(added);
  const bool add_bos = sentencepiece ? f.bos_token_id.has_value() : pre->add_bos;
  j["post_processor"] = post_processor_json(f, add_bos);
  j["model"] = {{"type", "BPE"},
                {"dropout", nullptr},
                {"unk_token", nullptr},
                {"continuing_subword_prefix", nullptr},
                {"end_of_word_suffix", nullptr},
                {"fuse_unk", sentencepiece},
                {"byte_fallback", sentencepiece},
                {"ignore_merges", !sentencepiece && pre->ignore_merges}};
  if (sentencepiece) {
    j["normalizer"] = sentencepiece_normalizer(f.add_space_prefix);
    j["pre_tokenizer"] = nullptr;
    j["decoder"] = sentencepiece_decoder(f.add_space_prefix);
    if (f.unknown_token_id)
      j["model"]["unk_token"] = f.tokens[static_cast<size_t>(*f.unknown_token_id)];
  } else {
    j["normalizer"] = pre->normalize ? json{{"type", "NFC"}} : json(nullptr);
    j["pre_tokenizer"] = pre_tokenizer_json(*pre);
    j["decoder"] = byte_level(true);
  }
  j["model"]["vocab"] = std::move(vocab);
  j["model"]["merges"] = merges_json(f, name);
  return j;
}

std::map<std::string, std::string> tokenizer_files(const LoadedModel& model) {
  if (!fs::is_directory(model.path)) return files_from_gguf(model);
  std::map<std::string, std::string> out;
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                           "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model",
                           "chat_template.jinja", "generation_config.json"})
    if (fs::exists(model.path / name)) out[name] = read_file(model.path / name);
  return out;
}

}  // namespace gavel
