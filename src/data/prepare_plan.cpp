// The first pass: which rows stay, and where they go.
#include "data/duplicates.h"
#include "data/jsonl.h"
#include "data/prepare_passes.h"
#include "data/question_splits.h"

namespace gavel {
namespace {

class Planning {
 public:
  explicit Planning(Preparation& p) : p_(p) {}

  // What is to be known of a row.
  struct Row {
    bool usable = false, begins_record = false, tie = false;
    uint32_t label = 0;     // its class
    uint64_t question = 0;  // its hash
    Sketch sketch = {};     // the question's
    RowKey key;
    int64_t line = 0;
    std::string fault, detail;
  };
  struct Part : RecordPart {
    std::vector<Row> rows;
  };

  bool begin(const Part&) const { return !full(); }

  void read(Part& part) const {
    part.rows.clear();
    for (const RawRecord& record : part.records) {
      const size_t first = part.rows.size();
      for (RawRow& row : part.reader->rows_of(record)) part.rows.push_back(of(row));
      part.rows[first].begins_record = true;
    }
  }

  void take(const Part& part) {
    if (p_.report.inputs.size() == part.input)
      p_.report.inputs.push_back({part.reader->path().string(), part.reader->form().name});
    for (const Row& row : part.rows) {
      if (full()) return;
      p_.plans.push_back(plan_row(part, row));
    }
  }

  void decide() {
    read_excluded();
    for_each_part(p_, "Reading", *this);
    seen_ = {};
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
  bool full() const {
    const auto rows = static_cast<int64_t>(p_.plans.size());
    return p_.options.max_rows >= 0 && rows >= p_.options.max_rows;
  }

  void drop(const std::string& kind, const std::filesystem::path& path, int64_t line,
            const std::string& detail) {
    p_.report.dropped[kind].add(file_line(path, line), detail);
  }

  Row of(RawRow& row) const {
    Row out;
    out.line = row.line;
    out.fault = std::move(row.fault);
    out.detail = std::move(row.detail);
    if (!row.pair) return out;
    const JudgePair& pair = *row.pair;
    out.usable = true;
    out.tie = pair.label == Verdict::tie;
    out.label = static_cast<uint32_t>(label_class(pair, p_.report.form));
    out.question = question_hash(pair.question, p_.options.seed);
    out.sketch = sketch_of(pair.question);
    out.key = key_of(pair, out.question);
    return out;
  }

  RowPlan plan_row(const Part& part, const Row& row) {
    RowPlan plan;
    plan.begins_record = row.begins_record ? 1 : 0;
    const auto& path = part.reader->path();
    if (!row.usable) {
      drop(row.fault, path, row.line, row.detail);
      return plan;
    }
    plan.question = questions_.add(row.question, row.sketch);
    plan.label = row.label & 127;
    plan.input = part.input;
    if (p_.options.drop_ties && row.tie) {
      drop("tie", path, row.line, "ties are left out, as asked");
      return plan;
    }
    if (p_.options.deduplicate) {
      const Before before = seen_.add(row.key);
      const char* what = row.key.single ? "answer" : "answers";
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
        ++p_.report.excluded_rows;
      } else {
        used[d.question] = true;
      }
    }
    if (p_.report.rows_kept == 0) fail("all questions are those of the excluded files");
    if (p_.report.excluded_rows > 0)
      p_.report.dropped["question of an excluded file"].count = p_.report.excluded_rows;
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
    p_.report.excluded_questions = excluded_;
  }

  Preparation& p_;
  QuestionGroups questions_;
  SeenRows seen_;
  uint32_t excluded_ = 0;  // so many of them, the first, are those of excluded files
};

}  // namespace

void plan_rows(Preparation& p) { Planning(p).decide(); }

}  // namespace gavel
