#include "data/prepare.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/threads.h"
#include "data/duplicates.h"
#include "data/jsonl.h"
#include "data/question_splits.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<const char*, 3> kSplits = {"train", "valid", "test"};
constexpr size_t kChunk = 1024;
constexpr size_t kPlacesKept = 50;
constexpr int64_t kHistogramWidth = 64;
constexpr size_t kHistogramBins = 64;  // the last one holds all that is longer

// What the first pass decides of a row; the second pass writes it so.
struct RowPlan {
  uint64_t question = 0;  // hash
  Verdict label = Verdict::a;
  bool keep = false;
  bool exchange = false;  // for position balance
  uint8_t split = 0;
  uint32_t input = 0;
};

// What --mix calls an input: the file's name without its endings.
std::string mix_name(const std::filesystem::path& input) {
  const std::string name = input.filename().string();
  return name.substr(0, name.find('.', 1));
}

double share_of(const PrepareOptions& options, size_t input) {
  return options.mix.at(mix_name(options.inputs[input]));
}

void check_mix(const PrepareOptions& options) {
  std::map<std::string, int> names;
  for (const auto& input : options.inputs) ++names[mix_name(input)];
  double total = 0;
  for (const auto& [name, share] : options.mix) {
    if (names[name] != 1)
      throw UsageError(
          fmt::format("--mix: {} inputs are called \"{}\", and it must be one", names[name], name));
    if (!(share >= 0) || !std::isfinite(share))
      throw UsageError("--mix: the shares must be numbers from 0 on");
    total += share;
  }
  for (const auto& [name, count] : names)
    if (!options.mix.empty() && !options.mix.contains(name))
      throw UsageError(fmt::format("--mix gives no share to the input \"{}\"", name));
  if (!options.mix.empty() && total <= 0) throw UsageError("--mix: all shares are 0");
}

class Preparation {
 public:
  Preparation(const PrepareOptions& options, const TextEncoder* encoder,
              const std::function<bool()>& stop)
      : options_(options),
        encoder_(encoder),
        stop_(stop),
        template_(options.template_file.empty() ? JudgeTemplate::standard()
                                                : JudgeTemplate::from_file(options.template_file)) {
  }

  PrepareReport run() {
    report_.seed = options_.seed;
    report_.max_seq_length = options_.max_seq_length;
    report_.tokenized = encoder_ != nullptr && encoder_->chat_template.has_value();
    report_.template_name =
        options_.template_file.empty() ? "standard" : options_.template_file.string();
    if (encoder_ != nullptr && !report_.tokenized)
      report_.warnings.push_back("the model has no chat template, so tokens are not counted");
    report_.histogram_width = kHistogramWidth;
    if (report_.tokenized) report_.length_histogram.assign(kHistogramBins, 0);
    decide();
    write();
    add_warnings();
    return std::move(report_);
  }

 private:
  // Calls visit(reader, row, index of the row over all files) for each row, in order.
  template <typename Visit>
  void for_each_row(const char* label, Visit visit) {
    int64_t total = 0, before = 0, index = 0;
    for (const auto& input : options_.inputs)
      total += static_cast<int64_t>(std::filesystem::file_size(input));
    Progress progress(label, total >> 10, "KiB");
    for (input_ = 0; input_ < options_.inputs.size(); ++input_) {
      PairReader reader(options_.inputs[input_], options_.raw);
      for (;;) {
        if (stop_ && stop_()) fail("interrupted: nothing was written");
        std::vector<RawRow> rows = reader.next(kChunk);
        if (options_.max_rows >= 0 && index + static_cast<int64_t>(rows.size()) > options_.max_rows)
          rows.resize(static_cast<size_t>(std::max<int64_t>(0, options_.max_rows - index)));
        if (rows.empty()) break;
        visit(reader, rows, index);
        index += static_cast<int64_t>(rows.size());
        progress.update((before + reader.bytes_done()) >> 10);
      }
      before += reader.bytes_total();
    }
    progress.finish();
  }

  void drop(const std::string& kind, const std::filesystem::path& path, int64_t line,
            const std::string& detail) {
    FaultReport& fault = report_.dropped[kind];
    if (++fault.count <= static_cast<int64_t>(kPlacesKept))
      fault.places.emplace_back(file_line(path, line), detail);
  }

  // ---- the first pass: which rows stay, and where they go ----

