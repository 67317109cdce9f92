// A first look at a file of preference data: its form, how some rows are read, who wins. Writes
// nothing.
#pragma once

#include <array>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "data/raw_pairs.h"

namespace gavel {

struct LookReport {
  std::string path;
  const PairForm* form = nullptr;
  int64_t rows = 0, usable = 0;
  std::map<std::string, std::pair<int64_t, std::string>> faults;  // by kind: how many, the first
  JudgeForm judged;                  // pairs, or what single answers are read for
  std::vector<std::string> classes;  // label_classes(judged)
  std::vector<int64_t> labels;       // by class
  std::vector<double> sums;          // of the scores, by criterion
  int64_t questions = 0;             // different ones
  int64_t alike = 0;                 // of these, those that are nearly the same as another one
  int64_t duplicates = 0;            // pairs that came before, in either order
  int64_t contradictions = 0;        // of these, those with another label
  int64_t longer_won = 0, shorter_won = 0;  // decided pairs with answers of different lengths
  int64_t with_reason = 0, with_reference = 0;
  std::array<double, 2> mean_bytes = {};      // of a question, of an answer
  std::array<int64_t, 2> longest_bytes = {};  // the same
  std::map<std::string, int64_t> categories;  // at most 1000 different ones
  std::map<std::string, int64_t> languages;   // of the questions (data/languages.h)
  std::vector<JudgePair> shown;               // the first of them
};

// Reads the file once. Throws as PairReader does. `stop` is asked now and then whether to give up.
LookReport look_at(const std::filesystem::path& path, const RawOptions& options, int64_t max_rows,
                   const std::function<bool()>& stop = {});

std::string describe(const LookReport& report);
nlohmann::ordered_json to_json(const LookReport& report);

}  // namespace gavel
