// What a training run leaves behind, read for the report: metrics.jsonl, one JSON object a line.
//
//   {"event":"config", ...settings...}
//   {"event":"train","step":10,"loss":1.6,"lr":1e-5,"tokens_per_second":113,"grad_norm":0.8,
//    "peak_memory_gb":1.2,"trained_tokens":5120,"seconds_left":80}
//   {"event":"valid","step":100,"loss":1.4,"gap":0.1}
//   {"event":"judged","step":100,"pairs":64,"figures":{"agreement":0.8},"judgements":[{...}]}
//   {"event":"best","step":100,"valid_loss":1.4}
//   {"event":"resume","step":120,"iters":400}
//   {"event":"end", ...}
//
// The reader is forgiving, since a log may have been cut or edited: lines that are not such objects
// are counted and left out, missing numbers are NaN, and where a resumed run repeats steps, what
// was written last holds.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "report/eval_log.h"

namespace gavel {

struct TrainPoint {
  int64_t step = 0;
  double loss = 0, lr = 0, tokens_per_second = 0, grad_norm = 0, peak_memory_gb = 0;
  double trained_tokens = 0;
  double seconds_left = 0;  // of the run, as it was thought then
};

struct ValidPoint {
  int64_t step = 0;
  double loss = 0;
  double gap = 0;     // validation loss minus train loss
  double metric = 0;  // the judge's own measure, where training watched one
};

// A pair, or one answer (answer_a), as it was judged at a validation.
struct TrialJudgement {
  std::string question, answer_a, answer_b, label;
  Opinion opinion;
  bool single = false;
};

// What the judge did at a validation.
struct TrialPoint {
  int64_t step = 0;
  int64_t pairs = 0;
  std::vector<std::pair<std::string, double>> figures;  // "agreement" and the like, finite
  std::vector<TrialJudgement> judgements;               // a few of them
};

struct RunHistory {
  std::string name;                // of the run's folder
  nlohmann::ordered_json config;   // of the last config event; an object, maybe empty
  std::vector<TrainPoint> train;   // by step
  std::vector<ValidPoint> valid;   // by step
  std::vector<TrialPoint> judged;  // by step
  int64_t iters = 0;               // that the run is to have; 0 where not known
  std::optional<nlohmann::ordered_json> end;
  std::optional<int64_t> best_step;  // what the training took for the best, by its own measure
  int64_t skipped_lines = 0;
};

// Of a run directory or of the file itself. Throws Error where there is no such file.
RunHistory read_run_history(const std::filesystem::path& path);

// A log that is being written. What was read of it stays read; a log that is replaced, as a run
// that is resumed does, or that became shorter, is read anew.
class RunLogFollower {
 public:
  // `file` need not be there yet. With `only_new` one that is there now is an older run's.
  explicit RunLogFollower(std::filesystem::path file, bool only_new = false);
  // Reads what was added; true where there was anything. A last line without its end waits for it.
  bool poll();
  // Takes such a line as it is.
  void finish();
  bool is_there() const { return file_id_.has_value(); }
  int64_t written() const { return written_; }  // when the last line came, in Unix seconds
  const RunHistory& history() const { return history_; }

 private:
  struct FileId {
    uint64_t device = 0, number = 0;
    bool operator==(const FileId&) const = default;
  };
  struct Look {
    FileId id;
    uint64_t size = 0;
    int64_t written = 0;
  };
  static std::optional<Look> look(const std::filesystem::path& file);
  void begin_anew();
  void take(std::string_view bytes);

  const std::filesystem::path file_;
  std::optional<FileId> ignored_, file_id_;
  uint64_t read_ = 0;
  int64_t written_ = 0;
  std::string pending_;
  bool skipping_ = false;  // a line too long to be one of ours
  RunHistory history_;
};

// The validation that the training took for the best, else the one of least loss; nothing where
// there is none.
std::optional<ValidPoint> best_point(const RunHistory& run);

// The step at which overfitting sets in: that of least validation loss, where at least three
// validations follow it, the last of them above it by more than 1% and by more than twice the
// loss's noise, while the train loss went on falling. Noise is the largest rise before that step,
// or fall behind it.
std::optional<int64_t> overfitting_onset(const RunHistory& run);

// obj[key] as a number; NaN where it is absent or something else.
double number_or_nan(const nlohmann::ordered_json& object, const char* key);
// obj[key] as text; "" where it is absent; other values as JSON.
std::string text_or_empty(const nlohmann::ordered_json& object, const char* key);

}  // namespace gavel