  void decide() {
    read_excluded();
    std::unordered_map<uint64_t, int> seen;  // pair -> its label
    for_each_row(
        "Reading", [&](const PairReader& reader, std::vector<RawRow>& rows, int64_t first) {
          if (report_.inputs.empty() || report_.inputs.back().path != reader.path().string())
            report_.inputs.push_back({reader.path().string(), reader.form().name});
          plans_.resize(static_cast<size_t>(first) + rows.size());
          add_questions(rows);
          for (size_t i = 0; i < rows.size(); ++i)
            plans_[static_cast<size_t>(first) + i] = plan_row(reader.path(), rows[i], seen);
        });
    report_.rows_read = static_cast<int64_t>(plans_.size());
    if (report_.rows_kept == 0)
      fail("none of the {} rows could be used{}", report_.rows_read, first_fault());
    assign_splits();
    if (!options_.mix.empty()) mix_inputs();
    if (options_.balance_positions) balance_positions();
    if (options_.balance_classes) balance_classes();
    std::array<std::unordered_set<uint64_t>, 3> questions;
    for (const RowPlan& d : plans_)
      if (d.keep) questions[d.split].insert(d.question);
    for (size_t k = 0; k < 3; ++k)
      report_.splits[k].questions = static_cast<int64_t>(questions[k].size());
  }

  RowPlan plan_row(const std::filesystem::path& path, const RawRow& row,
                   std::unordered_map<uint64_t, int>& seen) {
    RowPlan plan;
    if (!row.pair) {
      drop(row.fault, path, row.line, row.detail);
      return plan;
    }
    const JudgePair& pair = *row.pair;
    plan.question = question_hash(pair.question, options_.seed);
    plan.label = *pair.label;
    plan.input = input_;
    if (options_.drop_ties && plan.label == Verdict::tie) {
      drop("tie", path, row.line, "ties are left out, as asked");
      return plan;
    }
    if (options_.deduplicate) {
      const int label = order_free_label(pair);
      const auto [it, fresh] = seen.emplace(pair_hash(pair, plan.question), label);
      if (!fresh) {
        if (it->second == label)
          drop("duplicate", path, row.line, "the same question and answers came before");
        else
          drop("contradicting duplicate", path, row.line,
               "the same question and answers came before, with another label");
        return plan;
      }
    }
    plan.keep = true;
    ++report_.rows_kept;
    ++report_.labels_read[static_cast<size_t>(plan.label)];
    return plan;
  }

  std::string first_fault() const {
    for (const auto& [kind, fault] : report_.dropped)
      if (!fault.places.empty())
        return fmt::format("; for instance {}: {}: {}", fault.places[0].first, kind,
                           fault.places[0].second);
    return "";
  }

  // No question, nor one that is nearly the same, is in two splits.
  void assign_splits() {
    const auto groups = questions_.groups();
    std::unordered_set<uint64_t> excluded, used;
    for (const uint64_t question : excluded_) excluded.insert(groups.at(question));
    for (RowPlan& d : plans_) {
      if (!d.keep) continue;
      if (excluded.contains(groups.at(d.question))) {
        d.keep = false;
        --report_.rows_kept;
        --report_.labels_read[static_cast<size_t>(d.label)];
        ++report_.dropped["question of an excluded file"].count;
      } else {
        used.insert(d.question);
      }
    }
    if (report_.rows_kept == 0) fail("all questions are those of the excluded files");
    const QuestionSplits splits = split_questions(groups, used, options_.shares);
    report_.alike_questions = splits.alike;
    report_.leaks_by_text = splits.leaks_by_text;
    for (RowPlan& d : plans_)
      if (d.keep) d.split = splits.split.at(d.question);
    questions_ = {};
  }

  void read_excluded() {
    RawOptions raw = options_.raw;
    raw.form = nullptr;
    raw.field_mappings.clear();
    raw.label_meanings.clear();
    raw.needs_label = false;
    for (const auto& path : options_.excluded) {
      PairReader reader(path, raw);
      for (auto rows = reader.next(kChunk); !rows.empty(); rows = reader.next(kChunk))
        for (const RawRow& row : rows) {
          // A benchmark of which a part is not read would not be kept out.
          if (!row.pair)
            fail("{}: {}: {}; the questions of an excluded file must all be readable",
                 file_line(path, row.line), row.fault, row.detail);
          const uint64_t question = question_hash(row.pair->question, options_.seed);
          questions_.add(question, sketch_of(row.pair->question));
          excluded_.insert(question);
        }
    }
  }

