#include "data/pair_row.h"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/blanks.h"
#include "base/error.h"
#include "data/jsonl.h"

namespace gavel {

using Json = nlohmann::ordered_json;
using Fault = RecordFault;

const Json* PairRow::find(const std::string& name) const {
  for (const std::string& path : form.paths.at(name)) {
    const Json* value = at_path(fields_, path);
    if (value == nullptr) continue;
    const bool empty = value->is_string() && value->get_ref<const std::string&>().empty();
    const bool answer = name == "answer_a" || name == "answer_b" || name == "answer" ||
                        name == "chosen" || name == "rejected";
    if (!empty || answer) return value;
  }
  return nullptr;
}

std::string PairRow::called(const std::string& name) const {
  const auto& paths = form.paths.at(name);
  for (const std::string& path : paths)
    if (at_path(fields_, path) != nullptr) return path;
  return paths.empty() ? name : paths[0];
}

const Json& PairRow::needed(const std::string& name) const {
  const Json* value = find(name);
  if (value == nullptr) throw Fault{kMissingField, fmt::format("there is no \"{}\"", called(name))};
  return *value;
}

std::string PairRow::text(const std::string& name) const {
  const Json* value = find(name);
  if (value == nullptr) return "";
  if (name == "reference" && value->is_object()) {  // JudgeLM: {"text": "..."}
    const auto inner = value->find("text");
    if (inner == value->end()) throw Fault{kWrongType, "the reference has no \"text\""};
    value = &*inner;
  }
  auto text = text_of(*value);
  if (!text)
    throw Fault{kWrongType,
                fmt::format("\"{}\" must be text and is {}", called(name), value->type_name())};
  if (text->size() > options.max_text_bytes) check_size(*text, called(name));
  return std::move(*text);
}

void PairRow::check_size(const std::string& text, const std::string& name) const {
  if (text.size() > options.max_text_bytes)
    throw Fault{"text too long", fmt::format("\"{}\" has {} bytes; the limit is {}", name,
                                             text.size(), options.max_text_bytes)};
}

Conversation PairRow::turns(const Json& value, const std::string& name, const char* role) const {
  return conversation_of(value, role, form.form->json_in_text, called(name));
}

std::optional<double> number_of(const Json& value) {
  if (value.is_number()) return value.get<double>();
  if (!value.is_string()) return std::nullopt;
  const std::string text(trimmed(value.get_ref<const std::string&>()));
  double number = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

double score_of(const Json& value, const std::string& name) {
  if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
  const auto number = number_of(value);
  if (!number)
    throw Fault{kBadLabel,
                fmt::format("\"{}\" is no number: {}", name, value.dump().substr(0, 60))};
  if (!std::isfinite(*number)) throw Fault{kBadLabel, "a score is not finite"};
  return *number;
}

}  // namespace gavel
