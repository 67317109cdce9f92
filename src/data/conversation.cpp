#include "data/conversation.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/blanks.h"
#include "data/jsonl.h"
#include "data/raw_records.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

std::string role_of(std::string_view name, const std::string& field) {
  if (name == "user" || name == "human" || name == "prompter") return "user";
  if (name == "assistant" || name == "gpt" || name == "model" || name == "chatbot")
    return "assistant";
  if (name == "system" || name == "developer") return "system";
  throw RecordFault{"wrong type", fmt::format("\"{}\" has a message of the role \"{}\"", field,
                                              name.substr(0, 40))};
}

// A message's content: text, or a list of parts that are text.
std::string content_of(const Json& content, const std::string& field) {
  if (content.is_null()) return "";
  if (const auto text = text_of(content)) return *text;
  if (!content.is_array())
    throw RecordFault{"wrong type", fmt::format("\"{}\" has a message whose content is {}", field,
                                                content.type_name())};
  std::string out;
  for (const Json& part : content) {
    const auto text = part.is_object() ? part.find("text") : part.end();
    const auto type = part.is_object() ? part.find("type") : part.end();
    const bool is_text = part.is_object() && (type == part.end() || *type == "text") &&
                         text != part.end() && text->is_string();
    if (!is_text)
      throw RecordFault{"not text alone", fmt::format("\"{}\" has an image or another "
                                                      "part that is no text",
                                                      field)};
    out += (out.empty() ? "" : "\n\n") + text->get<std::string>();
  }
  return out;
}

Turn turn_of(const Json& message, const std::string& field) {
  const Json* role = nullptr;
  const Json* content = nullptr;
  for (const char* name : {"role", "from"})
    if (message.contains(name) && role == nullptr) role = &message[name];
  for (const char* name : {"content", "value"})
    if (message.contains(name) && content == nullptr) content = &message[name];
  if (role == nullptr || !role->is_string() || content == nullptr)
    throw RecordFault{"wrong type",
                      fmt::format("\"{}\" has a message without role or content", field)};
  return {role_of(role->get_ref<const std::string&>(), field),
          std::string(trimmed(content_of(*content, field)))};
}

// Cuts `text` at each of `marks` (what begins a turn, and its role). What comes before the first
// is of `role`.
Conversation cut_at(std::string_view text, const std::string& role,
                    const std::vector<std::pair<std::string_view, const char*>>& marks) {
  Conversation turns;
  std::string now = role;
  for (size_t begin = 0;;) {
    size_t end = std::string_view::npos;
    const std::pair<std::string_view, const char*>* next = nullptr;
    for (const auto& mark : marks)
      if (const size_t at = text.find(mark.first, begin); at < end) {
        end = at;
        next = &mark;
      }
    const std::string_view body = trimmed(
        text.substr(begin, end == std::string_view::npos ? std::string_view::npos : end - begin));
    if (!body.empty() || begin > 0) turns.push_back({now, std::string(body)});
    if (next == nullptr) return turns;
    now = next->second;
    begin = end + next->first.size();
  }
}

std::optional<Json> json_list(std::string_view text) {
  if (!trimmed(text).starts_with('[')) return std::nullopt;
  try {
    Json list = parse_record(text);
    if (list.is_array()) return list;
  } catch (const std::exception&) {
  }
  return std::nullopt;
}

bool has_user(const Conversation& turns) {
  return std::any_of(turns.begin(), turns.end(), [](const Turn& t) { return t.role == "user"; });
}

// A list in braces would copy the turn.
Conversation one_turn(std::string role, std::string_view text) {
  Conversation turns;
  turns.push_back({std::move(role), std::string(text)});
  return turns;
}

bool is_whole(const Conversation& turns) {
  return !turns.empty() && turns.front().role != "assistant";
}

void keep_exchanges(Conversation& turns, int64_t exchanges) {
  int64_t users = 0;
  for (size_t i = 0; i < turns.size(); ++i)
    if (turns[i].role == "user" && ++users > exchanges) {
      turns.resize(i);
      return;
    }
}

// Where the last turn of the assistant's is; the end where there is none.
size_t last_answer(const Conversation& turns) {
  for (size_t i = turns.size(); i > 0; --i)
    if (turns[i - 1].role == "assistant") return i - 1;
  return turns.size();
}

}  // namespace

bool is_dialogue(std::string_view text) {
  const std::string_view body = trimmed(text);
  return body.starts_with("Human:") && body.find("\n\nAssistant:") != std::string_view::npos;
}

