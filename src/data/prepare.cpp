#include "data/prepare.h"

#include <chrono>
#include <cmath>

#include "data/input_files.h"
#include "data/prepare_passes.h"

namespace gavel {
namespace {

constexpr int64_t kHistogramWidth = 64;
constexpr size_t kHistogramBins = 64;  // the last one holds all that is longer

void check_mix(const PrepareOptions& options) {
  if (options.mix.empty()) return;
  std::map<std::string, int> names;
  for (size_t i = 0; i < options.inputs.size(); ++i) ++names[input_name(options, i)];
  double total = 0;
  for (const auto& [name, share] : options.mix) {
    // Files of a data set have its name together.
    if (names[name] == 0 || (names[name] > 1 && options.names.empty()))
      throw UsageError(
          fmt::format("--mix: {} inputs are called \"{}\", and it must be one", names[name], name));
    if (!(share >= 0) || !std::isfinite(share))
      throw UsageError("--mix: the shares must be numbers from 0 on");
    total += share;
  }
  for (const auto& [name, count] : names)
    if (!options.mix.contains(name))
      throw UsageError(fmt::format("--mix gives no share to the input \"{}\"", name));
  if (total <= 0) throw UsageError("--mix: all shares are 0");
}

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
    for (const char* split : kSplitNames)
      if (std::filesystem::equivalent(input, options.output / (std::string(split) + ".jsonl"), ec))
        fail("the input file {} would be overwritten: choose another output folder",
             input.string());
  }
}

// What there is for pairs only.
void check_form(const PrepareOptions& options, const JudgeForm& form) {
  if (form.one_answer() && (options.swap_augment || options.balance_positions))
    throw UsageError(fmt::format(
        "of the form {} each answer is read alone, so there are no positions: leave out "
        "--swap-augment and --balance-positions",
        to_string(form.kind)));
  if (!form.of_pairs() && options.drop_ties)
    throw UsageError(
        fmt::format("--ties drop: rows of the form {} have no ties", to_string(form.kind)));
  if (form.kind == FormKind::criteria && options.balance_classes)
    throw UsageError("--balance-classes: rows of the form criteria have several labels each");
}

void add_warnings(const PrepareOptions& options, const JudgeTemplate& prompt,
                  PrepareReport& report) {
  const FormKind form = prompt.form().kind;
  int64_t rows = 0, references = 0, rubrics = 0;
  for (const SplitReport& s : report.splits) {
    rows += s.rows;
    references += s.with_reference;
    rubrics += s.with_rubric;
  }
  const auto unread = [&](int64_t count, const char* name) {
    if (count > 0 && !prompt.takes(name))
      report.warnings.push_back(
          fmt::format("{} of {} rows have a {}, which the template does not use ({{{}}})", count,
                      rows, name, name));
  };
  unread(references, "reference");
  unread(rubrics, "rubric");
  for (size_t k = 0; k < 3; ++k) {
    const SplitReport& s = report.splits[k];
    if (options.shares[k] > 0 && s.rows == 0)
      report.warnings.push_back(
          fmt::format("{} is empty: there are too few questions", kSplitNames[k]));
    if (s.without_targets > 0)
      report.warnings.push_back(fmt::format(
          "{}: {} of {} examples lose all tokens that carry loss at --max-seq-length {}",
          kSplitNames[k], s.without_targets, s.rows, options.max_seq_length));
    if (form != FormKind::pair || s.rows == 0) continue;
    const int64_t decided = s.labels[0] + s.labels[1];
    if (decided >= 20 && std::abs(s.labels[0] - s.labels[1]) * 5 > decided)
      report.warnings.push_back(
          fmt::format("{}: A wins {} times and B {} times; --balance-positions evens that out",
                      kSplitNames[k], s.labels[0], s.labels[1]));
  }
}

}  // namespace

std::string input_name(const PrepareOptions& options, size_t input) {
  if (input < options.names.size()) return options.names[input];
  return plain_name(options.inputs[input]);
}

JudgeTemplate template_of(const PrepareOptions& options) {
  if (!options.scale.empty()) {
    if (options.form != FormKind::score || !options.template_file.empty())
      throw UsageError("--scale goes with --form score; a template says its scale itself");
    return JudgeTemplate::standard_of_scale(options.scale);
  }
  return options.template_file.empty() ? JudgeTemplate::standard(options.form)
                                       : JudgeTemplate::from_file(options.template_file);
}

void set_answers(RawOptions& raw, const JudgeForm& form) {
  raw.answers = form.of_pairs() ? std::nullopt : std::optional(form);
}

PrepareReport prepare(const PrepareOptions& given, const TextEncoder* encoder,
                      const std::function<bool()>& stop) {
  PrepareOptions options = given;
  check(options);
  check_mix(options);
  const auto start = std::chrono::steady_clock::now();
  Preparation p{options, encoder, stop, template_of(options), {}, {}};
  set_answers(options.raw, p.prompt.form());
  check_form(options, p.prompt.form());
  PrepareReport& report = p.report;
  report.form = p.prompt.form();
  report.classes = label_classes(report.form);
  for (SplitReport& split : report.splits) {
    split.labels.resize(report.classes.size());
    split.sums.resize(report.form.criteria.size());
  }
  report.seed = options.seed;
  report.max_seq_length = options.max_seq_length;
  report.tokenized = encoder != nullptr && encoder->chat_template.has_value();
  report.template_name = options.template_file.empty()
                             ? fmt::format("standard, {}", to_string(options.form))
                             : options.template_file.string();
  if (encoder != nullptr && !report.tokenized)
    report.warnings.push_back("the model has no chat template, so tokens are not counted");
  report.histogram_width = kHistogramWidth;
  if (report.tokenized) report.length_histogram.assign(kHistogramBins, 0);
  plan_rows(p);
  write_splits(p);
  count_tokens(p);
  add_warnings(options, p.prompt, report);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return std::move(p.report);
}

}  // namespace gavel
