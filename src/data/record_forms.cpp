#include "data/record_forms.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "data/jsonl.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kMessages = "messages";            // OpenAI, mlx_lm
constexpr const char* kConversations = "conversations";  // ShareGPT
constexpr const char* kInstruction = "instruction";      // Alpaca
constexpr const char* kOutput = "output";

Json message(const std::string& role, const Json& content) {
  Json out = Json::object();
  out["role"] = role;
  out["content"] = content;
  return out;
}

// ShareGPT's names of roles.
std::string role_of(const Json& from) {
  constexpr std::array<std::pair<const char*, const char*>, 8> roles{{{"human", "user"},
                                                                      {"user", "user"},
                                                                      {"gpt", "assistant"},
                                                                      {"chatgpt", "assistant"},
                                                                      {"assistant", "assistant"},
                                                                      {"model", "assistant"},
                                                                      {"system", "system"},
                                                                      {"tool", "tool"}}};
  const auto* name = from.get_ptr<const std::string*>();
  for (const auto& [theirs, role] : roles)
    if (name != nullptr && *name == theirs) return role;
  fail("a turn is from {}, which is not known: human, gpt, system and tool are",
       from.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 40));
}

// Turns of {from, value} as messages; others stay as they are.
Json as_messages(const Json& turns) {
  if (!turns.is_array()) return turns;
  Json out = Json::array();
  for (const Json& turn : turns) {
    const bool share_gpt = turn.is_object() && !turn.contains("role") && turn.contains("from");
    if (!share_gpt) {
      out.push_back(turn);
      continue;
    }
    out.push_back(message(role_of(turn.at("from")), field(turn, "value")));
  }
  return out;
}

// The system's text that stands beside the turns, in front of them.
Json with_system(const Json& record, Json messages) {
  const auto it = record.find("system");
  if (it == record.end() || it->is_null() || is_empty_text(*it) || !messages.is_array())
    return messages;
  Json out = Json::array();
  out.push_back(message("system", text_field(record, "system")));
  for (Json& m : messages) out.push_back(std::move(m));
  return out;
}

Json completion(const Json& record, bool masked, const DatasetOptions& options) {
  const Json& prompt = field(record, options.prompt_feature);
  const Json& answer = field(record, options.completion_feature);
  Json messages = prompt.is_array() ? as_messages(prompt) : Json::array();
  if (!prompt.is_array())
    messages.push_back(message("user", text_field(record, options.prompt_feature)));
  if (!answer.is_array()) {
    messages.push_back(message("assistant", text_field(record, options.completion_feature)));
    return messages;
  }
  if (masked && answer.size() != 1)
    fail(
        "\"{}\" has {} messages, and with a masked prompt it must be one, the assistant's, since "
        "the last message alone carries loss",
        options.completion_feature, answer.size());
  for (Json& m : as_messages(answer)) messages.push_back(std::move(m));
  return messages;
}

Json alpaca(const Json& record) {
  if (const auto it = record.find("history"); it != record.end() && !it->empty())
    fail("the record has a \"history\", which is not read: write it as \"messages\"");
  std::string question = text_field(record, kInstruction);
  if (const auto it = record.find("input"); it != record.end() && !it->is_null()) {
    const std::string input = text_field(record, "input");
    if (input.find_first_not_of(" \t\r\n") != std::string::npos) question += "\n\n" + input;
  }
  Json messages = Json::array();
  messages.push_back(message("user", question));
  messages.push_back(message("assistant", text_field(record, kOutput)));
  return with_system(record, std::move(messages));
}

std::string fields_of(const Json& record) {
  std::string names;
  for (const auto& [name, value] : record.items()) {
    if (names.size() > 200) return names + ", ...";
    names += (names.empty() ? "" : ", ") + name.substr(0, 40);
  }
  return names.empty() ? "nothing" : names;
}

bool is_preference(const Json& record) {
  const auto both = [&](const char* a, const char* b) {
    return record.contains(a) && record.contains(b);
  };
  return both("chosen", "rejected") || both("answer_a", "answer_b") ||
         both("response_a", "response_b") || both("conversation_a", "conversation_b");
}

}  // namespace

std::string text_field(const Json& record, const std::string& name) {
  const Json& value = field(record, name);
  auto text = text_of(value);
  if (!text) fail("the field \"{}\" must be a string and is {}", name, value.type_name());
  return std::move(*text);
}

RecordKind kind_of(const Json& record, const DatasetOptions& options) {
  if (record.contains(options.prompt_feature) && record.contains(options.completion_feature)) {
    if (const auto label = record.find("label"); label != record.end() && label->is_boolean())
      fail(
          "the record's \"label\" says whether its completion is good (data for KTO), which "
          "training "
          "would not heed: keep the good ones, without the label");
    return RecordKind::completion;
  }
  if (record.contains("messages_a") && record.contains("messages_b")) return RecordKind::rank;
  if (record.contains(options.chat_feature)) return RecordKind::chat;
  if (record.contains(options.text_feature)) return RecordKind::text;
  if (record.contains(kConversations)) return RecordKind::chat;
  if (record.contains(kInstruction) && record.contains(kOutput)) return RecordKind::completion;
  if (is_preference(record))
    fail(
        "the record is a pair of answers (its fields: {}), not something to train on as it is: "
        "gavel prepare makes training files of the pairs that it knows",
        fields_of(record));
  fail("the record has none of \"{}\", \"{}\" with \"{}\", or \"{}\", but {}", options.chat_feature,
       options.prompt_feature, options.completion_feature, options.text_feature, fields_of(record));
}

Json messages_of(const Json& record, RecordKind kind, bool masked, const DatasetOptions& options) {
  if (kind == RecordKind::completion) {
    const bool own = record.contains(options.prompt_feature) ||
                     record.contains(options.completion_feature) || !record.contains(kInstruction);
    return own ? completion(record, masked, options) : alpaca(record);
  }
  const bool named = record.contains(options.chat_feature);
  if (named && options.chat_feature == kMessages) return as_messages(record.at(kMessages));
  const Json& turns = field(
      record, named || !record.contains(kConversations) ? options.chat_feature : kConversations);
  return with_system(record, as_messages(turns));
}

}  // namespace gavel
