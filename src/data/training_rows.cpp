// Judged pairs as lines of train.jsonl, valid.jsonl and test.jsonl.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/error.h"
#include "base/file.h"
#include "base/json_text.h"
#include "data/jsonl.h"
#include "data/judge_prompt.h"

namespace gavel {

namespace {

// A JSON object appended to a text, field by field.
class ObjectText {
 public:
  explicit ObjectText(std::string& out) : out_(out) { out_ += '{'; }
  // Where the value of this field is to be appended.
  std::string& field(std::string_view name) {
    if (!first_) out_ += ',';
    first_ = false;
    append_json_text(name, out_);
    return out_ += ':';
  }
  void text(std::string_view name, std::string_view value) { append_json_text(value, field(name)); }
  void end() { out_ += '}'; }

 private:
  std::string& out_;
  bool first_ = true;
};

// A JSON list of what `append(item)` appends to `out` for each item.
template <typename Items, typename Append>
void append_list(const Items& items, std::string& out, Append append) {
  out += '[';
  bool first = true;
  for (const auto& item : items) {
    if (!first) out += ',';
    first = false;
    append(item);
  }
  out += ']';
}

void append_message(std::string_view role, std::string_view content, std::string& out) {
  ObjectText message(out);
  message.text("role", role);
  message.text("content", content);
  message.end();
}

// With what the judge is to say, where it says something.
void append_messages(const JudgePair& pair, const JudgeTemplate& prompt,
                     const std::optional<std::string>& target, std::string& out) {
  append_list(prompt.to_messages(pair), out,
              [&](const Message& m) { append_message(m.role, m.content, out); });
  if (!target) return;
  out.back() = ',';
  append_message("assistant", *target, out);
  out += ']';
}

// What the judge is asked and what it is to say.
void add_asked(ObjectText& row, const JudgePair& pair, const JudgeTemplate& prompt) {
  if (prompt.form().kind != FormKind::rank)
    return append_messages(pair, prompt, prompt.target_text(pair), row.field("messages"));
  append_messages(answer_alone(pair, Verdict::a), prompt, {}, row.field("messages_a"));
  append_messages(answer_alone(pair, Verdict::b), prompt, {}, row.field("messages_b"));
  std::string& scored = row.field("scored");
  append_list(prompt.scored_texts(), scored,
              [&](const std::string& text) { append_json_text(text, scored); });
}

// Integers as such: 4, not 4.0.
void append_score(double value, std::string& out) {
  if (std::isnan(value))
    out += "null";
  else if (value == std::floor(value) && std::abs(value) < 1e15)
    out += std::to_string(static_cast<int64_t>(value));
  else
    out += nlohmann::json(value).dump();
}

void add_ratings(ObjectText& row, const JudgePair& pair, const JudgeForm& form) {
  std::string& out = row.field("ratings");
  const auto append = [&](const std::vector<double>& values) {
    append_list(values, out, [&](double value) {
      if (form.kind == FormKind::pass && !std::isnan(value))
        out += value == 1 ? "true" : "false";
      else
        append_score(value, out);
    });
  };
  if (form.kind != FormKind::criteria) return append(pair.ratings.at(0));
  ObjectText named(out);
  for (size_t i = 0; i < pair.ratings.size(); ++i) {
    named.field(pair.scores.at(i).first);
    append(pair.ratings[i]);
  }
  named.end();
}

void add_answers(ObjectText& row, const JudgePair& pair, const JudgeForm& form) {
  row.text("id", pair.id);
  row.text("question", pair.question);
  if (form.of_pairs()) {
    if (!pair.label) fail("the pair {} has no label", pair.id);
    row.text("answer_a", pair.answer_a);
    row.text("answer_b", pair.answer_b);
    row.text("label", to_string(*pair.label));
    return;
  }
  row.text("answer", pair.answer_a);
  if (!pair.ratings.empty()) add_ratings(row, pair, form);
  if (form.kind == FormKind::pass) {
    row.field("pass") += *pair.pass ? "true" : "false";
  } else if (form.kind == FormKind::criteria) {
    if (pair.scores.empty()) return;
    ObjectText scores(row.field("scores"));
    for (const auto& [name, value] : pair.scores) append_score(value, scores.field(name));
    scores.end();
  } else {
    for (const auto& [name, value] : pair.scores)
      if (name == form.criteria[0].name) append_score(value, row.field("score"));
  }
}

// Of a name that is there twice, the last value.
void add_meta(ObjectText& row, const JudgePair& pair) {
  if (pair.meta.empty()) return;
  ObjectText meta(row.field("meta"));
  for (auto entry = pair.meta.begin(); entry != pair.meta.end(); ++entry) {
    const auto same = [&](const auto& other) { return other.first == entry->first; };
    if (std::any_of(pair.meta.begin(), entry, same)) continue;
    meta.text(entry->first, std::find_if(pair.meta.rbegin(), pair.meta.rend(), same)->second);
  }
  meta.end();
}

void add_text(ObjectText& row, std::string_view name, const std::string& text) {
  if (!text.empty()) row.text(name, text);
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

void append_training_row(const JudgePair& pair, const JudgeTemplate& prompt,
                         std::optional<int64_t> group, std::string_view source, std::string& out) {
  const size_t begin = out.size();
  ObjectText row(out);
  add_asked(row, pair, prompt);
  add_answers(row, pair, prompt.form());
  add_text(row, "rubric", pair.rubric);
  add_text(row, "reason", pair.reason);
  add_text(row, "reference", pair.reference);
  add_text(row, "category", pair.category);
  if (!pair.votes.empty()) {
    std::string& votes = row.field("votes");
    append_list(pair.votes, votes, [&](int vote) { votes += std::to_string(vote); });
  }
  add_meta(row, pair);
  if (group) row.field("group") += std::to_string(*group);
  if (!source.empty()) row.text("source", source);
  row.end();
  if (const auto at = invalid_utf8_at(std::string_view(out).substr(begin)))
    fail("invalid UTF-8 at byte {} of a line that is to be written", *at);
}

nlohmann::ordered_json training_row(const JudgePair& pair, const JudgeTemplate& prompt) {
  std::string line;
  append_training_row(pair, prompt, std::nullopt, "", line);
  return parse_json(line);
}

void write_training_pairs(const std::filesystem::path& path, std::span<const JudgePair> pairs,
                          const JudgeTemplate& prompt, bool both_orders) {
  write_file_atomic(path, [&](std::ostream& out) {
    std::string lines;
    for (size_t i = 0; i < pairs.size(); ++i) {
      const auto group = both_orders ? std::optional(static_cast<int64_t>(i)) : std::nullopt;
      lines.clear();
      append_training_row(pairs[i], prompt, group, "", lines);
      lines += '\n';
      if (both_orders) {
        append_training_row(swapped(pairs[i]), prompt, group, "", lines);
        lines += '\n';
      }
      out << lines;
    }
  });
}

}  // namespace gavel
