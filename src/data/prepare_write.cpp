#include "base/file.h"
#include "base/random.h"
#include "data/jsonl.h"
#include "data/prepare_passes.h"

namespace gavel {
namespace {

bool keeps_reference(const Preparation& p, const RowPlan& d, int64_t index) {
  if (!p.options.use_reference) return false;
  if (d.split != 0 || p.options.reference_drop <= 0) return true;
  return Random(p.options.seed ^ 0x5EF, static_cast<uint64_t>(index)).uniform() >=
         p.options.reference_drop;
}

std::filesystem::path split_path(const Preparation& p, size_t split) {
  return p.options.output / (std::string(kSplitNames[split]) + ".jsonl");
}

class Writing {
 public:
  explicit Writing(Preparation& p) : p_(p), samples_(p) {}

  struct Part : RecordPart {
    size_t first = 0;  // the place of its first row
    std::array<std::string, 3> lines;
    std::array<SplitReport, 3> counts;
    int64_t references_dropped = 0;
  };

  bool begin(Part& part) {
    part.first = next_row_;
    for (size_t i = 0; i < part.records.size() && !past_max_rows(next_row_); ++i)
      next_row_ = end_of_record(next_row_, part);
    return !past_max_rows(part.first);
  }

  void read(Part& part) {
    for (size_t split = 0; split < 3; ++split) {
      part.lines[split].clear();
      part.counts[split] = {};
      part.counts[split].labels.resize(p_.report.classes.size());
      part.counts[split].sums.resize(p_.report.form.criteria.size());
    }
    part.references_dropped = 0;
    const std::string file = part.reader->path().filename().string();
    size_t row = part.first;
    for (const RawRecord& record : part.records) {
      if (past_max_rows(row)) return;
      const size_t begin = row, end = end_of_record(row, part);
      std::vector<RawRow> rows = part.reader->rows_of(record);
      if (rows.size() != end - begin && !past_max_rows(begin + rows.size() - 1)) has_changed(part);
      for (; row < end; ++row)
        if (p_.plans[row].keep) {
          if (!rows[row - begin].pair) has_changed(part);
          add_row(part, std::move(*rows[row - begin].pair), row, file);
        }
    }
  }

  void take(const Part& part) {
    for (size_t split = 0; split < 3; ++split) {
      if (part.lines[split].empty()) continue;
      *out_[split] << part.lines[split];
      const SplitReport& from = part.counts[split];
      SplitReport& to = p_.report.splits[split];
      to.rows += from.rows;
      to.with_rubric += from.with_rubric;
      to.with_reference += from.with_reference;
      to.with_reason += from.with_reason;
      for (size_t i = 0; i < to.labels.size(); ++i) to.labels[i] += from.labels[i];
      for (size_t i = 0; i < to.sums.size(); ++i) to.sums[i] += from.sums[i];
    }
    p_.report.references_dropped += part.references_dropped;
  }

  void write() {
    std::filesystem::create_directories(p_.options.output);
    write_file_atomic(p_.options.output / "template.txt", p_.prompt.source());
    // The three files are written side by side and put in place once all are whole.
    const std::function<void(size_t)> open = [&](size_t split) {
      if (split == 3) {
        write_rows();
        return;
      }
      const auto path = split_path(p_, split);
      if (p_.report.splits[split].questions == 0) {
        open(split + 1);
        std::error_code ignored;
        std::filesystem::remove(path, ignored);  // of an earlier run: it does not belong to this
        return;
      }
      write_file_atomic(path, [&](std::ostream& stream) {
        out_[split] = &stream;
        open(split + 1);
      });
    };
    open(0);
  }

 private:
  void write_rows() {
    for_each_part(p_, "Writing", *this);
    if (next_row_ != p_.plans.size())
      fail("{} has changed while it was read", p_.options.inputs.back().string());
    p_.report.samples = samples_.samples();
  }

  [[noreturn]] static void has_changed(const Part& part) {
    fail("{} has changed while it was read", part.reader->path().string());
  }

  bool past_max_rows(size_t row) const {
    return p_.options.max_rows >= 0 && row >= p_.plans.size();
  }

  size_t end_of_record(size_t row, const Part& part) const {
    if (row >= p_.plans.size() || !p_.plans[row].begins_record) has_changed(part);
    ++row;
    while (row < p_.plans.size() && !p_.plans[row].begins_record) ++row;
    return row;
  }

  // The pair as it is written: exchanged, and without its reference where that was decided.
  JudgePair planned_pair(JudgePair pair, size_t row, bool exchange) const {
    if (exchange) pair = swapped(std::move(pair));
    if (!keeps_reference(p_, p_.plans[row], static_cast<int64_t>(row))) pair.reference.clear();
    if (pair.id.empty()) pair.id = std::to_string(row);
    return pair;
  }

  void add_row(Part& part, JudgePair raw, size_t row, const std::string& file) {
    const RowPlan& d = p_.plans[row];
    const auto index = static_cast<int64_t>(row);
    const bool both = p_.options.swap_augment && d.split == 0, reference = !raw.reference.empty();
    const bool exchange = d.exchange != 0;
    std::optional<JudgePair> other;
    if (both) other = planned_pair(raw, row, !exchange);
    const JudgePair pair = planned_pair(std::move(raw), row, exchange);
    const auto add = [&](const JudgePair& one) {
      append_training_row(one, p_.prompt, both ? std::optional(index) : std::nullopt,
                          fmt::format("{}:{}", file, one.source_line), part.lines[d.split]);
      part.lines[d.split] += '\n';
      SplitReport& s = part.counts[d.split];
      ++s.rows;
      if (!s.labels.empty()) ++s.labels[label_class(one, p_.report.form)];
      for (size_t i = 0; i < s.sums.size(); ++i) s.sums[i] += one.scores.at(i).second;
      s.with_reference += one.reference.empty() ? 0 : 1;
      s.with_rubric += one.rubric.empty() ? 0 : 1;
      s.with_reason += one.reason.empty() ? 0 : 1;
      part.references_dropped +=
          p_.options.use_reference && reference && one.reference.empty() ? 1 : 0;
    };
    add(pair);
    if (other) add(*other);
    if (samples_.has(row))
      samples_.set(row, pair, file_line(part.reader->path(), pair.source_line));
  }

  Preparation& p_;
  SampleChoice samples_;
  std::array<std::ostream*, 3> out_ = {};
  size_t next_row_ = 0;
};

}  // namespace

void write_splits(Preparation& p) { Writing(p).write(); }

void count_tokens(Preparation& p) {
  if (!p.report.tokenized) return;
  for (size_t split = 0; split < 3; ++split) {
    SplitReport& s = p.report.splits[split];
    if (s.rows == 0) continue;
    const Dataset set = load_dataset(split_path(p, split), *p.encoder,
                                     {.max_seq_length = p.options.max_seq_length});
    s.tokens = set.summary.tokens;
    s.loss_tokens = set.summary.loss_tokens;
    s.longest = set.summary.longest;
    s.truncated = set.summary.truncated;
    s.without_targets = set.summary.without_targets;
    for (const Example& example : set.examples) {
      const auto bin = static_cast<size_t>(example.full_length / p.report.histogram_width);
      ++p.report.length_histogram[std::min(bin, p.report.length_histogram.size() - 1)];
    }
  }
}

}  // namespace gavel
