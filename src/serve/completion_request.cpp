#include "serve/completion_request.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

#include "data/dataset.h"
#include "serve/fields.h"
#include "text/unicode.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kMaxTopLogprobs = 20, kMaxChoices = 8;
constexpr size_t kMaxPrompts = 64;
constexpr size_t kMaxStops = 16, kMaxStopCharacters = 256;

std::vector<std::string> parse_stops(const Fields& fields) {
  const Json* value = fields.value("stop");
  if (value == nullptr) return {};
  const Json list = value->is_string() ? Json::array({*value}) : *value;
  if (!list.is_array() || list.size() > kMaxStops)
    bad_request("stop", "'stop' must be a string or a list of at most {} strings", kMaxStops);
  std::vector<std::string> stops;
  for (const Json& stop : list) {
    const std::string* text = stop.get_ptr<const std::string*>();
    if (text == nullptr || text->empty() || unicode::count(*text) > kMaxStopCharacters)
      bad_request("stop", "'stop' must hold strings of 1 to {} characters", kMaxStopCharacters);
    stops.push_back(stop.get<std::string>());
  }
  return stops;
}

// Tools that a request has and says not to use are left alone; this server calls none.
void refuse_tools(const Fields& fields, const char* name, const char* choice_name) {
  const Json* tools = fields.value(name);
  const Json* choice = fields.value(choice_name);
  if (tools != nullptr && !tools->is_array()) bad_request(name, "'{}' must be a list", name);
  const bool given = tools != nullptr && !tools->empty();
  if (choice != nullptr && *choice == "none") return;
  if (given)
    bad_request(choice == nullptr ? name : choice_name,
                "'{}' with a '{}' other than \"none\" is not supported: this server calls no tools",
                name, choice_name);
  if (choice != nullptr && *choice != "auto")
    bad_request(choice_name, "'{}' must be \"none\", or \"auto\" without '{}'", choice_name, name);
}

// What OpenAI's API has and this server has not: refused where it would change the answer.
void refuse_unsupported(const Fields& fields, bool chat) {
  if (const Json* bias = fields.value("logit_bias"); bias && (!bias->is_object() || !bias->empty()))
    bad_request("logit_bias", "'logit_bias' is not supported");
  refuse_tools(fields, "tools", "tool_choice");
  refuse_tools(fields, "functions", "function_call");
  if (chat) return;
  const auto choices = fields.integer("n", 1, kMaxChoices).value_or(1);
  if (fields.integer("best_of", 1, 128).value_or(choices) != choices)
    bad_request("best_of", "'best_of' other than 'n' is not supported");
  if (!fields.text("suffix").value_or("").empty())
    bad_request("suffix", "'suffix' is not supported");
}

std::shared_ptr<const JsonGrammar> compile_schema(const Json& schema, const std::string& path) {
  try {
    return JsonGrammar::compile(schema);
  } catch (const Error& e) {
    bad_request(path, "The schema cannot be followed: {}", e.what());
  }
}

// The form that response_format prescribes; null for any text.
std::shared_ptr<const JsonGrammar> parse_format(const Fields& fields) {
  const Json* value = fields.value("response_format");
  if (value == nullptr) return nullptr;
  const char* kTypes =
      "'response_format' must be an object whose 'type' is text, json_object or json_schema";
  if (!value->is_object()) bad_request("response_format", "{}", kTypes);
  const Fields format(*value, "response_format.");
  const std::string type = format.text("type").value_or("");
  const Json* named = format.value("json_schema");
  const Json* schema = nullptr;
  if (named != nullptr) {
    if (!named->is_object())
      bad_request(format.path("json_schema"), "'{}' must be an object", format.path("json_schema"));
    const Fields parts(*named, "response_format.json_schema.");
    parts.text("name");
    parts.boolean("strict");  // it always is
    schema = parts.value("schema");
  }
  if (type == "text") return nullptr;
  if (type == "json_object") {  // OpenAI's has no schema, llama.cpp's may
    const Json* own = format.value("schema");
    return own == nullptr ? JsonGrammar::any_object() : compile_schema(*own, format.path("schema"));
  }
  if (type != "json_schema") bad_request("response_format", "{}", kTypes);
  const std::string path = format.path(named == nullptr ? "json_schema" : "json_schema.schema");
  if (schema == nullptr) bad_request(path, "'{}' is missing", path);
  return compile_schema(*schema, path);
}

