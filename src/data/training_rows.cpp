// Judged pairs as lines of train.jsonl, valid.jsonl and test.jsonl.
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
  if (form.kind == FormKind::pass) {
    row["pass"] = *pair.pass;
    return;
  }
  for (const auto& [name, value] : pair.scores)
    if (form.kind == FormKind::criteria)
      row["scores"][name] = value;
    else if (name == form.criteria[0].name)
      row["score"] = value;
}

}  // namespace

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