Conversation conversation_of(const Json& value, const std::string& role, bool json_in_text,
                             const std::string& field) {
  if (value.is_string()) {
    const std::string& text = value.get_ref<const std::string&>();
    if (json_in_text)
      if (const auto list = json_list(text)) return conversation_of(*list, role, false, field);
    if (is_dialogue(text)) {
      Conversation turns = cut_at("\n\n" + std::string(trimmed(text)), "user",
                                  {{"\n\nHuman:", "user"}, {"\n\nAssistant:", "assistant"}});
      // A prompt ends with the place of the answer.
      if (role == "user" && turns.back().role == "assistant" && turns.back().text.empty())
        turns.pop_back();
      return turns;
    }
    if (role == "user" && text.find("<extra_id_1>Assistant\n") != std::string::npos)  // HelpSteer
      return cut_at(text, role,
                    {{"<extra_id_1>User\n", "user"}, {"<extra_id_1>Assistant\n", "assistant"}});
    return one_turn(role, trimmed(text));
  }
  if (const auto text = text_of(value)) return one_turn(role, trimmed(*text));
  // What was the text "True" before a spreadsheet or a script read it (PandaLM's test set).
  if (value.is_boolean()) return one_turn(role, value.get<bool>() ? "True" : "False");
  if (value.is_object() && (value.contains("role") || value.contains("from")))
    return {turn_of(value, field)};
  if (!value.is_array())
    throw RecordFault{"wrong type",
                      fmt::format("\"{}\" must be text and is {}", field, value.type_name())};
  if (value.empty()) throw RecordFault{"wrong type", fmt::format("\"{}\" is an empty list", field)};
  Conversation turns;
  for (const Json& item : value) {
    if (item.is_object())
      turns.push_back(turn_of(item, field));
    else if (item.is_null())
      turns.push_back({role, ""});
    else if (item.is_string())
      turns.push_back({role, std::string(trimmed(item.get_ref<const std::string&>()))});
    else
      throw RecordFault{"wrong type", fmt::format("\"{}\" has {} where a message should be", field,
                                                  item.type_name())};
  }
  return turns;
}

std::string as_text(Conversation turns) {
  if (turns.size() == 1) return std::move(turns[0].text);
  std::string out;
  for (const Turn& turn : turns) {
    if (!out.empty()) out += "\n\n";
    out += turn.role == "user" ? "User: " : turn.role == "system" ? "System: " : "Assistant: ";
    out += turn.text;
  }
  return out;
}

TwoAnswers compare(const Conversation& question, Conversation a, Conversation b,
                   int64_t exchanges) {
  // Several questions and as many answers to each: one after the other.
  const auto several = [](const Conversation& turns, const char* role) {
    return turns.size() > 1 &&
           std::all_of(turns.begin(), turns.end(), [&](const Turn& t) { return t.role == role; });
  };
  if (several(question, "user") && (several(a, "assistant") || several(b, "assistant"))) {
    const auto merged = [&](const Conversation& answers) {
      Conversation all;
      for (size_t i = 0; i < std::max(question.size(), answers.size()); ++i) {
        if (i < question.size()) all.push_back(question[i]);
        if (i < answers.size()) all.push_back(answers[i]);
      }
      return all;
    };
    a = merged(a);
    b = merged(b);
  }
  if (exchanges > 0) {
    keep_exchanges(a, exchanges);
    keep_exchanges(b, exchanges);
  }
  size_t common = 0;
  if (is_whole(a) && is_whole(b)) {
    const size_t most = std::min(last_answer(a), last_answer(b));
    while (common < most && a[common] == b[common]) ++common;
  }
  Conversation context(a.begin(), a.begin() + static_cast<ptrdiff_t>(common));
  if (!has_user(context)) {
    // A system message may stand before the question in either.
    const auto at = std::find_if(question.begin(), question.end(),
                                 [](const Turn& t) { return t.role != "system"; });
    context.insert(context.end(), context.empty() ? question.begin() : at, question.end());
  } else if (!question.empty() && question.front().role == "system" &&
             context.front().role != "system") {
    context.insert(context.begin(), question.front());
  }
  a.erase(a.begin(), a.begin() + static_cast<ptrdiff_t>(common));
  b.erase(b.begin(), b.begin() + static_cast<ptrdiff_t>(common));
  return {as_text(std::move(context)), as_text(std::move(a)), as_text(std::move(b))};
}

}  // namespace gavel
