// Judged pairs as lines of train.jsonl, valid.jsonl and test.jsonl.
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/file.h"
#include "data/judge_prompt.h"

namespace gavel {

nlohmann::ordered_json training_row(const JudgePair& pair, const JudgeTemplate& prompt,
                                    std::optional<int64_t> group) {
  auto messages = nlohmann::ordered_json::array();
  for (const Message& m : prompt.to_messages(pair))
    messages.push_back({{"role", m.role}, {"content", m.content}});
  messages.push_back({{"role", "assistant"}, {"content", prompt.target_text(pair)}});
  nlohmann::ordered_json row = {
      {"messages", std::move(messages)}, {"id", pair.id},
      {"question", pair.question},       {"answer_a", pair.answer_a},
      {"answer_b", pair.answer_b},       {"label", to_string(*pair.label)}};
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
