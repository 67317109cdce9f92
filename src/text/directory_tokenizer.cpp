// The tokenizer of a model directory: tokenizer.json, and the tokens that tokenizer_config.json,
// special_tokens_map.json and added_tokens.json name. Which of them counts, and in which order new
// tokens get their ids, is as in transformers 5 (PreTrainedTokenizerFast.from_pretrained).
#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "text/tokenizer_impl.h"

namespace gavel {
namespace fs = std::filesystem;
namespace {

using OrderedJson = nlohmann::ordered_json;  // some orders count

constexpr std::array<const char*, 7> kRoles{"bos_token", "eos_token", "unk_token", "sep_token",
                                            "pad_token", "cls_token", "mask_token"};

bool is_role(const std::string& key) {
  return std::find(kRoles.begin(), kRoles.end(), key) != kRoles.end();
}

// A token as a file has it: its text alone, or with its settings.
struct NamedToken {
  AddedToken token;
  bool plain = true;
  bool normalized_given = false;  // else it is what `special` is not
  bool operator==(const NamedToken&) const = default;
};

// The role ("eos_token", "image_token") of each; nothing: explicitly none.
using Roles = std::vector<std::pair<std::string, std::optional<NamedToken>>>;

std::optional<NamedToken>& role(Roles& roles, const std::string& key) {
  for (auto& [name, token] : roles)
    if (name == key) return token;
  return roles.emplace_back(key, std::nullopt).second;
}

// {"content": ..., "lstrip": ..., ...}
NamedToken read_settings(const OrderedJson& j, const std::string& where) {
  const auto content = j.find("content");
  if (content == j.end() || !content->is_string()) fail("{} has no \"content\"", where);
  NamedToken out{.token = {.id = -1, .content = content->get<std::string>()}, .plain = false};
  AddedToken& token = out.token;
  const auto flag = [&](const char* key, bool otherwise) {
    const auto it = j.find(key);
    if (it == j.end() || it->is_null()) return otherwise;
    if (!it->is_boolean()) fail("\"{}\" of {} is not true or false", key, where);
    return it->get<bool>();
  };
  token.single_word = flag("single_word", false);
  token.lstrip = flag("lstrip", false);
  token.rstrip = flag("rstrip", false);
  token.special = flag("special", false);
  token.normalized = flag("normalized", !token.special);
  const auto normalized = j.find("normalized");
  out.normalized_given = normalized != j.end() && !normalized->is_null();
  return out;
}

void make_special(NamedToken& t) {
  t.token.special = true;
  if (!t.normalized_given) t.token.normalized = false;
}

NamedToken read_named(const OrderedJson& j, const std::string& where) {
  if (j.is_string()) return {.token = {.id = -1, .content = j.get<std::string>(), .special = true}};
  if (!j.is_object()) fail("{} is neither a string nor a token's settings", where);
  return read_settings(j, where);
}

OrderedJson read_object(const fs::path& path) {
  std::error_code ec;
  if (!fs::exists(path, ec)) return OrderedJson::object();
  OrderedJson j;
  try {
    j = OrderedJson::parse(read_file(path, size_t{256} << 20));
  } catch (const OrderedJson::exception& e) {
    fail("{} is not JSON: {}", path.string(), e.what());
  }
  if (!j.is_object()) fail("{} is not a JSON object", path.string());
  return j;
}

// Tokens with the ids that a file claims for them, in the order of these ids.
struct Claims {
  std::map<int64_t, NamedToken> by_id;
  std::map<std::string, NamedToken> by_content;  // also those whose id another one took
  void add(int64_t id, const NamedToken& token) {
    by_id[id] = token;
    by_content[token.token.content] = token;
  }
};

Claims read_decoder(const OrderedJson& decoder, const std::string& where) {
  Claims out;
  if (!decoder.is_object()) fail("{}: added_tokens_decoder is not an object", where);
  for (const auto& [key, value] : decoder.items()) {
    if (key.empty() || key.size() > 9 || key.find_first_not_of("0123456789") != std::string::npos)
      fail("{}: added_tokens_decoder has the key \"{}\", which is no id", where, key);
    if (!value.is_object()) fail("{}: token {} of added_tokens_decoder is no object", where, key);
    out.add(std::stoll(key),
            read_settings(value, fmt::format("token {} of {}'s added_tokens_decoder", key, where)));
  }
  return out;
}

// What the files beside tokenizer.json say, put together.
struct Named {
  Roles roles;           // the standard ones, in kRoles' order
  Roles typed_own, own;  // other "..._token" keys: a map's or with settings; a config's strings
  std::optional<OrderedJson> extra, additional;  // lists; two names of one thing
  Claims claims;
};

std::vector<NamedToken> read_list(const std::optional<OrderedJson>& list,
                                  const std::string& where) {
  std::vector<NamedToken> out;
  if (!list || list->is_null()) return out;
  if (!list->is_array()) fail("{} is not a list of tokens", where);
  for (const OrderedJson& item : *list) {
    out.push_back(read_named(item, "an item of " + where));
    // Settings without their type are a special token's.
    if (item.is_object() && !item.contains("__type")) make_special(out.back());
  }
  return out;
}

bool is_own(const std::string& key, const OrderedJson& value) {
  return !is_role(key) && key.ends_with("_token") && (value.is_string() || value.is_object());
}

// {"image_token": ...} among the extra tokens: roles of the model's own.
void take_own(std::optional<OrderedJson>& extra, const std::string& where, Named& named) {
  if (!extra || !extra->is_object()) return;
  for (const auto& [key, value] : extra->items())
    role(is_role(key) ? named.roles : named.own, key) =
        read_named(value, fmt::format("\"{}\" of {}", key, where));
  extra.reset();
}

Named read_config(const OrderedJson& config, const std::string& where) {
  Named named;
  for (const char* key : kRoles) role(named.roles, key);
  for (const auto& [key, value] : config.items()) {
    const std::string what = fmt::format("\"{}\" of {}", key, where);
    if (is_role(key) && !value.is_null()) role(named.roles, key) = read_named(value, what);
    if (is_own(key, value))
      role(value.is_string() ? named.own : named.typed_own, key) = read_named(value, what);
    if (key == "extra_special_tokens") named.extra = value;
    if (key == "additional_special_tokens") named.additional = value;
  }
  if (named.additional && (!named.extra || named.extra->is_null() || named.extra->empty())) {
    named.extra = std::move(named.additional);
    named.additional.reset();
  }
  take_own(named.extra, where, named);
  return named;
}

// special_tokens_map.json: what it says of the standard roles stands before
// tokenizer_config.json's.
void read_map(const OrderedJson& map, const std::string& where, Named& named) {
  for (const auto& [key, value] : map.items()) {
    const std::string what = fmt::format("\"{}\" of {}", key, where);
    if (is_role(key) || is_own(key, value)) {
      std::optional<NamedToken> token;
      if (!value.is_null()) token = read_named(value, what);
      if (token && !token->plain) make_special(*token);
      role(is_role(key) ? named.roles : named.typed_own, key) = std::move(token);
    } else if (key == "additional_special_tokens") {
      named.additional = value;
    } else if (key == "extra_special_tokens" && value.is_array()) {
      OrderedJson list =
          named.extra && named.extra->is_array() ? *named.extra : OrderedJson::array();
      for (const OrderedJson& item : value)
        if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
      named.extra = std::move(list);
    } else if (key == "extra_special_tokens") {
      named.extra = value;
      take_own(named.extra, where, named);
    }
  }
}

// Whether added_tokens.json's `content` is a special token: one that the roles or the extra tokens
// name, but for those that tokenizer_config.json writes with settings.
bool is_named(const std::string& content, const Named& named, const OrderedJson& config,
              const OrderedJson& map) {
  for (const auto& [key, token] : named.roles) {
    if (!token || token->token.content != content) continue;
    const auto it = config.find(key);
    if (map.contains(key) || (it != config.end() && it->is_string())) return true;
  }
  return named.extra && named.extra->is_array() &&
         std::find(named.extra->begin(), named.extra->end(), content) != named.extra->end();
}

// added_tokens.json: {"text": id}.
Claims read_added(const OrderedJson& added, const std::string& where,
                  const std::function<bool(const std::string&)>& is_special) {
  Claims out;
  for (const auto& [content, id] : added.items()) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() > max_token_id)
      fail("{}: the id of \"{}\" is {}", where, content, id.dump());
    const bool special = is_special(content);
    out.add(id.get<int64_t>(),
            {.token = {.id = -1, .content = content, .normalized = !special, .special = special},
             .plain = false,
             .normalized_given = true});
  }
  return out;
}