  // Sketches of the questions that are new, in parallel.
  void add_questions(const std::vector<RawRow>& rows) {
    std::vector<std::optional<Sketch>> sketches(rows.size());
    const auto hash = [&](const RawRow& row) {
      return question_hash(row.pair->question, options_.seed);
    };
    parallel_for_dynamic(static_cast<int64_t>(rows.size()), 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        if (rows[i].pair && !questions_.contains(hash(rows[i])))
          sketches[i] = sketch_of(rows[i].pair->question);
    });
    for (size_t i = 0; i < rows.size(); ++i)
      if (sketches[i]) questions_.add(hash(rows[i]), *sketches[i]);
  }

  // In each split, leaves out rows at random until the inputs have their shares; none comes twice.
  void mix_inputs() {
    for (uint8_t split = 0; split < 3; ++split) {
      std::vector<std::vector<size_t>> rows(options_.inputs.size());
      for (size_t i = 0; i < plans_.size(); ++i)
        if (plans_[i].keep && plans_[i].split == split) rows[plans_[i].input].push_back(i);
      double whole = std::numeric_limits<double>::infinity();
      for (size_t k = 0; k < rows.size(); ++k)
        if (const double share = share_of(options_, k); share > 0 && !rows[k].empty())
          whole = std::min(whole, static_cast<double>(rows[k].size()) / share);
      if (std::isinf(whole)) whole = 0;
      Random random(options_.seed, 300 + split);
      for (size_t k = 0; k < rows.size(); ++k) {
        random.shuffle(std::span(rows[k]));
        const auto most = static_cast<size_t>(std::llround(whole * share_of(options_, k)));
        for (size_t i = most; i < rows[k].size(); ++i) {
          plans_[rows[k][i]].keep = false;
          ++report_.dropped["left out for the mix"].count;
        }
      }
    }
  }

  // Exchanges the answers of a random half of what one side wins too often, in each split.
  void balance_positions() {
    for (uint8_t split = 0; split < 3; ++split) {
      std::array<std::vector<size_t>, 2> wins;
      for (size_t i = 0; i < plans_.size(); ++i)
        if (plans_[i].keep && plans_[i].split == split && plans_[i].label != Verdict::tie)
          wins[plans_[i].label == Verdict::a ? 0 : 1].push_back(i);
      auto& more = wins[0].size() > wins[1].size() ? wins[0] : wins[1];
      const size_t excess = (more.size() - std::min(wins[0].size(), wins[1].size())) / 2;
      Random random(options_.seed, 100 + split);
      random.shuffle(std::span(more));
      for (size_t k = 0; k < excess; ++k) {
        RowPlan& d = plans_[more[k]];
        d.exchange = true;
        d.label = swapped(d.label);
        ++report_.swapped_for_position;
      }
    }
  }

  // Leaves out pairs of the more frequent labels of train, at random.
  void balance_classes() {
    std::array<std::vector<size_t>, 3> rows;
    for (size_t i = 0; i < plans_.size(); ++i)
      if (plans_[i].keep && plans_[i].split == 0)
        rows[static_cast<size_t>(plans_[i].label)].push_back(i);
    size_t rarest = std::numeric_limits<size_t>::max();
    for (const auto& r : rows)
      if (!r.empty()) rarest = std::min(rarest, r.size());
    Random random(options_.seed, 200);
    for (size_t label = 0; label < 3; ++label) {
      random.shuffle(std::span(rows[label]));
      for (size_t k = rarest; k < rows[label].size(); ++k) {
        plans_[rows[label][k]].keep = false;
        ++report_.dropped["left out to balance the labels"].count;
      }
    }
  }

  // ---- the second pass: writing ----

  // One row of a split file, ready to be written.
  struct Line {
    std::string text;
    Example example;
    int64_t full_length = 0;
    Verdict label = Verdict::a;
    bool has_reason = false, has_reference = false, reference_dropped = false;
  };

  void write() {
    std::filesystem::create_directories(options_.output);
    write_file_atomic(options_.output / "template.txt", template_.source());
    // The three files are written side by side and put in place once all are whole.
    std::array<std::ostream*, 3> out = {};
    const std::function<void(size_t)> open = [&](size_t split) {
      if (split == 3) {
        write_rows(out);
        return;
      }
      const auto path = options_.output / (std::string(kSplits[split]) + ".jsonl");
      if (report_.splits[split].questions == 0) {
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

  void write_rows(const std::array<std::ostream*, 3>& out) {
    for_each_row("Writing", [&](const PairReader& reader, std::vector<RawRow>& rows,
                                int64_t first) {
      if (static_cast<size_t>(first) + rows.size() > plans_.size())
        fail("{} has changed while it was read", reader.path().string());
      const int copies = options_.swap_augment ? 2 : 1;
      std::vector<std::array<Line, 2>> lines(rows.size());
      parallel_for_dynamic(static_cast<int64_t>(rows.size()), 8, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const RowPlan& d = plans_[static_cast<size_t>(first + i)];
          if (!d.keep || !rows[i].pair) continue;
          for (int copy = 0; copy < (d.split == 0 ? copies : 1); ++copy)
            lines[i][copy] = make_line(reader, *rows[i].pair, d, first + i, copy == 1);
        }
      });
      for (size_t i = 0; i < rows.size(); ++i) {
        const RowPlan& d = plans_[static_cast<size_t>(first) + i];
        if (!d.keep || !rows[i].pair) continue;
        for (const Line& line : lines[i]) {
          if (line.text.empty()) continue;
          *out[d.split] << line.text << '\n';
          count(line, d.split);
        }
        consider_sample(reader, *rows[i].pair, d, static_cast<int64_t>(first + i));
      }
    });
    finish_samples();
  }

  // The pair as it is written: exchanged and without its reference where that was decided.
  JudgePair final_pair(const JudgePair& raw, const RowPlan& d, int64_t index, bool swap) const {
    JudgePair pair = d.exchange != swap ? swapped(raw) : raw;
    if (!keeps_reference(d, index)) pair.reference.clear();
    if (pair.id.empty()) pair.id = std::to_string(index);
    return pair;
  }

  bool keeps_reference(const RowPlan& d, int64_t index) const {
    if (!options_.use_reference) return false;
    if (d.split != 0 || options_.reference_drop <= 0) return true;
    return Random(options_.seed ^ 0x5EF, static_cast<uint64_t>(index)).uniform() >=
           options_.reference_drop;
  }

  Line make_line(const PairReader& reader, const JudgePair& raw, const RowPlan& d, int64_t index,
                 bool swap) const {
    const JudgePair pair = final_pair(raw, d, index, swap);
    Json row =
        training_row(pair, template_,
                     options_.swap_augment && d.split == 0 ? std::optional(index) : std::nullopt);
    row["source"] = fmt::format("{}:{}", reader.path().filename().string(), pair.source_line);
    Line line;
    line.text = row.dump();
    if (report_.tokenized) {
      line.example = encode_judge_record(*encoder_, row);
      line.full_length = static_cast<int64_t>(line.example.tokens.size());
      if (line.full_length > options_.max_seq_length) {
        line.example.tokens.resize(static_cast<size_t>(options_.max_seq_length));
        line.example.truncated = true;
      }
    }
    line.label = *pair.label;
    line.has_reason = !pair.reason.empty();
    line.has_reference = !pair.reference.empty();
    line.reference_dropped =
        options_.use_reference && !raw.reference.empty() && !line.has_reference;
    return line;
  }

  void count(const Line& line, uint8_t split) {
    SplitReport& s = report_.splits[split];
    ++s.rows;
    ++s.labels[static_cast<size_t>(line.label)];
    s.with_reference += line.has_reference ? 1 : 0;
    s.with_reason += line.has_reason ? 1 : 0;
    report_.references_dropped += line.reference_dropped ? 1 : 0;
    if (!report_.tokenized) return;
    s.tokens += static_cast<int64_t>(line.example.tokens.size());
    s.loss_tokens += line.example.loss_tokens();
    s.longest = std::max(s.longest, line.full_length);
    s.truncated += line.example.truncated ? 1 : 0;
    s.without_targets += line.example.loss_tokens() == 0 ? 1 : 0;
    const auto bin = static_cast<size_t>(line.full_length / kHistogramWidth);
    ++report_.length_histogram[std::min(bin, kHistogramBins - 1)];
  }

  // ---- examples to show: those of the lowest hash, so a random choice that the seed fixes ----

  struct Candidate {
    uint64_t rank;
    JudgePair pair;
    std::string source;
    uint8_t split;
  };

  void consider_sample(const PairReader& reader, const JudgePair& raw, const RowPlan& d,
                       int64_t index) {
    const uint64_t rank = Random(options_.seed, static_cast<uint64_t>(index) + 1000).next();
    const auto limit = static_cast<size_t>(std::max<int64_t>(0, options_.samples));
    if (limit == 0 || (candidates_.size() == limit && rank >= candidates_.front().rank)) return;
    const auto lower = [](const Candidate& a, const Candidate& b) { return a.rank < b.rank; };
    if (candidates_.size() == limit) {
      std::pop_heap(candidates_.begin(), candidates_.end(), lower);
      candidates_.pop_back();
    }
    candidates_.push_back({rank, final_pair(raw, d, index, false),
                           file_line(reader.path(), raw.source_line), d.split});
    std::push_heap(candidates_.begin(), candidates_.end(), lower);
  }

  void finish_samples() {
    std::sort(candidates_.begin(), candidates_.end(),
              [](const Candidate& a, const Candidate& b) { return a.rank < b.rank; });
    for (const Candidate& c : candidates_) {
      Sample sample;
      sample.source = c.source;
      sample.split = kSplits[c.split];
      sample.label = to_string(*c.pair.label);
      const Json row = training_row(c.pair, template_);
      if (report_.tokenized) {
        const Example example = encode_judge_record(*encoder_, row);
        sample.tokens = static_cast<int64_t>(example.tokens.size());
        sample.pieces = token_pieces(example);
      } else {
        for (const Json& m : row.at("messages")) {
          if (!sample.pieces.empty()) sample.pieces.push_back({"\n\n", false, false});
          sample.pieces.push_back(
              {m.at("content").get<std::string>(), m.at("role") == "assistant", false});
        }
      }
      report_.samples.push_back(std::move(sample));
    }
  }

  // Neighbouring tokens of the same kind are one piece, so that characters of several tokens stay
  // whole.
  std::vector<SampleToken> token_pieces(const Example& example) const {
    std::vector<SampleToken> pieces;
    std::vector<int> ids;
    const auto flush = [&] {
      if (!ids.empty()) pieces.back().text = encoder_->tokenizer.decode(ids);
      ids.clear();
    };
    for (size_t t = 0; t < example.tokens.size(); ++t) {
      const bool loss = static_cast<int64_t>(t) >= std::max(example.prompt_length, 1);
      const bool cut = static_cast<int64_t>(t) >= options_.max_seq_length;
      if (pieces.empty() || pieces.back().carries_loss != loss || pieces.back().cut != cut) {
        flush();
        pieces.push_back({"", loss, cut});
      }
      ids.push_back(example.tokens[t]);
    }
    flush();
    return pieces;
  }

  void add_warnings() {
    for (size_t k = 0; k < 3; ++k) {
      const SplitReport& s = report_.splits[k];
      if (options_.shares[k] > 0 && s.rows == 0)
        report_.warnings.push_back(
            fmt::format("{} is empty: there are too few questions", kSplits[k]));
      if (s.without_targets > 0)
        report_.warnings.push_back(fmt::format(
            "{}: {} of {} examples lose all tokens that carry loss at --max-seq-length {}",
            kSplits[k], s.without_targets, s.rows, options_.max_seq_length));
      const int64_t decided = s.labels[0] + s.labels[1];
      if (decided >= 20 && std::abs(s.labels[0] - s.labels[1]) * 5 > decided)
        report_.warnings.push_back(
            fmt::format("{}: A wins {} times and B {} times; --balance-positions evens that out",
                        kSplits[k], s.labels[0], s.labels[1]));
    }
  }

  const PrepareOptions& options_;
  const TextEncoder* encoder_;
  const std::function<bool()>& stop_;
  JudgeTemplate template_;
  PrepareReport report_;
  uint32_t input_ = 0;  // the place of the file that is being read
  std::vector<RowPlan> plans_;
  QuestionGroups questions_;               // of the first pass
  std::unordered_set<uint64_t> excluded_;  // of these
  std::vector<Candidate> candidates_;      // a heap by rank, the highest in front
};

