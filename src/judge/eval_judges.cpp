// Which judges an evaluation is of, the template that they judge with, and their judgements.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "judge/evaluate.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;

// The step of a checkpoint's file name, NNNNNNN_adapters.safetensors.
std::optional<int64_t> step_of(const fs::path& file) {
  const std::string name = file.filename().string();
  const size_t digits = name.find_first_not_of("0123456789");
  if (digits == 0 || digits > 15 ||
      name.substr(std::min(digits, name.size())) != "_adapters.safetensors")
    return std::nullopt;
  return std::stoll(name.substr(0, digits));
}

fs::path weights_file(const fs::path& adapter) {
  std::error_code ignored;
  if (!fs::is_directory(adapter, ignored)) return adapter;
  for (const char* name : {"adapters.safetensors", "adapter_model.safetensors"})
    if (fs::exists(adapter / name, ignored)) return adapter / name;
  return adapter / "adapters.safetensors";
}

// Weights of gigabytes are not read for it.
std::string files_fingerprint(const fs::path& model) {
  std::vector<fs::path> files;
  if (fs::is_directory(model)) {
    for (const auto& entry : fs::directory_iterator(model))
      if (entry.is_regular_file()) files.push_back(entry.path());
  } else {
    files.push_back(model);
  }
  std::sort(files.begin(), files.end());
  std::string all = fs::absolute(model).lexically_normal().string();
  for (const fs::path& file : files)
    all += fmt::format("\n{} {} {}", file.filename().string(), fs::file_size(file),
                       fs::last_write_time(file).time_since_epoch().count());
  return fmt::format("{:016x}", stable_hash(all));
}

}  // namespace

std::string weights_fingerprint(const EvalJudge& judge) {
  if (!judge.model.empty()) return files_fingerprint(judge.model);
  if (judge.adapter.empty()) return "";
  const MappedFile file(weights_file(judge.adapter));
  const auto bytes = file.bytes();
  return fmt::format("{:016x}",
                     stable_hash({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
}

std::vector<EvalJudge> find_judges(const std::vector<std::string>& adapter_paths,
                                   bool all_checkpoints, bool with_base, bool may_be_none) {
  std::vector<EvalJudge> judges;
  if (with_base) judges.push_back({"base", {}, {}});
  std::error_code ignored;
  for (const std::string& given : adapter_paths) {
    const fs::path path = given;
    if (!fs::exists(path, ignored)) fail("there is no adapter at {}", given);
    const fs::path whole = fs::absolute(path).lexically_normal();
    const std::string folder = whole.filename().empty() ? whole.parent_path().filename().string()
                                                        : whole.filename().string();
    if (!fs::is_directory(path, ignored)) {
      const auto step = step_of(path);
      judges.push_back({step ? fmt::format("step {}", *step) : path.stem().string(), path, step});
      continue;
    }
    std::vector<EvalJudge> checkpoints;
    if (all_checkpoints)
      for (const auto& entry : fs::directory_iterator(path))
        if (const auto step = step_of(entry.path()))
          checkpoints.push_back({fmt::format("step {}", *step), entry.path(), step});
    std::sort(checkpoints.begin(), checkpoints.end(),
              [](const EvalJudge& x, const EvalJudge& y) { return x.step < y.step; });
    if (all_checkpoints && checkpoints.empty())
      fail("{} has no checkpoints (NNNNNNN_adapters.safetensors)", given);
    if (checkpoints.empty())
      checkpoints.push_back({adapter_paths.size() == 1 ? "tuned" : folder, path, {}});
    // The same step of two runs needs the run's name too.
    for (EvalJudge& judge : checkpoints) {
      if (all_checkpoints && adapter_paths.size() > 1) judge.name = folder + " " + judge.name;
      judges.push_back(std::move(judge));
    }
  }
  std::map<std::string, int> names;
  for (EvalJudge& judge : judges)
    if (const int seen = names[judge.name]++; seen > 0)
      judge.name += fmt::format(" ({})", seen + 1);
  if (judges.empty() && !may_be_none)
    fail("there is no judge: give --adapter-path, or leave out --no-base");
  return judges;
}

JudgeTemplate template_for(const std::string& given, const fs::path& adapter,
                           const fs::path& data) {
  if (!given.empty()) return JudgeTemplate::from_file(given);
  std::error_code ignored;
  std::vector<fs::path> places;
  if (!adapter.empty()) {
    const bool is_directory = fs::is_directory(adapter, ignored);
    places.push_back(is_directory ? adapter : adapter.parent_path());
    // The best adapter lies in a folder of its own within the run's.
    if (is_directory && fs::absolute(adapter).lexically_normal().filename() == "best")
      places.push_back(adapter / "..");
  }
  if (!data.empty()) places.push_back(data.parent_path());
  for (const fs::path& place : places)
    if (fs::exists(place / "template.txt", ignored))
      return JudgeTemplate::from_file(place / "template.txt");
  return JudgeTemplate::standard();
}

std::optional<JudgedSet> judge_all(const JudgeModel& model, const std::string& name,
                                   std::span<const JudgePair> pairs, const JudgeOptions& options,
                                   size_t pairs_at_once, JudgementLog& log,
                                   const std::function<void(int64_t done)>& progress,
                                   const std::function<bool()>& stop_requested) {
  std::vector<size_t> missing;
  for (size_t i = 0; i < pairs.size(); ++i)
    if (!log.find(name, static_cast<int64_t>(i))) missing.push_back(i);
  if (missing.size() < pairs.size() && !missing.empty())
    fmt::print(stderr, "{}: {} of {} {} are judged already\n", name, pairs.size() - missing.size(),
               pairs.size(), pairs[0].single ? "answers" : "pairs");
  size_t not_judged = 0;
  std::string first;  // why not
  for (size_t begin = 0; begin < missing.size();) {
    if (stop_requested && stop_requested()) return std::nullopt;
    const size_t end = std::min(missing.size(), begin + std::max<size_t>(pairs_at_once, 1));
    std::vector<JudgePair> batch;
    for (size_t i = begin; i < end; ++i) batch.push_back(pairs[missing[i]]);
    const auto start = std::chrono::steady_clock::now();
    const auto judged = judge_pairs(model, batch, options);
    const double wall =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    for (size_t i = begin; i < end; ++i) {
      const JudgedPair& done = judged[i - begin];
      log.append(name, static_cast<int64_t>(missing[i]), pairs[missing[i]], done,
                 wall / static_cast<double>(end - begin));
      if (!done.first.problem.empty() && not_judged++ == 0)
        first = fmt::format("line {}: {}", pairs[missing[i]].source_line, done.first.problem);
    }
    begin = end;
    if (progress) progress(static_cast<int64_t>(pairs.size() - missing.size() + begin));
  }
  if (not_judged > 0)
    fmt::print(stderr, "{}: {} of {} {} could not be judged, which counts as unreadable; {}{}\n",
               name, not_judged, pairs.size(), pairs[0].single ? "answers" : "pairs",
               not_judged > 1 ? "the first, " : "", first);
  JudgedSet set;
  for (size_t i = 0; i < pairs.size(); ++i) {
    const LoggedJudgement* logged = log.find(name, static_cast<int64_t>(i));
    set.judgements.push_back(logged->judgement);
    set.wall.push_back(logged->wall);
  }
  return set;
}

}  // namespace gavel
