// The first pass: which rows stay, and where they go.
#include "base/threads.h"
#include "data/duplicates.h"
#include "data/jsonl.h"
#include "data/prepare_passes.h"
#include "data/question_splits.h"

namespace gavel {
namespace {

class Planning {
 public:
  explicit Planning(Preparation& p) : p_(p) {}

  void decide() {
    read_excluded();
    SeenRows seen;
    for_each_row(
        p_, "Reading",
        [&](const PairReader& reader, std::vector<RawRow>& rows, int64_t first, uint32_t input) {
          if (p_.report.inputs.size() == input)
            p_.report.inputs.push_back({reader.path().string(), reader.form().name});
          p_.plans.resize(static_cast<size_t>(first) + rows.size());
          add_questions(rows);
          for (size_t i = 0; i < rows.size(); ++i)
            p_.plans[static_cast<size_t>(first) + i] =
                plan_row(reader.path(), rows[i], input, seen);
        });
    seen = {};
    p_.report.rows_read = static_cast<int64_t>(p_.plans.size());
    if (p_.report.rows_kept == 0)
      fail("none of the {} rows could be used{}", p_.report.rows_read, first_fault());
    assign_splits();
    if (!p_.options.mix.empty()) mix_inputs(p_);
    if (p_.options.balance_positions) balance_positions(p_);
    if (p_.options.balance_classes) balance_classes(p_);
    std::vector<bool> counted(questions_.size());  // each is in one split
    for (const RowPlan& d : p_.plans)
      if (d.keep && !counted[d.question]) {
        counted[d.question] = true;
        ++p_.report.splits[d.split].questions;
      }
  }

 private:
  void drop(const std::string& kind, const std::filesystem::path& path, int64_t line,
            const std::string& detail) {
    p_.report.dropped[kind].add(file_line(path, line), detail);
  }

  RowPlan plan_row(const std::filesystem::path& path, const RawRow& row, uint32_t input,
                   SeenRows& seen) {
    RowPlan plan;
    if (!row.pair) {
      drop(row.fault, path, row.line, row.detail);
      return plan;
    }
    const JudgePair& pair = *row.pair;
    const uint64_t question = question_hash(pair.question, p_.options.seed);
    plan.question = questions_.find(question).value();
    plan.label = static_cast<uint32_t>(label_class(pair, p_.report.form)) & 127;
    plan.input = input;
    if (p_.options.drop_ties && pair.label == Verdict::tie) {
      drop("tie", path, row.line, "ties are left out, as asked");
      return plan;
    }
    if (p_.options.deduplicate) {
      const Before before = seen.add(pair, question);
      const char* what = pair.single ? "answer" : "answers";
      if (before == Before::same)
        drop("duplicate", path, row.line,
             fmt::format("the same question and {} came before", what));
      if (before == Before::contradiction)
        drop("contradicting duplicate", path, row.line,
             fmt::format("the same question and {} came before, with another label", what));
      if (before != Before::nothing) return plan;
    }
    plan.keep = 1;
    ++p_.report.rows_kept;
    return plan;
  }

  std::string first_fault() const {
    for (const auto& [kind, fault] : p_.report.dropped)
      if (!fault.places.empty())
        return fmt::format("; for instance {}: {}: {}", fault.places[0].first, kind,
                           fault.places[0].second);
    return "";
  }

  // No question, nor one that is nearly the same, is in two splits.
  void assign_splits() {
    const std::vector<uint32_t> groups = questions_.groups();
    questions_.drop_sketches();
    std::vector<bool> excluded(groups.size()), used(groups.size());
    for (uint32_t question = 0; question < excluded_; ++question) excluded[groups[question]] = true;
    for (RowPlan& d : p_.plans) {
      if (!d.keep) continue;
      if (excluded[groups[d.question]]) {
        d.keep = 0;
        --p_.report.rows_kept;
        ++p_.report.dropped["question of an excluded file"].count;
      } else {
        used[d.question] = true;
      }
    }
    if (p_.report.rows_kept == 0) fail("all questions are those of the excluded files");
    const QuestionSplits splits = split_questions(questions_, groups, used, p_.options.shares);
    p_.report.alike_questions = splits.alike;
    p_.report.leaks_by_text = splits.leaks_by_text;
    for (RowPlan& d : p_.plans)
      if (d.keep != 0) d.split = splits.split[d.question] & 3;
  }

  void read_excluded() {
    RawOptions raw = p_.options.raw;
    raw.form = nullptr;
    raw.field_mappings.clear();
    raw.label_meanings.clear();
    raw.answers.reset();
    raw.labels = RawOptions::Labels::ignored;
    for (const auto& path : p_.options.excluded)
      for_each_question(path, raw, [&](const std::string& text) {
        questions_.add(question_hash(text, p_.options.seed), sketch_of(text));
      });
    excluded_ = static_cast<uint32_t>(questions_.size());
  }

  // Sketches of the questions that are new, in parallel.
  void add_questions(const std::vector<RawRow>& rows) {
    std::vector<std::optional<Sketch>> sketches(rows.size());
    const auto hash = [&](const RawRow& row) {
      return question_hash(row.pair->question, p_.options.seed);
    };
    parallel_for_dynamic(static_cast<int64_t>(rows.size()), 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        if (rows[i].pair && !questions_.find(hash(rows[i])))
          sketches[i] = sketch_of(rows[i].pair->question);
    });
    for (size_t i = 0; i < rows.size(); ++i)
      if (sketches[i]) questions_.add(hash(rows[i]), *sketches[i]);
  }

  Preparation& p_;
  QuestionGroups questions_;
  uint32_t excluded_ = 0;  // so many of them, the first, are those of excluded files
};

}  // namespace

void plan_rows(Preparation& p) { Planning(p).decide(); }

}  // namespace gavel
