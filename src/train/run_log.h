// metrics.jsonl: what happened in a training run, one JSON object a line.
//   {"event":"config", ...}                         once, at the start
//   {"event":"resume","step":N,"iters":..}          at each resumption
//   {"event":"train","step":N,"loss":..,"lr":..,"tokens_per_second":..,"grad_norm":..,
//    "peak_memory_gb":..,"trained_tokens":..,"seconds_left":..}
//   {"event":"valid","step":N,"loss":..,"gap":..,"seconds":..}
//   {"event":"judged","step":N,"pairs":..,"figures":{..},"judgements":[..]}
//   {"event":"best","step":N,"valid_loss":..}
//   {"event":"end","step":N,"reason":"finished|early_stopped|interrupted"}
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json_fwd.hpp>

namespace gavel {

class RunLog {
 public:
  // Begins a new log, or, where resume_after is not negative, keeps the lines of an existing one up
  // to that step, and of validations up to valid_after: what came after is done again.
  RunLog(const std::filesystem::path& file, int64_t resume_after, int64_t valid_after);
  void write(const nlohmann::ordered_json& entry);  // one line, flushed

 private:
  std::ofstream out_;
};

}  // namespace gavel
