#include "data/chat.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/blanks.h"
#include "base/error.h"
#include "data/chat_turn.h"
#include "data/jsonl.h"
#include "text/thought.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

// The text of a content that is a list of {"type": "text", "text": ...} parts.
std::string joined_parts(const Json& parts) {
  std::string text;
  for (const Json& part : parts) {
    if (part.is_string()) {
      text += part.get_ref<const std::string&>();
      continue;
    }
    if (!part.is_object()) fail("a part of a message's content is {}, not text", part.type_name());
    const auto type = part.find("type");
    if (type != part.end() && *type != "text")
      fail("a part of a message's content has type {}: only text is supported", type->dump());
    text += string_field(part, "text");
  }
  return text;
}

Json checked_messages(const Json& messages) {
  if (!messages.is_array()) fail("messages must be a list and is {}", messages.type_name());
  if (messages.empty()) fail("messages is empty");
  Json out = messages;
  for (size_t i = 0; i < out.size(); ++i) {
    Json& message = out[i];
    if (!message.is_object()) fail("message {} is {}, not an object", i + 1, message.type_name());
    string_field(message, "role");
    const auto content = message.find("content");
    if (content == message.end()) {
      if (!message.contains("tool_calls")) fail("message {} has no \"content\"", i + 1);
    } else if (content->is_array()) {
      *content = joined_parts(*content);
    } else if (!content->is_string() && !content->is_null()) {
      fail("the content of message {} must be text and is {}", i + 1, content->type_name());
    }
  }
  return out;
}

// For templates that have no place for a system message: its text goes into the first turn of the
// user's, a blank line between; where there is none it is one itself.
Json without_system(const Json& messages) {
  std::string system;
  Json out = Json::array();
  for (const Json& message : messages) {
    const auto content = message.find("content");
    if (message.at("role") != "system" || content == message.end() || !content->is_string()) {
      out.push_back(message);
      continue;
    }
    if (!system.empty()) system += "\n\n";
    system += content->get_ref<const std::string&>();
  }
  const auto user = std::find_if(out.begin(), out.end(), [](const Json& m) {
    return m.at("role") == "user" && m.contains("content") && m.at("content").is_string();
  });
  if (user != out.end())
    (*user)["content"] = system + "\n\n" + user->at("content").get<std::string>();
  else
    out.insert(out.begin(), Json{{"role", "user"}, {"content", system}});
  return out;
}

bool has_system(const Json& messages) {
  return std::any_of(messages.begin(), messages.end(),
                     [](const Json& m) { return m.at("role") == "system"; });
}

std::string render(const TextEncoder& encoder, const Json& messages, const Json& tools,
                   bool add_generation_prompt) {
  if (!encoder.chat_template)
    fail("the model has no chat template, which records of messages or prompt/completion need");
  const bool fits = !has_system(messages) ||
                    encoder.chat_template->takes_system(encoder.bos_token, encoder.eos_token);
  Json context{{"messages", fits ? messages : without_system(messages)},
               {"tools", tools},
               {"documents", nullptr},
               {"add_generation_prompt", add_generation_prompt}};
  if (!encoder.bos_token.empty()) context["bos_token"] = encoder.bos_token;
  if (!encoder.eos_token.empty()) context["eos_token"] = encoder.eos_token;
  context["enable_thinking"] = encoder.tokenizer.token_to_id("<think>").has_value() &&
                               encoder.tokenizer.token_to_id("</think>").has_value();
  return encoder.chat_template->render(context);
}

// The messages as encode_chat takes them.
Json to_json(const TextEncoder& encoder, const std::vector<Message>& messages, bool& marked) {
  Json plain = Json::array(), with_marks = Json::array();
  marked = false;
  for (const Message& m : messages) {
    std::string content;
    marked |= encoder.tokenizer.mark_literal(m.content, m.literal, content);
    plain.push_back({{"role", m.role}, {"content", m.content}});
    with_marks.push_back({{"role", m.role}, {"content", content}});
  }
  return marked ? with_marks : plain;
}

// Every place of `text` where `value` stands.
void find_value(std::string_view text, std::string_view value, std::vector<TextSpan>& spans) {
  for (size_t at = text.find(value); at != std::string_view::npos; at = text.find(value, at + 1))
    spans.push_back({at, at + value.size()});
}

// The pair's own text in a record of judge data that holds control tokens written out.
std::vector<std::string> control_values(const Tokenizer& tokenizer, const Json& record) {
  std::vector<std::string> values;
  for (const char* name :
       {"question", "answer_a", "answer_b", "answer", "reference", "rubric", "reason"}) {
    const auto it = record.find(name);
    if (it == record.end() || !it->is_string()) continue;
    const std::string_view value = trimmed(it->get_ref<const std::string&>());
    if (!value.empty() && tokenizer.holds_control(value)) values.emplace_back(value);
  }
  return values;
}

std::vector<int> tokens_of(const TextEncoder& encoder, const std::string& text, bool marked) {
  return marked ? encoder.tokenizer.encode_marked(text) : encoder.tokenizer.encode(text);
}

// The messages but for the last as inference has them before it answers, and what it is to write.
struct Asked {
  std::string prompt;
  std::vector<int> tokens;  // the prompt's
  std::optional<AnswerTurn> turn;
};