// The tokens to add to those of tokenizer.json, in the order in which new ones get their ids. Those
// that are there take the settings that stand here.
std::vector<AddedToken> tokens_to_add(const Named& named, const std::vector<NamedToken>& extra,
                                      const AddedTokenList& present) {
  std::vector<NamedToken> tokens;
  std::unordered_set<std::string> known, roles;
  for (const AddedToken& t : present.tokens()) known.insert(t.content);
  for (const auto& [id, token] : named.claims.by_id) tokens.push_back(token);
  for (const NamedToken& t : tokens) known.insert(t.token.content);
  const auto add = [&](const NamedToken& t) {
    if (!known.contains(t.token.content) &&
        std::find(tokens.begin(), tokens.end(), t) == tokens.end())
      tokens.push_back(t);
  };
  for (const auto& [key, token] : named.roles) {
    if (!token || token->token.content.empty()) continue;
    roles.insert(token->token.content);
    add(*token);
  }
  for (const NamedToken& token : extra) add(token);
  std::vector<AddedToken> out;
  for (NamedToken& t : tokens) {
    if (roles.contains(t.token.content)) make_special(t);
    out.push_back(std::move(t.token));
  }
  return out;
}

// A role's token has the settings that it is added with; then come the model's own roles.
void take_settings(Named& named) {
  const auto& claimed = named.claims.by_content;
  for (auto& [key, token] : named.roles) {
    if (!token) continue;
    const auto it = claimed.find(token->token.content);
    if (it != claimed.end()) token = it->second;
  }
  for (Roles* own : {&named.typed_own, &named.own})
    for (auto& [key, token] : *own) role(named.roles, key) = std::move(token);
}

