// judgements.jsonl: every judged pair of an evaluation, written as it goes, so that an interrupted
// one goes on where it stopped. The first line holds the settings, each other one a pair:
//
//   {"settings": {...}}
//   {"judge": "base", "weights": "", "index": 0, "id": "...", "question": "...", "answer_a": "...",
//    "answer_b": "...", "reference": "...", "label": "A", "verdict": "A", "confidence": 0.8,
//    "probabilities": [0.8, 0.2, 0.0], "prompt": "...", "text": "...", "verdict_ab": "A",
//    "verdict_ba": "B", "text_ba": "...", "tokens": 80, "seconds": 0.5, "wall": 0.1}
//
// Of one answer there are "answer" and, where there is one, "rubric"; label and verdict are texts
// ("4"; "accuracy 4, style 2"), and "ratings" has an entry a part: {"name": "score", "low": 1,
// "high": 5, "label": 4, "value": 3, "expected": 3.2, "probabilities": [...]}.
//
// Probabilities are the uncalibrated ones; where each answer is scored alone there are "scores"
// too, and the verdict is that of the greater one. `wall`: the pair's share of the time the batch
// took.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "judge/judge.h"

namespace gavel {

struct LoggedJudgement {
  Judgement judgement;
  double wall = 0;
};

class JudgementLog {
 public:
  // Opens the file, or begins it. Lines that are cut or no judgements, and those of judges whose
  // weights are others now (`weights`: fingerprint by judge), are dropped. Throws Error where the
  // settings are not those that the file was begun with, unless `overwrite`.
  JudgementLog(const std::filesystem::path& path, const nlohmann::ordered_json& settings,
               const std::map<std::string, std::string>& weights, bool overwrite, JudgeForm form);

  const LoggedJudgement* find(const std::string& judge, int64_t index) const;
  // Adds a line and flushes it.
  void append(const std::string& judge, int64_t index, const JudgePair& pair,
              const JudgedPair& judged, double wall);

 private:
  // Reads what is in the file; the good lines go to `copy` too. Returns how many others there are
  // (a missing settings line counts).
  int64_t recover(const nlohmann::ordered_json& settings, std::ostream* copy);

  std::filesystem::path path_;
  std::map<std::string, std::string> weights_;
  std::map<std::pair<std::string, int64_t>, LoggedJudgement> done_;
  std::ofstream out_;
  JudgeForm form_;
};

// A judged pair as such a line has it: id, texts, label, verdict, and what was written.
nlohmann::ordered_json judgement_json(const JudgePair& pair, const JudgedPair& judged,
                                      const JudgeForm& form);

// The judgement that the metrics are computed from.
Judgement to_judgement(const JudgePair& pair, const JudgedPair& judged);

}  // namespace gavel
