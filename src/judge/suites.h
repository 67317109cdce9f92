// The field's benchmarks of judges, read as they are published and scored as their papers score
// them (docs/judge.md says how each is).
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/judge_prompt.h"
#include "judge/metrics.h"

namespace gavel {

struct EvalResult;

// A judged pair of a suite.
struct SuitePair {
  const JudgePair* pair = nullptr;
  const Judgement* judgement = nullptr;
};
// The pairs that one row of the data makes, as one.
using SuiteRow = std::vector<SuitePair>;
// Values by part, in the order to be shown; shares from 0 to 1.
using SuiteScores = std::vector<std::pair<std::string, double>>;

struct Suite {
  const char* name;
  const char* form;  // of data/pair_forms.h
  // Data set of the hub and its splits with commas between; "" where it has none.
  const char* data_set;
  const char* splits;
  SuiteScores (*score)(std::span<const SuiteRow* const> rows);
};
std::span<const Suite> suites();
// Throws UsageError for another name, and says which there are.
const Suite& find_suite(std::string_view name);
// The items of "NAME=FILE,NAME,...". Files may have commas in their names (JudgeBench's do): a
// comma ends an item only where the name of a suite follows. Throws UsageError where the text does
// not begin with a suite.
std::vector<std::string> split_suites(std::string_view text);

// A part of what a suite's authors, or the source that is named, report of other judges.
struct PublishedScore {
  const char* suite;
  const char* part;
  const char* judge;
  double value;  // share
  const char* source;
};
std::span<const PublishedScore> published_scores();

// --- evaluating ----------------------------------------------------------------------------------

struct SuiteRequest {
  const Suite* suite = nullptr;
  std::vector<std::filesystem::path> files;  // of LLMBar also its folder
};
// Where a suite's pairs are, and which of them are of one row.
struct SuitePlace {
  const Suite* suite = nullptr;
  std::vector<std::vector<size_t>> rows;
};
struct SuiteData {
  std::vector<JudgePair> pairs;  // of all suites
  std::vector<SuitePlace> suites;
};
// The first `limit` rows of each (0: all). Throws Error where a file is of another form than the
// suite's, or has no pairs.
SuiteData read_suites(std::span<const SuiteRequest> requests, int64_t limit);

// `suites` of eval.json, and its table.
void add_suites(nlohmann::ordered_json& evaluation, std::span<const EvalResult> results,
                const SuiteData& data, const BootstrapOptions& options);

}  // namespace gavel
