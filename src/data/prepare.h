// From raw preference data to training files: read, checked, deduplicated, split by question,
// balanced, augmented, and written as {train,valid,test}.jsonl with a report of all that was done.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/judge_prompt.h"
#include "data/raw_pairs.h"

namespace gavel {

struct PrepareOptions {
  std::vector<std::filesystem::path> inputs;
  // What --mix calls them, where that is not the file's name without its endings: files of one data
  // set have its name. Empty, or as many as there are inputs.
  std::vector<std::string> names;
  std::filesystem::path output;  // the folder; made where it is missing
  RawOptions raw;
  std::filesystem::path template_file;  // empty: the standard judging template of `form`
  FormKind form = FormKind::pair;       // where no template says it
  std::string scale;                    // of the form score: "0..4"; empty: the template's own
  uint64_t seed = 0;
  std::array<double, 3> shares = {0.8, 0.1, 0.1};  // of the questions: train, valid, test
  bool deduplicate = true;
  bool drop_ties = false;
  bool swap_augment = false;       // train: each pair in both orders, one after the other
  bool use_reference = true;       // put reference answers into the prompt, where there are some
  double reference_drop = 0.0;     // train: share of the references that are left out at random
  bool balance_classes = false;    // train: at most as many pairs of a label as of the rarest one
  bool balance_positions = false;  // exchange answers so that A and B win equally often
  std::vector<std::filesystem::path>
      excluded;  // files whose questions are left out, and alike ones
  // Shares of the inputs in each split, by file name without its endings; rows of an input that has
  // more than its share are left out at random. Empty: all rows.
  std::map<std::string, double> mix;
  int64_t max_rows = -1;  // stop reading after so many rows; -1: all
  int64_t max_seq_length = 2048;
  int64_t samples = 20;  // examples to show
};

struct SplitReport {
  int64_t rows = 0;             // written
  int64_t questions = 0;        // different ones
  std::vector<int64_t> labels;  // by PrepareReport::classes
  std::vector<double> sums;     // of the scores, by criterion
  int64_t with_reference = 0, with_rubric = 0, with_reason = 0;
  // Under the model's tokenizer; 0 without one.
  int64_t tokens = 0, loss_tokens = 0, longest = 0;
  int64_t truncated = 0, without_targets = 0;
};

// One piece of an example's text, as the model sees it.
struct SampleToken {
  std::string text;
  bool carries_loss = false;
  bool cut = false;  // beyond max_seq_length: the model does not see it
};
struct Sample {
  std::string source;  // "file:line"
  std::string split, label;
  int64_t tokens = 0;  // 0: without a tokenizer, and `pieces` are whole texts
  std::vector<SampleToken> pieces;
};

struct PrepareReport {
  struct Input {
    std::string path, form;
  };
  std::vector<Input> inputs;
  JudgeForm form;
  std::vector<std::string> classes;  // label_classes(form)
  std::string template_name, model;
  uint64_t seed = 0;
  int64_t rows_read = 0, rows_kept = 0;
  std::map<std::string, FaultReport> dropped;  // by kind
  int64_t excluded_questions = 0;              // different ones of the excluded files
  int64_t excluded_rows = 0;                   // with one of them, or one that is nearly the same
  int64_t alike_questions = 0;  // nearly the same as another one, and so in the same split
  int64_t leaks_by_text = 0;    // of valid and test, which a split by text would have let through
  int64_t swapped_for_position = 0, references_dropped = 0;
  int64_t max_seq_length = 0;
  bool tokenized = false;
  std::array<SplitReport, 3> splits;      // train, valid, test
  std::vector<int64_t> length_histogram;  // examples by tokens, bins of histogram_width
  int64_t histogram_width = 0;
  std::vector<Sample> samples;
  std::vector<std::string> warnings;
  double seconds = 0.0;
};

// The template that the options ask for. Throws Error where its file cannot be read.
JudgeTemplate template_of(const PrepareOptions& options);
// Of the template's form: single answers are rows of their own where the judge is of one answer.
void set_answers(RawOptions& raw, const JudgeForm& form);

// Runs all of it. `encoder` may be null: then nothing is said of tokens. The output folder gets the
// split files (those with a share), template.txt, and nothing else; each is replaced atomically,
// and none where reading fails. The same inputs, options and seed give the same files. Memory is
// about 20 bytes a row (with an encoder 90) and 95 a question beyond a constant; tokens lie in the
// cache (data/token_cache.h) and are read from there by training. Throws Error where no usable
// row is left; UsageError for options that do not go together. `stop` is asked now and then whether
// to give up.
PrepareReport prepare(const PrepareOptions& options, const TextEncoder* encoder,
                      const std::function<bool()>& stop = {});

// The report for a terminal, with the first `shown` of its samples: what carries loss stands
// between « and », what is cut off after [cut off:].
std::string describe(const PrepareReport& report, int64_t shown = 0);

// The report's numbers as one JSON object: inputs with their forms, rows, what was left out,
// splits.
nlohmann::ordered_json to_json(const PrepareReport& report);

}  // namespace gavel
