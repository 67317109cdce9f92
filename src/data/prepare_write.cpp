#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/random.h"
#include "base/threads.h"
#include "data/jsonl.h"
#include "data/prepare_passes.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

// One row of a split file, ready to be written.
struct Line {
  std::string text;
  size_t label = 0;  // its class
  std::vector<double> scores;
  bool has_reason = false, has_reference = false, reference_dropped = false;
};

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

  void write() {
    std::filesystem::create_directories(p_.options.output);
    write_file_atomic(p_.options.output / "template.txt", p_.prompt.source());
    // The three files are written side by side and put in place once all are whole.
    std::array<std::ostream*, 3> out = {};
    const std::function<void(size_t)> open = [&](size_t split) {
      if (split == 3) {
        write_rows(out);
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
        out[split] = &stream;
        open(split + 1);
      });
    };
    open(0);
  }

 private:
  void write_rows(const std::array<std::ostream*, 3>& out) {
    for_each_row(
        p_, "Writing",
        [&](const PairReader& reader, std::vector<RawRow>& rows, int64_t first, uint32_t) {
          if (static_cast<size_t>(first) + rows.size() > p_.plans.size())
            fail("{} has changed while it was read", reader.path().string());
          const int copies = p_.options.swap_augment ? 2 : 1;
          std::vector<std::array<Line, 2>> lines(rows.size());
          parallel_for_dynamic(
              static_cast<int64_t>(rows.size()), 8, [&](int64_t begin, int64_t end) {
                for (int64_t i = begin; i < end; ++i) {
                  const RowPlan& d = p_.plans[static_cast<size_t>(first + i)];
                  if (!d.keep || !rows[i].pair) continue;
                  for (int copy = 0; copy < (d.split == 0 ? copies : 1); ++copy)
                    lines[i][copy] = make_line(reader, *rows[i].pair, d, first + i, copy == 1);
                }
              });
          for (size_t i = 0; i < rows.size(); ++i) {
            const RowPlan& d = p_.plans[static_cast<size_t>(first) + i];
            if (!d.keep || !rows[i].pair) continue;
            for (const Line& line : lines[i]) {
              if (line.text.empty()) continue;
              *out[d.split] << line.text << '\n';
              count(line, d.split);
            }
            samples_.consider(*rows[i].pair, d, static_cast<int64_t>(first + i), reader.path());
          }
        });
    p_.report.samples = samples_.samples();
  }

  Line make_line(const PairReader& reader, const JudgePair& raw, const RowPlan& d, int64_t index,
                 bool swap) const {
    const JudgePair pair = planned_pair(p_, raw, d, index, swap);
    Json row =
        training_row(pair, p_.prompt,
                     p_.options.swap_augment && d.split == 0 ? std::optional(index) : std::nullopt);
    row["source"] = fmt::format("{}:{}", reader.path().filename().string(), pair.source_line);
    Line line;
    line.text = to_line(row);
    line.label = label_class(pair, p_.report.form);
    for (const auto& [name, score] : pair.scores) line.scores.push_back(score);
    line.has_reason = !pair.reason.empty();
    line.has_reference = !pair.reference.empty();
    line.reference_dropped =
        p_.options.use_reference && !raw.reference.empty() && !line.has_reference;
    return line;
  }

  void count(const Line& line, uint8_t split) {
    SplitReport& s = p_.report.splits[split];
    ++s.rows;
    if (!s.labels.empty()) ++s.labels[line.label];
    for (size_t i = 0; i < s.sums.size(); ++i) s.sums[i] += line.scores.at(i);
    s.with_reference += line.has_reference ? 1 : 0;
    s.with_reason += line.has_reason ? 1 : 0;
    p_.report.references_dropped += line.reference_dropped ? 1 : 0;
  }

  Preparation& p_;
  SampleChoice samples_;
};

}  // namespace

JudgePair planned_pair(const Preparation& p, const JudgePair& raw, const RowPlan& plan,
                       int64_t index, bool swap) {
  JudgePair pair = (plan.exchange != 0) != swap ? swapped(raw) : raw;
  if (!keeps_reference(p, plan, index)) pair.reference.clear();
  if (pair.id.empty()) pair.id = std::to_string(index);
  return pair;
}

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