void check(const PrepareOptions& options) {
  if (options.inputs.empty()) throw UsageError("no input file was given");
  double total = 0;
  for (const double share : options.shares) {
    if (!(share >= 0) || !std::isfinite(share))
      throw UsageError("the shares of train, valid and test must be numbers from 0 on");
    total += share;
  }
  if (total <= 0) throw UsageError("at least one of train, valid and test must have a share");
  if (!(options.reference_drop >= 0 && options.reference_drop <= 1))
    throw UsageError("--reference-drop must be from 0 to 1");
  if (options.max_seq_length < 1) throw UsageError("--max-seq-length must be at least 1");
  for (const auto& input : options.inputs) {
    std::error_code ec;
    if (!std::filesystem::is_regular_file(input, ec))
      fail("the input file {} does not exist", input.string());
    for (const char* split : kSplits)
      if (std::filesystem::equivalent(input, options.output / (std::string(split) + ".jsonl"), ec))
        fail("the input file {} would be overwritten: choose another output folder",
             input.string());
  }
}

}  // namespace

PrepareReport prepare(const PrepareOptions& options, const TextEncoder* encoder,
                      const std::function<bool()>& stop) {
  check(options);
  check_mix(options);
  const auto start = std::chrono::steady_clock::now();
  PrepareReport report = Preparation(options, encoder, stop).run();
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace gavel