Asked ask(const TextEncoder& encoder, const Json& messages, const Json& tools, bool marked) {
  Asked out;
  const Json before(messages.begin(), messages.end() - 1);
  out.prompt = render(encoder, before, tools, true);
  out.tokens = tokens_of(encoder, out.prompt, marked);
  out.turn = answer_turn(out.prompt, render(encoder, messages, tools, false),
                         before.empty() ? Json::object() : before.back(), messages.back());
  return out;
}

// Tokens of `text` after the prompt's own, which no token runs across: those that a text of both
// has, where that begins with the prompt's.
std::vector<int> continuation(const TextEncoder& encoder, const Asked& asked,
                              const std::string& text, bool marked) {
  const std::vector<int> both = tokens_of(encoder, asked.prompt + text, marked);
  const auto n = static_cast<std::ptrdiff_t>(asked.tokens.size());
  if (both.size() >= asked.tokens.size() &&
      std::equal(asked.tokens.begin(), asked.tokens.end(), both.begin()))
    return {both.begin() + n, both.end()};
  return encoder.tokenizer.encode_within(text, marked);
}

}  // namespace

bool is_judge_record(const Json& record) {
  const auto has = [&](const char* name) { return record.contains(name); };
  return (has("answer_a") && has("answer_b")) ||
         (has("question") && has("answer") && (has("score") || has("scores") || has("pass")));
}

Json checked_chat(const TextEncoder& encoder, const Json& messages, const Json& record,
                  bool& marked) {
  Json plain = checked_messages(messages);
  marked = false;
  if (!is_judge_record(record)) return plain;
  const auto values = control_values(encoder.tokenizer, record);
  if (values.empty()) return plain;
  Json with_marks = plain;
  for (Json& message : with_marks) {
    const auto content = message.find("content");
    if (content == message.end() || !content->is_string()) continue;
    const std::string text = *content;
    std::vector<TextSpan> spans;
    for (const std::string& value : values) find_value(text, value, spans);
    std::string out;
    marked |= encoder.tokenizer.mark_literal(text, spans, out);
    *content = out;
  }
  return marked ? with_marks : plain;
}

std::vector<int> encode_chat(const TextEncoder& encoder, const Json& messages, const Json& tools,
                             bool add_generation_prompt, bool marked) {
  return tokens_of(encoder, render(encoder, messages, tools, add_generation_prompt), marked);
}

std::vector<int> encode_chat(const TextEncoder& encoder, const std::vector<Message>& messages,
                             bool add_generation_prompt) {
  bool marked = false;
  const Json list = to_json(encoder, messages, marked);
  return encode_chat(encoder, list, Json(), add_generation_prompt, marked);
}

std::optional<EncodedTurn> encode_turn(const TextEncoder& encoder, const Json& messages,
                                       const Json& tools, bool marked) {
  const Asked asked = ask(encoder, messages, tools, marked);
  if (!asked.turn) return std::nullopt;
  return EncodedTurn{asked.tokens, continuation(encoder, asked, asked.turn->text, marked),
                     asked.turn->follows};
}

namespace {

// The last message's tokens, to its last character, as what the model writes after `prompt`.
std::vector<int> answer_tokens(const TextEncoder& encoder, const Json& list, bool marked,
                               std::vector<int>& prompt) {
  Asked asked = ask(encoder, list, Json(), marked);
  const std::string said = list.back().at("content");
  const std::string_view close = open_thought(asked.prompt);
  const std::string untold = close.empty() ? said : fmt::format("\n{}\n\n{}", close, said);
  const std::string text = asked.turn ? asked.turn->text : untold;
  const size_t at = text.rfind(said);
  auto tokens = continuation(
      encoder, asked, at == std::string::npos ? said : text.substr(0, at + said.size()), marked);
  prompt = std::move(asked.tokens);
  return tokens;
}

}  // namespace

std::vector<int> encode_answer(const TextEncoder& encoder, std::vector<Message> messages,
                               const std::string& answer) {
  messages.push_back({"assistant", answer});
  bool marked = false;
  const Json list = to_json(encoder, messages, marked);
  std::vector<int> prompt;
  return answer_tokens(encoder, list, marked, prompt);
}

EncodedChoice encode_choice(const TextEncoder& encoder, const Json& messages,
                            const std::array<std::string, 2>& texts, bool marked) {
  EncodedChoice out;
  std::array<std::vector<int>, 2> answers;
  for (size_t k = 0; k < 2; ++k) {
    Json list = messages;
    list.push_back({{"role", "assistant"}, {"content", texts[k]}});
    answers[k] = answer_tokens(encoder, list, marked, out.tokens);
  }
  const auto [first, second] =
      std::mismatch(answers[0].begin(), answers[0].end(), answers[1].begin(), answers[1].end());
  if (first == answers[0].end() || second == answers[1].end())
    fail("\"{}\" and \"{}\" cannot be told apart by one token of this model: use other words",
         texts[0], texts[1]);
  out.choice = {*first, *second};
  out.tokens.insert(out.tokens.end(), answers[0].begin(), first);
  return out;
}

EncodedChoice encode_choice(const TextEncoder& encoder, const std::vector<Message>& messages,
                            const std::array<std::string, 2>& texts) {
  bool marked = false;
  const Json list = to_json(encoder, messages, marked);
  return encode_choice(encoder, list, texts, marked);
}

}  // namespace gavel