std::string content_of(const Roles& roles, const std::string& key) {
  for (const auto& [name, token] : roles)
    if (name == key) return token ? token->token.content : "";
  return "";
}

// Tokens whose id is another one than a file says, in one sentence; "" where there are none.
std::string other_ids(const Tokenizer& tokenizer, const Claims& claims, const std::string& where) {
  constexpr int shown = 3;
  std::string list;
  int count = 0;
  for (const auto& [id, named] : claims.by_id) {
    const AddedToken& token = named.token;
    const auto now = tokenizer.token_to_id(token.content);
    if (token.content.empty() || (now && *now == id) || ++count > shown) continue;
    list += fmt::format("{}\"{}\" is {} there and {} here", list.empty() ? "" : ", ", token.content,
                        id, now ? std::to_string(*now) : "no token");
  }
  if (count == 0) return "";
  if (count > shown) list += fmt::format(" and {} more", count - shown);
  return fmt::format("{} gives tokens other ids than they have, as in transformers: {}", where,
                     list);
}

}  // namespace

DirectoryTokenizer Tokenizer::from_directory(const fs::path& directory) {
  const auto path = [&](const char* name) { return (directory / name).string(); };
  const std::string main = path("tokenizer.json"), config_name = path("tokenizer_config.json"),
                    map_name = path("special_tokens_map.json"),
                    added_name = path("added_tokens.json");
  TokenizerFile file = read_tokenizer_json(read_file(main), main);
  const OrderedJson config = read_object(config_name), map = read_object(map_name),
                    added = read_object(added_name);
  Named named = read_config(config, config_name);
  const std::string config_bos = content_of(named.roles, "bos_token"),
                    config_eos = content_of(named.roles, "eos_token");
  Claims in_file, in_config, in_added;
  for (const AddedToken& token : file.stated)
    if (token.id >= 0)
      in_file.add(token.id, {.token = token, .plain = false, .normalized_given = true});
  const auto decoder = config.find("added_tokens_decoder");
  if (decoder != config.end()) {
    named.claims = in_config = read_decoder(*decoder, config_name);
    // Only to say where it contradicts.
    in_added = read_added(added, added_name, [](const std::string&) { return false; });
  } else {
    read_map(map, map_name, named);
    named.claims = in_added = read_added(added, added_name, [&](const std::string& content) {
      return is_named(content, named, config, map);
    });
    for (const auto& [id, token] : in_file.by_id) named.claims.add(id, token);
  }
  take_settings(named);
  const auto extra = read_list(named.extra ? named.extra : named.additional,
                               "the extra special tokens of " + directory.string());
  file.added.add(tokens_to_add(named, extra, file.added), file.impl->model);
  finish_added_tokens(file);
  DirectoryTokenizer out{.tokenizer = Tokenizer(std::move(file.impl)),
                         .bos_token = content_of(named.roles, "bos_token"),
                         .eos_token = content_of(named.roles, "eos_token"),
                         .unknown_token = content_of(named.roles, "unk_token"),
                         .padding_token = content_of(named.roles, "pad_token"),
                         .contradictions = {}};
  const auto say = [&](std::string sentence) {
    if (!sentence.empty()) out.contradictions.push_back(std::move(sentence));
  };
  say(other_ids(out.tokenizer, in_file, main));
  say(other_ids(out.tokenizer, in_config, config_name));
  say(other_ids(out.tokenizer, in_added, added_name));
  Named other;
  read_map(map, map_name, other);
  for (const auto& [key, mine, theirs] : {std::tuple("bos_token", out.bos_token, config_bos),
                                          std::tuple("eos_token", out.eos_token, config_eos)}) {
    if (!map.contains(key)) continue;
    const std::string mapped = content_of(other.roles, key);
    if (mapped != theirs && !(mine == mapped && theirs.empty()))
      say(fmt::format("{} calls \"{}\" its {} and {} \"{}\": \"{}\" counts, as in transformers",
                      map_name, mapped, key, config_name, theirs, mine));
  }
  return out;
}

}  // namespace gavel
