// Judged pairs as lines of train.jsonl, valid.jsonl and test.jsonl.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/error.h"
#include "base/file.h"
#include "data/judge_prompt.h"

namespace gavel {

namespace {

using Json = nlohmann::ordered_json;

Json messages_of(const JudgePair& pair, const JudgeTemplate& prompt) {
  Json messages = Json::array();
  for (const Message& m : prompt.to_messages(pair))
    messages.push_back({{"role", m.role}, {"content", m.content}});
  return messages;
}

// What the judge is asked and what it is to say.
Json asked(const JudgePair& pair, const JudgeTemplate& prompt) {
  if (prompt.form().kind == FormKind::rank)
    return {{"messages_a", messages_of(answer_alone(pair, Verdict::a), prompt)},
            {"messages_b", messages_of(answer_alone(pair, Verdict::b), prompt)},
            {"scored", prompt.scored_texts()}};
  Json messages = messages_of(pair, prompt);
  messages.push_back({{"role", "assistant"}, {"content", prompt.target_text(pair)}});
  return {{"messages", std::move(messages)}};
}

// Integers as such: 4, not 4.0.
Json score_json(double value) {
  if (std::isnan(value)) return nullptr;
  return value == std::floor(value) && std::abs(value) < 1e15 ? Json(static_cast<int64_t>(value))
                                                              : Json(value);
}

Json ratings_json(const JudgePair& pair, const JudgeForm& form) {
  Json all = Json::array();
  for (const auto& of_part : pair.ratings) {
    Json list = Json::array();
    for (const double value : of_part)
      list.push_back(form.kind == FormKind::pass && !std::isnan(value) ? Json(value == 1)
                                                                       : score_json(value));
    all.push_back(std::move(list));
  }
  if (form.kind != FormKind::criteria) return all.at(0);
  Json named = Json::object();
  for (size_t i = 0; i < all.size(); ++i) named[pair.scores.at(i).first] = all[i];
  return named;
}

void add_answers(Json& row, const JudgePair& pair, const JudgeForm& form) {
  row["id"] = pair.id;
  row["question"] = pair.question;
  if (form.of_pairs()) {
    if (!pair.label) fail("the pair {} has no label", pair.id);
    row["answer_a"] = pair.answer_a;
    row["answer_b"] = pair.answer_b;
    row["label"] = to_string(*pair.label);
    return;
  }
  row["answer"] = pair.answer_a;
  if (!pair.ratings.empty()) row["ratings"] = ratings_json(pair, form);
  if (form.kind == FormKind::pass) {
    row["pass"] = *pair.pass;
    return;
  }
  for (const auto& [name, value] : pair.scores)
    if (form.kind == FormKind::criteria)
      row["scores"][name] = score_json(value);
    else if (name == form.criteria[0].name)
      row["score"] = score_json(value);
}

}  // namespace

size_t label_class(const JudgePair& row, const JudgeForm& form) {
  if (form.of_pairs()) return static_cast<size_t>(*row.label);
  if (form.kind == FormKind::pass) return *row.pass ? 0 : 1;
  if (form.kind == FormKind::criteria) return 0;
  return static_cast<size_t>(std::lround(row.scores.at(0).second) - form.criteria[0].scale.low);
}

std::string label_name(const JudgePair& row, const JudgeForm& form) {
  if (form.of_pairs()) return row.label ? std::string(to_string(*row.label)) : "";
  if (form.kind == FormKind::pass) return row.pass ? form.words[*row.pass ? 0 : 1] : "";
  std::string out;
  for (const auto& [name, value] : row.scores)
    out += form.kind == FormKind::score
               ? fmt::format("{}", value)
               : fmt::format("{}{} {}", out.empty() ? "" : ", ", name, value);
  return out;
}

nlohmann::ordered_json training_row(const JudgePair& pair, const JudgeTemplate& prompt,
                                    std::optional<int64_t> group) {
  Json row = asked(pair, prompt);
  add_answers(row, pair, prompt.form());
  if (!pair.rubric.empty()) row["rubric"] = pair.rubric;
  if (!pair.reason.empty()) row["reason"] = pair.reason;
  if (!pair.reference.empty()) row["reference"] = pair.reference;
  if (!pair.category.empty()) row["category"] = pair.category;
  if (!pair.votes.empty()) row["votes"] = pair.votes;
  for (const auto& [name, value] : pair.meta) row["meta"][name] = value;
  if (group) row["group"] = *group;
  return row;
}

void write_training_pairs(const std::filesystem::path& path, std::span<const JudgePair> pairs,
                          const JudgeTemplate& prompt, bool both_orders) {
  write_file_atomic(path, [&](std::ostream& out) {
    for (size_t i = 0; i < pairs.size(); ++i) {
      const auto group = both_orders ? std::optional(static_cast<int64_t>(i)) : std::nullopt;
      out << training_row(pairs[i], prompt, group).dump() << '\n';
      if (both_orders) out << training_row(swapped(pairs[i]), prompt, group).dump() << '\n';
    }
  });
}

}  // namespace gavel
