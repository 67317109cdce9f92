// `gavel eval` as a library call: judges (the base model, adapters, checkpoints of a run) on the
// pairs of a file, measured and compared. What it writes into the output directory is described in
// docs/judge.md: judgements.jsonl, eval.json, and calibration.json beside the adapter.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "judge/calibration.h"
#include "judge/calibration_fit.h"
#include "judge/gate.h"
#include "judge/judge.h"
#include "judge/judgement_log.h"
#include "judge/metrics.h"
#include "judge/paraphrase.h"
#include "judge/probes.h"
#include "judge/score_metrics.h"
#include "judge/suites.h"
#include "ops/device.h"

namespace gavel {

// One column of the evaluation.
struct EvalJudge {
  std::string name;               // "base", "tuned", "step 500", or of several the directory's name
  std::filesystem::path adapter;  // empty: the base model
  std::optional<int64_t> step;    // of a checkpoint
  std::string model = {};         // an exported judge: a model of its own; "": the evaluation's
};

// The judges that the flags ask for: base first (unless without), then the adapters in the order
// given; with `all_checkpoints` every NNNNNNN_adapters.safetensors of each directory, by step.
// Names are unique. Throws Error for a path that is no adapter, and where there is no judge unless
// there `may_be_none`.
std::vector<EvalJudge> find_judges(const std::vector<std::string>& adapter_paths,
                                   bool all_checkpoints, bool with_base, bool may_be_none = false);

struct EvalRequest {
  std::string model;
  std::vector<std::string> adapter_paths;
  bool all_checkpoints = false, with_base = true;
  std::vector<std::string> exported;  // models that were made of a judge, as judges of their own
  std::string data;  // labelled pairs (or answers, as the template's form has it): a file, a folder
                     // with test.jsonl, or what `files` come from
  // The files of `data` and `calibrate`, where these are no files themselves; empty: they are.
  std::vector<std::filesystem::path> files, calibrate_files;
  std::vector<SuiteRequest> suites;  // instead of data
  std::string output;     // directory; "": the adapter's own where there is one, else "eval"
  std::string calibrate;  // validation pairs to fit calibrations on; "": none
  std::optional<CalibrationMethod> calibrate_with = CalibrationMethod::temperature;  // none: best
  std::optional<double> max_error;  // with `calibrate`: verdicts less sure go to people
  std::string cases;                // instead of data: known cases, an error where one flips
  std::string prompt_template;      // "": template_for()
  std::string chat_template;        // a Jinja file; "": the model's own
  int64_t limit = 0;                // only the first so many pairs; 0: all
  JudgeOptions options;
  bool mode_asked = false;  // options.mode was, and is no default
  JudgeForm form;           // the template's: run_evaluation sets it
  BootstrapOptions bootstrap;
  std::vector<const Probe*> probes;       // to ask each judge, about the pairs that it has right
  std::vector<Requirement> require;       // what each judge must reach, an error where one does not
  std::string junit;                      // file for their outcome as JUnit's XML; "": none
  std::optional<std::string> paraphrase;  // templates to judge by again, see find_paraphrases()
  std::string win_rates;  // pairs of models to compare, labelled or not; "": those of data
  std::vector<std::filesystem::path> win_rate_files;  // as `files`
  std::string family;                 // of models that the judge may favour; "": that of `model`
  std::vector<std::string> group_by;  // fields of the pairs to break the measures down by
  CostRates rates;
  int max_batch = 16;
  bool overwrite = false, json = false;
  DeviceOptions device;
};

// Runs it: progress to stderr, the table (or eval.json's content) to stdout. Throws Error, also
// where a known case flips or a requirement is not met. False: interrupted; it stopped after the
// running batch, and the same call without `overwrite` goes on (known cases begin anew).
bool run_evaluation(const EvalRequest& request, const std::function<bool()>& stop_requested);

// The template to judge with: `given`, or template.txt beside the adapter or the data, or
// the built-in one.
JudgeTemplate template_for(const std::string& given, const std::filesystem::path& adapter,
                           const std::filesystem::path& data);

// --- the parts, for tests and other commands -----------------------------------------------------

// A hash of the adapter's weights; "" for the base model. Of an exported model names, sizes and
// times of its files.
std::string weights_fingerprint(const EvalJudge& judge);

// All judgements of one judge, those of the log taken from there. `progress` gets the number of
// pairs done; nothing is returned where stop_requested said so.
struct JudgedSet {
  std::vector<Judgement> judgements;
  std::vector<double> wall;  // seconds: each pair's share of its batch's time
};
std::optional<JudgedSet> judge_all(const JudgeModel& model, const std::string& name,
                                   std::span<const JudgePair> pairs, const JudgeOptions& options,
                                   size_t pairs_at_once, JudgementLog& log,
                                   const std::function<void(int64_t done)>& progress,
                                   const std::function<bool()>& stop_requested);

// What is known of one judge at the end.
struct EvalResult {
  EvalJudge judge;
  JudgedSet set;
  std::optional<Calibration> calibration;
  std::vector<ProbeResult> probes;
  std::vector<CalibrationTrial> trials;  // where it was fitted now
  JudgedSet compared;                    // of the pairs for win rates, where there are such
  ParaphraseReport paraphrases;
};

// eval.json: metrics with intervals, classes, confusion, reliability, speed and cost of each judge,
// and every other judge compared with the first.
nlohmann::ordered_json evaluation_json(std::span<const EvalResult> results,
                                       const EvalRequest& request);
// How the people agree whose votes the pairs hold; null where they hold none.
nlohmann::ordered_json people_json(std::span<const JudgePair> pairs,
                                   const BootstrapOptions& options);
// The table of eval.json for the terminal.
std::string evaluation_table(const nlohmann::ordered_json& evaluation);

}  // namespace gavel