std::string message_content(const Fields& message) {
  const Json* content = message.value("content");
  if (content == nullptr)
    bad_request(message.path("content"), "'{}' is missing", message.path("content"));
  if (content->is_string()) return content->get<std::string>();
  std::string text;
  if (!content->is_array())
    bad_request(message.path("content"), "'{}' must be a string or a list of text parts",
                message.path("content"));
  for (const Json& part : *content) {
    const auto type = part.is_object() ? part.value("type", Json()) : Json();
    const auto value = part.is_object() ? part.value("text", Json()) : Json();
    if (type != "text" || !value.is_string())
      bad_request(message.path("content"), "'{}' may have parts of type text only",
                  message.path("content"));
    text += value.get<std::string>();
  }
  return text;
}

std::vector<int> chat_prompt(const ServeContext& context, const Fields& fields) {
  const Json* list = fields.value("messages");
  if (list == nullptr) bad_request("messages", "'messages' is missing");
  if (!list->is_array() || list->empty())
    bad_request("messages", "'messages' must be a list of at least one message");
  std::vector<Message> messages;
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string where = fmt::format("messages[{}]", i);
    if (!(*list)[i].is_object()) bad_request(where, "'{}' must be an object", where);
    const Fields message((*list)[i], where + ".");
    std::string role = message.needed_text("role");
    if (role == "developer") role = "system";
    if (role != "system" && role != "user" && role != "assistant")
      bad_request(message.path("role"), "'{}' must be system, developer, user or assistant",
                  message.path("role"));
    messages.push_back({std::move(role), message_content(message)});
  }
  try {
    return encode_chat(context.models.session->encoder, messages, true);
  } catch (const Error& e) {
    bad_request("messages", "The messages do not fit the model's chat template: {}", e.what());
  }
}

std::vector<int> plain_prompt(const ServeContext& context, const Json& value) {
  if (value.is_string())
    return context.models.session->encoder.tokenizer.encode(value.get_ref<const std::string&>(),
                                                            true);
  const bool ids =
      value.is_array() && !value.empty() &&
      std::all_of(value.begin(), value.end(), [](const Json& id) { return id.is_number(); });
  if (!ids)
    bad_request("prompt",
                "'prompt' must be a string, the token ids of one, or a list of at most {} of these",
                kMaxPrompts);
  std::vector<int> tokens;
  const int vocabulary = context.models.session->model.config.vocab_size;
  for (const Json& value_of_id : value) {
    const auto id = whole_number(value_of_id);
    if (!id || *id < 0 || *id >= vocabulary)
      bad_request("prompt", "'prompt' has {}: a token id is an integer from 0 to {}",
                  value_of_id.dump(), vocabulary - 1);
    tokens.push_back(static_cast<int>(*id));
  }
  return tokens;
}

std::vector<std::vector<int>> plain_prompts(const ServeContext& context, const Fields& fields) {
  const Json* value = fields.value("prompt");
  if (value == nullptr) bad_request("prompt", "'prompt' is missing");
  const bool several = value->is_array() && !value->empty() && !value->front().is_number();
  if (!several) return {plain_prompt(context, *value)};
  if (value->size() > kMaxPrompts)
    bad_request("prompt", "'prompt' has {} prompts; {} is the most", value->size(), kMaxPrompts);
  std::vector<std::vector<int>> prompts;
  for (const Json& one : *value) prompts.push_back(plain_prompt(context, one));
  return prompts;
}

SamplingOptions parse_sampling(const Fields& fields) {
  SamplingOptions s;
  s.temperature = static_cast<float>(fields.number("temperature", 0, 2).value_or(1));
  s.top_p = static_cast<float>(fields.number("top_p", 0, 1).value_or(1));
  if (!(s.top_p > 0)) s.top_p = 1e-6f;  // the most likely token alone
  s.top_k = static_cast<int>(fields.integer("top_k", 0, 1'000'000).value_or(0));
  s.min_p = static_cast<float>(fields.number("min_p", 0, 1).value_or(0));
  s.repetition_penalty =
      static_cast<float>(fields.number("repetition_penalty", 0.01, 10).value_or(1));
  s.presence_penalty = static_cast<float>(fields.number("presence_penalty", -2, 2).value_or(0));
  s.frequency_penalty = static_cast<float>(fields.number("frequency_penalty", -2, 2).value_or(0));
  const auto seed = fields.integer("seed", INT64_MIN, INT64_MAX);
  s.seed = seed ? static_cast<uint64_t>(*seed) : uint64_t{std::random_device{}()} << 16;
  return s;
}

