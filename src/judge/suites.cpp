#include "judge/suites.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "data/raw_pairs.h"
#include "judge/eval_tables.h"
#include "judge/evaluate.h"
#include "judge/pairs.h"
#include "judge/score_metrics.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// LLMBar is a folder with a dataset.json in a folder for each subset.
std::vector<fs::path> files_of(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return {path};
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(path))
    if (entry.path().filename() == "dataset.json") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  if (files.empty()) fail("{} has no dataset.json in it", path.string());
  return files;
}

std::vector<JudgePair> pairs_of_file(const Suite& suite, const fs::path& file) {
  const FormFields form = form_of_file(file, {});
  // RM-Bench's files of one domain are named after it, and have RewardBench 2's fields.
  const bool by_name = std::string_view(suite.name) == "rm-bench" &&
                       std::string_view(form.form->name) == "rewardbench2";
  if (std::string_view(form.form->name) != suite.form && !by_name)
    fail("--suite {}: {} is not of the form {} but of {}", suite.name, file.string(), suite.form,
         form.form->name);
  // One of JudgeBench's pairs has the same answer twice; its authors count it.
  auto pairs = read_pairs(file, true, {}, true);
  const bool by_folder = std::string_view(suite.name) == "llmbar";
  for (JudgePair& pair : pairs)
    if (by_name)
      pair.category = file.stem().string().substr(0, file.stem().string().find('_'));
    else if (by_folder)
      pair.category = file.filename() == "dataset.json"
                          ? fs::absolute(file).parent_path().filename().string()
                          : file.stem().string();
  return pairs;
}

// The pairs of a row follow each other and have its line and question.
bool of_one_row(const JudgePair& x, const JudgePair& y) {
  return x.source_line == y.source_line && x.question == y.question;
}

std::vector<const SuiteRow*> sampled(const std::vector<SuiteRow>& rows,
                                     std::span<const uint32_t> sample) {
  std::vector<const SuiteRow*> out;
  for (const uint32_t i : sample) out.push_back(&rows[i]);
  return out;
}

// Each part of a judge with its interval; the rows are resampled.
std::vector<std::pair<std::string, Interval>> scores_of(const SuitePlace& place,
                                                        const SuiteData& data,
                                                        std::span<const Judgement> judgements,
                                                        const BootstrapOptions& options) {
  std::vector<SuiteRow> rows;
  for (const auto& places : place.rows) {
    SuiteRow& row = rows.emplace_back();
    for (const size_t i : places) row.push_back({&data.pairs[i], &judgements[i]});
  }
  std::vector<std::string> parts;
  const auto intervals =
      bootstrap_numbers(rows.size(), options, [&](std::span<const uint32_t> sample, int resample) {
        const SuiteScores scores = place.suite->score(sampled(rows, sample));
        std::vector<double> values;
        for (const auto& [part, value] : scores) {
          if (resample < 0) parts.push_back(part);
          values.push_back(value);
        }
        return values;
      });
  std::vector<std::pair<std::string, Interval>> out;
  for (size_t k = 0; k < parts.size(); ++k)
    if (!std::isnan(intervals[k].value)) out.emplace_back(parts[k], intervals[k]);
  return out;
}

std::string published_text(const std::string& suite, const std::string& part,
                           std::set<std::string>& sources) {
  std::string out;
  for (const PublishedScore& p : published_scores()) {
    if (suite != p.suite || part != p.part) continue;
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", p.judge, percent(p.value));
    sources.insert(p.source);
  }
  return out;
}

EvalTable suites_table(const Json& list) {
  TableRows rows = {{"suite", "part", "rows"}};
  std::set<std::string> sources;
  for (const Json& judge : list[0]["judges"])
    rows[0].push_back(judge["name"].get<std::string>() + " %");
  rows[0].emplace_back("published %");
  for (const Json& suite : list)
    for (const auto& [part, first] : suite["judges"][0]["parts"].items()) {
      std::vector<std::string> row = {suite["suite"], part, suite["rows"].dump()};
      for (const Json& judge : suite["judges"])
        row.push_back(judge["parts"].contains(part) ? percent_with_interval(judge["parts"][part])
                                                    : "-");
      row.push_back(published_text(suite["suite"], part, sources));
      rows.push_back(std::move(row));
    }
  std::string note;
  for (const std::string& source : sources)
    note +=
        (note.empty() ? "Published figures are their authors', by other prompts: " : "; ") + source;
  return {"Suites, as their papers score them", note, std::move(rows)};
}

}  // namespace

SuiteData read_suites(std::span<const SuiteRequest> requests, int64_t limit) {
  SuiteData data;
  for (const SuiteRequest& request : requests) {
    SuitePlace place{request.suite, {}};
    for (const fs::path& given : request.files)
      for (const fs::path& file : files_of(given)) {
        bool new_file = true;
        for (JudgePair& pair : pairs_of_file(*request.suite, file)) {
          const bool same_row = !new_file && of_one_row(data.pairs.back(), pair);
          if (!same_row && limit > 0 && static_cast<int64_t>(place.rows.size()) >= limit) break;
          if (!same_row) place.rows.emplace_back();
          place.rows.back().push_back(data.pairs.size());
          data.pairs.push_back(std::move(pair));
          new_file = false;
        }
      }
    data.suites.push_back(std::move(place));
  }
  return data;
}

void add_suites(Json& evaluation, std::span<const EvalResult> results, const SuiteData& data,
                const BootstrapOptions& options) {
  Json list = Json::array();
  for (const SuitePlace& place : data.suites) {
    Json judges = Json::array();
    for (const EvalResult& result : results) {
      Json parts = Json::object();
      for (const auto& [part, interval] : scores_of(place, data, result.set.judgements, options))
        parts[part] = interval_json(interval);
      judges.push_back({{"name", result.judge.name}, {"parts", std::move(parts)}});
    }
    list.push_back(
        {{"suite", place.suite->name}, {"rows", place.rows.size()}, {"judges", std::move(judges)}});
    if (list.back()["judges"][0]["parts"].empty())
      fail("--suite {}: its rows are of none of the suite's subsets", place.suite->name);
  }
  if (list.empty()) return;
  add_table(evaluation, suites_table(list));
  evaluation["suites"] = std::move(list);
}

}  // namespace gavel
