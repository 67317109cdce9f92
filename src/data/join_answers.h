// Single answers made pairs: those to the same question are joined, whatever files they are in
// (one file a model, as AlpacaEval and MT-bench have them; scored answers one after another, as
// HelpSteer2 and KTO have them).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "data/pair_reading.h"

namespace gavel {

struct JoinReport {
  int64_t answers = 0, questions = 0, pairs = 0;
  int64_t alone = 0;                          // questions with one answer, of which no pair is made
  bool labelled = false;                      // the answers have scores
  std::vector<std::string> forms;             // of the files
  std::map<std::string, FaultReport> faults;  // by kind
};

// Whether the files hold single answers: all of them or none, else that is an Error.
bool hold_single_answers(const std::vector<std::filesystem::path>& files,
                         const RawOptions& options);

// Writes the pairs as records of the form "pairs", questions in the order in which they first come.
// What was read lies in a file beside `out` meanwhile; memory is some 40 bytes an answer. Throws
// Error where no pair can be made, and for more than 64 answers to one question. `stop` is asked
// now and then whether to give up.
JoinReport join_answers(const std::vector<std::filesystem::path>& files, const RawOptions& options,
                        const std::filesystem::path& out, const std::function<bool()>& stop = {});

std::string describe(const JoinReport& report);

}  // namespace gavel