int parse_logprobs(const Fields& fields, bool chat) {
  if (!chat) return static_cast<int>(fields.integer("logprobs", 0, kMaxTopLogprobs).value_or(-1));
  const bool wanted = fields.boolean("logprobs").value_or(false);
  const auto top = fields.integer("top_logprobs", 0, kMaxTopLogprobs);
  if (top && !wanted) bad_request("top_logprobs", "'top_logprobs' needs 'logprobs' to be true");
  return wanted ? static_cast<int>(top.value_or(0)) : -1;
}

// A number of tokens, of at least `least`; -1 is as many as fit.
std::optional<int64_t> parse_token_count(const Fields& fields, const char* name,
                                         int64_t least = 1) {
  const Json* value = fields.value(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_number_unsigned() && value->get<uint64_t>() > uint64_t{INT64_MAX}) return INT64_MAX;
  const auto count = fields.integer(name, INT64_MIN, INT64_MAX);
  if (*count == -1) return INT64_MAX;
  if (*count < least)
    bad_request(name, "'{}' is {}; it must be at least {}, or -1 for as many as fit", name, *count,
                least);
  return count;
}

// The number of tokens to generate: what is asked for, at most what there is room for. None may be
// asked for where the prompt is echoed.
void set_max_tokens(const ServeContext& context, const Fields& fields, Completion& c) {
  const int64_t most = context.limits.max_tokens;
  auto asked = parse_token_count(fields, "max_tokens", c.echo ? 0 : 1);
  if (c.chat)  // the newer name comes first where both are given
    if (const auto newer = parse_token_count(fields, "max_completion_tokens")) asked = newer;
  if (!c.chat && !asked) asked = 16;  // as OpenAI's
  size_t shortest = SIZE_MAX, length = 0;
  for (const auto& prompt : c.prompts) {
    shortest = std::min(shortest, prompt.size());
    length = std::max(length, prompt.size());
  }
  const int64_t longest = asked == 0 ? context.context_length() : context.longest_prompt(1);
  if (static_cast<int64_t>(length) > longest)
    throw ApiError(400, "invalid_request_error",
                   fmt::format("The prompt has {} tokens; {} is the most.", length, longest),
                   c.chat ? "messages" : "prompt", "context_length_exceeded");
  if (shortest == 0) bad_request(c.chat ? "messages" : "prompt", "The prompt has no tokens");
  const int64_t room = context.context_length() - static_cast<int64_t>(length);
  c.options.max_tokens = static_cast<int>(std::min({asked.value_or(most), room, most}));
}

}  // namespace

Completion parse_completion(const ServeContext& context, const std::string& text, bool chat) {
  const Json body = parse_body(text);
  const Fields fields(body);
  Completion c;
  c.chat = chat;
  c.model = &context.models.find(fields.text("model"));
  refuse_unsupported(fields, chat);
  c.stream = fields.boolean("stream").value_or(false);
  if (const Json* options = fields.value("stream_options")) {
    if (!options->is_object()) bad_request("stream_options", "'stream_options' must be an object");
    if (!c.stream) bad_request("stream_options", "'stream_options' needs 'stream' to be true");
    c.include_usage = Fields(*options, "stream_options.").boolean("include_usage").value_or(false);
  }
  c.stops = parse_stops(fields);
  c.options.sampling = parse_sampling(fields);
  c.options.top_logprobs = parse_logprobs(fields, chat);
  c.options.grammar = parse_format(fields);
  c.options.vocabulary = context.vocabulary;
  c.choices = static_cast<size_t>(fields.integer("n", 1, kMaxChoices).value_or(1));
  c.options.eos_token_ids = context.models.session->loaded.eos_token_ids;
  c.echo = !chat && fields.boolean("echo").value_or(false);
  if (c.echo && c.stream) bad_request("echo", "'echo' does not go with 'stream'");
  if (chat)
    c.prompts.push_back(chat_prompt(context, fields));
  else
    c.prompts = plain_prompts(context, fields);
  set_max_tokens(context, fields, c);
  c.id = random_id(chat ? "chatcmpl" : "cmpl");
  c.created = unix_time();
  return c;
}

}  // namespace gavel
