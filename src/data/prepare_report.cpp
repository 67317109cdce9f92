// What prepare() did, as text for a terminal.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/progress.h"
#include "data/prepare.h"

namespace gavel {
namespace {

void add_faults(std::string& out, const PrepareReport& report) {
  for (const auto& [kind, fault] : report.dropped) {
    out += fmt::format("  {:>9}  {}\n", grouped_digits(fault.count), kind);
    constexpr size_t kShown = 3;
    for (size_t i = 0; i < std::min(fault.places.size(), kShown); ++i)
      out += fmt::format("             {}: {}\n", fault.places[i].first, fault.places[i].second);
    if (fault.places.size() > kShown) out += "             ...\n";
  }
}

// A column a label, unless the scale is long.
bool shows_shares(const PrepareReport& report) { return report.classes.size() <= 11; }

void add_splits(std::string& out, const PrepareReport& report) {
  out += fmt::format("\n{:<6} {:>9} {:>10}", "", "rows", "questions");
  const bool shares = shows_shares(report);
  if (shares)
    for (const std::string& name : report.classes) out += fmt::format(" {:>8}", name);
  for (const Criterion& c : report.form.criteria) out += fmt::format(" {:>10}", "mean " + c.name);
  if (report.tokenized)
    out +=
        fmt::format(" {:>12} {:>11} {:>9} {:>10}", "tokens", "carry loss", "longest", "truncated");
  out += '\n';
  static constexpr std::array<const char*, 3> kNames = {"train", "valid", "test"};
  for (size_t k = 0; k < 3; ++k) {
    const SplitReport& s = report.splits[k];
    if (s.rows == 0) continue;
    out += fmt::format("{:<6} {:>9} {:>10}", kNames[k], grouped_digits(s.rows),
                       grouped_digits(s.questions));
    if (shares)
      for (size_t i = 0; i < s.labels.size(); ++i)
        out += fmt::format(" {:>{}}", percent(s.labels[i], s.rows),
                           std::max<size_t>(8, report.classes[i].size()));
    for (size_t i = 0; i < s.sums.size(); ++i)
      out += fmt::format(" {:>{}.2f}", s.sums[i] / static_cast<double>(s.rows),
                         std::max<size_t>(10, report.form.criteria[i].name.size() + 5));
    if (report.tokenized)
      out += fmt::format(" {:>12} {:>11} {:>9} {:>10}", grouped_digits(s.tokens),
                         grouped_digits(s.loss_tokens), grouped_digits(s.longest),
                         grouped_digits(s.truncated));
    out += '\n';
  }
}

void add_histogram(std::string& out, const PrepareReport& report) {
  const auto& bins = report.length_histogram;
  const int64_t most = bins.empty() ? 0 : *std::max_element(bins.begin(), bins.end());
  if (most == 0) return;
  size_t end = bins.size();
  while (end > 0 && bins[end - 1] == 0) --end;
  // At most 16 lines: neighbouring bins are put together.
  const size_t step = std::max<size_t>((end + 15) / 16, 1);
  std::vector<int64_t> merged((end + step - 1) / step);
  for (size_t i = 0; i < end; ++i) merged[i / step] += bins[i];
  const int64_t top = *std::max_element(merged.begin(), merged.end());
  out += "\nTokens of an example\n";
  for (size_t i = 0; i < merged.size(); ++i) {
    const int64_t low = static_cast<int64_t>(i * step) * report.histogram_width;
    const bool open = (i + 1) * step >= bins.size();
    const int64_t high = static_cast<int64_t>((i + 1) * step) * report.histogram_width - 1;
    out += fmt::format("  {:>11} {:>9}  {:#<{}}\n",
                       open ? fmt::format("{}+", low) : fmt::format("{}-{}", low, high),
                       grouped_digits(merged[i]), "", (merged[i] * 40 + top - 1) / top);
  }
}

void add_samples(std::string& out, const PrepareReport& report, int64_t shown) {
  const auto count =
      std::min(static_cast<size_t>(std::max<int64_t>(shown, 0)), report.samples.size());
  for (size_t i = 0; i < count; ++i) {
    const Sample& sample = report.samples[i];
    out += fmt::format("\nExample {} of {} at random ({}, {}, label {}{}), «what carries loss»:\n",
                       i + 1, report.samples.size(), sample.split, sample.source, sample.label,
                       sample.tokens > 0 ? fmt::format(", {} tokens", sample.tokens) : "");
    for (const SampleToken& piece : sample.pieces) {
      if (piece.cut) out += "[cut off:] ";
      out += piece.carries_loss ? "«" + piece.text + "»" : piece.text;
    }
    out += '\n';
  }
}

}  // namespace

std::string describe(const PrepareReport& report, int64_t shown) {
  std::string out;
  for (const auto& [path, form] : report.inputs)
    out += fmt::format("{}: {}, {}\n", path, form, find_form(form)->data);
  out += fmt::format("{} rows read, {} usable, in {}\n", grouped_digits(report.rows_read),
                     grouped_digits(report.rows_kept), duration_text(report.seconds));
  if (!report.dropped.empty()) out += "Left out:\n";
  add_faults(out, report);
  add_splits(out, report);
  if (report.excluded_questions > 0)
    out += fmt::format("Excluded files: {}; {} of them, or nearly so\n",
                       counted(report.excluded_questions, "question"),
                       report.excluded_rows == 0 ? "no row has one"
                       : report.excluded_rows == 1
                           ? "1 row has one"
                           : grouped_digits(report.excluded_rows) + " rows have one");
  if (report.alike_questions > 0)
    out += fmt::format(
        "Questions that are nearly the same as another one, kept in one split: {} (split by text, "
        "{} of valid and test would have one like them in train)\n",
        grouped_digits(report.alike_questions), grouped_digits(report.leaks_by_text));
  if (report.swapped_for_position > 0)
    out += fmt::format("Answers exchanged to balance the positions: {}\n",
                       grouped_digits(report.swapped_for_position));
  if (report.references_dropped > 0)
    out += fmt::format("References left out at random: {}\n",
                       grouped_digits(report.references_dropped));
  add_histogram(out, report);
  add_samples(out, report, shown);
  for (const std::string& warning : report.warnings) out += fmt::format("Warning: {}\n", warning);
  return out;
}

nlohmann::ordered_json to_json(const PrepareReport& report) {
  using Json = nlohmann::ordered_json;
  Json out = {{"inputs", Json::array()},       {"rows_read", report.rows_read},
              {"rows_kept", report.rows_kept}, {"left_out", Json::object()},
              {"splits", Json::object()},      {"warnings", report.warnings}};
  for (const auto& [path, form] : report.inputs)
    out["inputs"].push_back({{"path", path}, {"form", form}});
  for (const auto& [kind, fault] : report.dropped) {
    Json& kinds = out["left_out"][kind] = {{"rows", fault.count}};
    if (!fault.places.empty())
      kinds["first"] = {{"place", fault.places[0].first}, {"detail", fault.places[0].second}};
  }
  if (report.excluded_questions > 0)
    out["excluded"] = {{"questions", report.excluded_questions}, {"rows", report.excluded_rows}};
  static constexpr std::array<const char*, 3> kNames = {"train", "valid", "test"};
  for (size_t k = 0; k < 3; ++k) {
    const SplitReport& s = report.splits[k];
    Json& split = out["splits"][kNames[k]] = {{"rows", s.rows}, {"questions", s.questions}};
    for (size_t i = 0; i < s.labels.size(); ++i) split[report.classes[i]] = s.labels[i];
    for (size_t i = 0; i < s.sums.size() && s.rows > 0; ++i)
      split["mean_" + report.form.criteria[i].name] = s.sums[i] / static_cast<double>(s.rows);
    if (report.tokenized)
      split.update({{"tokens", s.tokens},
                    {"loss_tokens", s.loss_tokens},
                    {"longest", s.longest},
                    {"truncated", s.truncated}});
  }
  return out;
}

}  // namespace gavel
