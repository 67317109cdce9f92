#include "data/look.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/progress.h"
#include "data/duplicates.h"
#include "data/jsonl.h"
#include "data/languages.h"

namespace gavel {
namespace {

constexpr size_t kShown = 3;
constexpr size_t kColumn = 46, kLines = 6;  // of an answer on the terminal
constexpr size_t kCategories = 1000;

// The first `lines` lines of `width` characters; control characters are blanks.
std::vector<std::string> wrapped(std::string_view text, size_t width, size_t lines) {
  std::vector<std::string> out(1);
  size_t count = 0;
  for (size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    const size_t length = c < 0x80 ? 1 : c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
    if (c == '\n' || count == width) {
      if (out.size() == lines) {
        out.back() += "...";
        return out;
      }
      out.emplace_back();
      count = 0;
      if (c == '\n') {
        ++i;
        continue;
      }
    }
    out.back() += c < 0x20 || c == 0x7F ? " " : std::string(text.substr(i, length));
    ++count;
    i += length;
  }
  return out;
}

size_t characters(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

// An answer alone: its label, then the texts.
void add_answer(std::string& out, const JudgePair& answer, const LookReport& r) {
  out += fmt::format("\n{}: {}\n", file_line(r.path, answer.source_line),
                     label_name(answer, r.judged));
  const auto add = [&](const char* name, const std::string& text) {
    if (text.empty()) return;
    const auto lines = wrapped(text, 2 * kColumn - 10, kLines);
    for (size_t i = 0; i < lines.size(); ++i)
      out += fmt::format("  {:<10}{}\n", i == 0 ? name : "", lines[i]);
  };
  add("question", answer.question);
  add("answer", answer.answer_a);
  add("rubric", answer.rubric);
  add("reference", answer.reference);
  add("reason", answer.reason);
  for (const auto& [name, value] : answer.meta)
    out += fmt::format("  {}: {}\n", name, wrapped(value, kColumn, 1)[0]);
}

void add_row(std::string& out, const JudgePair& pair, const std::string& path) {
  out += fmt::format(
      "\n{}: {}\n", file_line(path, pair.source_line),
      pair.label == Verdict::tie ? "a tie" : fmt::format("{} wins", to_string(*pair.label)));
  for (const std::string& line : wrapped(pair.question, 2 * kColumn, kLines))
    out += fmt::format("  {}\n", line);
  const auto a = wrapped(pair.answer_a, kColumn, kLines);
  const auto b = wrapped(pair.answer_b, kColumn, kLines);
  out += fmt::format("  A {:-<{}} B {:-<{}}\n", "", kColumn + 1, "", kColumn - 2);
  for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    const std::string left = i < a.size() ? a[i] : "";
    out += fmt::format("  {}{:{}} {}\n", left, "",
                       kColumn + 3 - std::min(characters(left), kColumn + 3),
                       i < b.size() ? b[i] : "");
  }
  for (const auto& [name, value] : pair.meta)
    out += fmt::format("  {}: {}\n", name, wrapped(value, kColumn, 1)[0]);
}

// The most frequent ones.
void add_shares(std::string& out, const std::string& title,
                const std::map<std::string, int64_t>& counts, int64_t whole) {
  std::vector<std::pair<int64_t, std::string>> most;
  most.reserve(counts.size());
  for (const auto& [name, n] : counts) most.emplace_back(-n, name);
  std::sort(most.begin(), most.end());
  out += title;
  for (size_t i = 0; i < std::min<size_t>(most.size(), 5); ++i)
    out += fmt::format("{} {} {}", i == 0 ? "" : ",", wrapped(most[i].second, 40, 1)[0],
                       percent(-most[i].first, whole));
  out += most.size() > 5 ? ", ...\n" : "\n";
}

void count(LookReport& r, const JudgePair& pair) {
  ++r.usable;
  if (!r.labels.empty()) ++r.labels[label_class(pair, r.judged)];
  for (size_t i = 0; i < r.sums.size(); ++i) r.sums[i] += pair.scores[i].second;
  const size_t a = pair.answer_a.size(), b = pair.answer_b.size();
  if (!pair.single && pair.label != Verdict::tie && a != b)
    ++((pair.label == Verdict::a) == (a > b) ? r.longer_won : r.shorter_won);
  r.with_reason += pair.reason.empty() ? 0 : 1;
  r.with_reference += pair.reference.empty() ? 0 : 1;
  r.mean_bytes[0] += static_cast<double>(pair.question.size());
  r.mean_bytes[1] += static_cast<double>(a + b);
  r.longest_bytes[0] = std::max(r.longest_bytes[0], static_cast<int64_t>(pair.question.size()));
  r.longest_bytes[1] = std::max(r.longest_bytes[1], static_cast<int64_t>(std::max(a, b)));
  const auto language = language_of(pair.question);
  ++r.languages[std::string(!language.empty() ? language : "too few letters to tell")];
  if (!pair.category.empty() &&
      (r.categories.size() < kCategories || r.categories.contains(pair.category)))
    ++r.categories[pair.category];
}

}  // namespace

LookReport look_at(const std::filesystem::path& path, const RawOptions& options, int64_t max_rows,
                   const std::function<bool()>& stop) {
  LookReport r;
  r.path = shown_name(path, options);
  PairReader reader(path, options);
  r.form = &reader.form();
  QuestionGroups questions;
  if (options.answers) r.judged = *options.answers;
  r.classes = label_classes(r.judged);
  r.labels.resize(r.classes.size());
  r.sums.resize(r.judged.criteria.size());
  SeenRows seen;
  for (auto rows = reader.next(1024); !rows.empty(); rows = reader.next(1024)) {
    if (stop && stop()) fail("interrupted");
    for (RawRow& row : rows) {
      if (max_rows >= 0 && r.rows == max_rows) break;
      ++r.rows;
      if (!row.pair) {
        auto& [times, first] = r.faults[row.fault];
        if (times++ == 0) first = fmt::format("{}: {}", file_line(r.path, row.line), row.detail);
        continue;
      }
      count(r, *row.pair);
      const uint64_t question = question_hash(row.pair->question, options.seed);
      if (!questions.find(question)) questions.add(question, sketch_of(row.pair->question));
      const Before before = seen.add(key_of(*row.pair, question));
      r.duplicates += before != Before::nothing ? 1 : 0;
      r.contradictions += before == Before::contradiction ? 1 : 0;
      if (r.shown.size() < kShown) r.shown.push_back(std::move(*row.pair));
    }
    if (max_rows >= 0 && r.rows == max_rows) break;
  }
  r.mean_bytes[0] /= static_cast<double>(std::max<int64_t>(r.usable, 1));
  const int64_t answers = r.judged.of_pairs() ? 2 : 1;
  r.mean_bytes[1] /= static_cast<double>(std::max<int64_t>(answers * r.usable, 1));
  r.questions = static_cast<int64_t>(questions.size());
  std::vector<int64_t> sizes(questions.size());
  for (const uint32_t group : questions.groups()) ++sizes[group];
  for (const int64_t size : sizes) r.alike += size > 1 ? size : 0;
  return r;
}

namespace {

void add_labels(std::string& out, const LookReport& r) {
  std::string shares, means;
  for (size_t i = 0; i < r.labels.size(); ++i)
    if (r.labels[i] > 0 || r.judged.of_pairs())
      shares += fmt::format("{}{} {}", shares.empty() ? "" : ", ", r.classes[i],
                            percent(r.labels[i], r.usable));
  for (size_t i = 0; i < r.sums.size(); ++i)
    means += fmt::format("{}{} {:.2f}", means.empty() ? "" : ", ", r.judged.criteria[i].name,
                         r.sums[i] / static_cast<double>(r.usable));
  if (!shares.empty()) out += fmt::format("labels         {}\n", shares);
  if (!means.empty()) out += fmt::format("means          {}\n", means);
}

}  // namespace

std::string describe(const LookReport& r) {
  std::string out = fmt::format("{}: {}, {}\n", r.path, r.form->name, r.form->data);
  for (const JudgePair& pair : r.shown)
    if (pair.single)
      add_answer(out, pair, r);
    else
      add_row(out, pair, r.path);
  out += fmt::format("\n{} rows, {} usable\n", grouped_digits(r.rows), grouped_digits(r.usable));
  for (const auto& [kind, fault] : r.faults)
    out += fmt::format("  {:>9}  {} ({})\n", grouped_digits(fault.first), kind, fault.second);
  if (r.usable == 0) return out;
  add_labels(out, r);
  if (r.judged.of_pairs())
    out += fmt::format("longer answer  wins {} of {} decided pairs whose lengths differ\n",
                       percent(r.longer_won, r.longer_won + r.shorter_won),
                       grouped_digits(r.longer_won + r.shorter_won));
  out += fmt::format(
      "lengths        question {:.0f} bytes in the mean, {} at most; answer {:.0f}, {}\n",
      r.mean_bytes[0], grouped_digits(r.longest_bytes[0]), r.mean_bytes[1],
      grouped_digits(r.longest_bytes[1]));
  out += fmt::format("questions      {} different, {} of them nearly the same as another\n",
                     grouped_digits(r.questions), grouped_digits(r.alike));
  out += fmt::format("duplicates     {}, {} of them with another label\n",
                     grouped_digits(r.duplicates), grouped_digits(r.contradictions));
  out += fmt::format("with a reason  {}; with a reference {}\n", percent(r.with_reason, r.usable),
                     percent(r.with_reference, r.usable));
  if (!r.languages.empty()) add_shares(out, "languages      about", r.languages, r.usable);
  if (!r.categories.empty())
    add_shares(out, fmt::format("categories     {}:", r.categories.size()), r.categories, r.usable);
  return out;
}

nlohmann::ordered_json to_json(const LookReport& r) {
  using Json = nlohmann::ordered_json;
  Json out = {{"path", r.path},
              {"form", r.form->name},
              {"rows", r.rows},
              {"usable", r.usable},
              {"faults", Json::object()},
              {"labels", Json::object()},
              {"longer_won", r.longer_won},
              {"shorter_won", r.shorter_won},
              {"questions", r.questions},
              {"nearly_equal_questions", r.alike},
              {"duplicates", r.duplicates},
              {"contradictions", r.contradictions},
              {"with_reason", r.with_reason},
              {"with_reference", r.with_reference},
              {"question_bytes", {{"mean", r.mean_bytes[0]}, {"longest", r.longest_bytes[0]}}},
              {"answer_bytes", {{"mean", r.mean_bytes[1]}, {"longest", r.longest_bytes[1]}}},
              {"languages", r.languages},
              {"categories", r.categories},
              {"first", Json::array()}};
  for (const auto& [kind, fault] : r.faults)
    out["faults"][kind] = {{"rows", fault.first}, {"first", fault.second}};
  for (size_t i = 0; i < r.labels.size(); ++i) out["labels"][r.classes[i]] = r.labels[i];
  for (size_t i = 0; i < r.sums.size() && r.usable > 0; ++i)
    out["means"][r.judged.criteria[i].name] = r.sums[i] / static_cast<double>(r.usable);
  for (const JudgePair& pair : r.shown) {
    Json row = {{"line", pair.source_line}, {"question", pair.question}};
    if (pair.single) {
      row["answer"] = pair.answer_a;
      if (!pair.rubric.empty()) row["rubric"] = pair.rubric;
    } else {
      row["answer_a"] = pair.answer_a;
      row["answer_b"] = pair.answer_b;
    }
    row["label"] = label_name(pair, r.judged);
    for (const auto& [name, value] : pair.meta) row["meta"][name] = value;
    out["first"].push_back(std::move(row));
  }
  return out;
}

}  // namespace gavel
