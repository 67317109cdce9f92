#include "judge/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/random.h"
#include "data/dataset.h"
#include "generate/session.h"
#include "judge/eval_csv.h"
#include "judge/eval_groups.h"
#include "judge/eval_parts.h"
#include "judge/exported.h"
#include "judge/pairs.h"
#include "judge/reason.h"
#include "judge/selective.h"
#include "judge/win_rates.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

void say(const std::string& line) { fmt::print(stderr, "{}\n", line); }

// What judgements of one file have in common.
Json settings_of(const EvalRequest& r, const std::vector<JudgePair>& pairs,
                 const JudgeTemplate& prompt) {
  Json settings = {{"model", r.model},
                   {"pairs", fmt::format("{:016x}", pairs_fingerprint(pairs))},
                   {"template", fmt::format("{:016x}", stable_hash(prompt.source()))},
                   {"mode", mode_name(r.options.mode)},
                   {"second_order", r.options.second_order},
                   {"both_orders", r.options.both_orders},
                   {"max_tokens", r.options.max_tokens},
                   {"precision", kernels::precision_name(r.device.precision)}};
  if (!r.chat_template.empty()) settings["chat_template"] = chat_template_id(r.chat_template);
  return settings;
}

fs::path output_directory(const EvalRequest& r) {
  if (!r.output.empty()) return r.output;
  std::set<fs::path> directories;
  std::error_code ignored;
  for (const std::string& path : r.adapter_paths)
    directories.insert(fs::is_directory(path, ignored) ? fs::path(path)
                                                       : fs::path(path).parent_path());
  return directories.size() == 1 && !directories.begin()->empty() ? *directories.begin()
                                                                  : fs::path("eval");
}

// Of `files`, or where there are none of `path`.
std::vector<JudgePair> limited_pairs(const std::vector<fs::path>& files, const std::string& path,
                                     int64_t limit, const JudgeForm& form, bool labelled = true) {
  std::vector<JudgePair> pairs;
  for (const fs::path& file : files.empty() ? std::vector<fs::path>{path} : files) {
    auto more = read_pairs(file, labelled, form);
    pairs.insert(pairs.end(), std::make_move_iterator(more.begin()),
                 std::make_move_iterator(more.end()));
  }
  if (limit > 0 && static_cast<size_t>(limit) < pairs.size())
    pairs.resize(static_cast<size_t>(limit));
  return pairs;
}

// A judge under a probe, in the log of judgements.
std::string with_probe(const std::string& judge, const Probe& probe) {
  return fmt::format("{} ({})", judge, probe.name);
}

std::string with_paraphrase(const std::string& judge, const Paraphrase& paraphrase) {
  return fmt::format("{} ({})", judge, paraphrase.in_log);
}

// The known cases that a judge got wrong, one line each; returns their number.
int64_t print_flips(const EvalJudge& judge, const std::vector<JudgePair>& pairs,
                    const JudgedSet& set, const JudgeForm& form) {
  const auto parts = rated_parts(form);
  int64_t flips = 0;
  for (size_t i = 0; i < pairs.size(); ++i) {
    const Judgement& j = set.judgements[i];
    const bool rated = !j.ratings.empty();
    const bool same = is_right(j);
    flips += !same;
    fmt::print("{}  {}: case {}{}: expected {}, judged {}\n", same ? "ok  " : "FLIP", judge.name,
               pairs[i].source_line, pairs[i].id.empty() ? "" : " (" + pairs[i].id + ")",
               rated ? describe_ratings(parts, labels_of(j.ratings)) : to_string(j.label),
               rated ? describe_ratings(parts, values_of(j.ratings)) : to_string(j.verdict));
  }
  return flips;
}

// One file of pairs judged by all judges; nothing where it was interrupted.
class Evaluation {
 public:
  Evaluation(const EvalRequest& request, const std::function<bool()>& stop_requested)
      : request_(request), stop_(stop_requested), output_(output_directory(request)) {}

  bool run() {
    const bool is_cases = !request_.cases.empty();
    // Known cases test the user's judge, not the model that it was made of.
    const bool has_own = !request_.adapter_paths.empty() || !request_.exported.empty();
    auto judges =
        find_judges(request_.adapter_paths, request_.all_checkpoints,
                    request_.with_base && !(is_cases && has_own), !request_.exported.empty());
    const fs::path adapter = judges.empty() ? fs::path() : judges.back().adapter;
    add_exported(judges, request_.exported);
    std::string data = is_cases ? request_.cases : request_.data;
    if (fs::is_directory(data))
      data = find_split(data, "test").value_or(fs::path(data) / "test.jsonl").string();
    prompt_ = template_for(request_.prompt_template, adapter, data);
    request_.form = prompt_.form();
    request_.options = options_for(request_.form, request_.options, request_.mode_asked);
    check_form();
    suites_ = read_suites(request_.suites, request_.limit);
    const auto pairs = request_.suites.empty()
                           ? limited_pairs(request_.files, data, request_.limit, request_.form)
                           : suites_.pairs;
    const auto validation =
        request_.calibrate.empty()
            ? std::vector<JudgePair>()
            : limited_pairs(request_.calibrate_files, request_.calibrate, 0, request_.form);
    if (const std::string left_out = unread_fields(prompt_, pairs); !left_out.empty())
      say("Warning: " + left_out);
    if (!request_.win_rates.empty())
      compared_ =
          limited_pairs(request_.win_rate_files, request_.win_rates, 0, request_.form, false);
    for (const std::string& field : request_.group_by) groups_.push_back(groups_by(pairs, field));
    if (request_.paraphrase) paraphrases_ = find_paraphrases(*request_.paraphrase, prompt_);
    fs::create_directories(output_);
    session_ = load(request_.model);
    std::map<std::string, std::string> weights;
    for (const EvalJudge& judge : judges) {
      weights[judge.name] = weights_fingerprint(judge);
      for (const Probe* probe : request_.probes)
        weights[with_probe(judge.name, *probe)] = weights[judge.name];
      for (const Paraphrase& p : paraphrases_)
        weights[with_paraphrase(judge.name, p)] = weights[judge.name];
    }
    // Known cases are judged anew each time: they ask how the judge is now.
    JudgementLog log(output_ / (is_cases ? "cases.jsonl" : "judgements.jsonl"),
                     settings_of(request_, pairs, prompt_), weights, request_.overwrite || is_cases,
                     request_.form);
    std::optional<JudgementLog> validation_log;
    if (!validation.empty())
      validation_log.emplace(output_ / "calibration_judgements.jsonl",
                             settings_of(request_, validation, prompt_), weights,
                             request_.overwrite, request_.form);
    std::optional<JudgementLog> compared_log;
    if (!compared_.empty())
      compared_log.emplace(output_ / "win_rate_judgements.jsonl",
                           settings_of(request_, compared_, prompt_), weights, request_.overwrite,
                           request_.form);
    std::vector<EvalResult> results;
    int64_t flips = 0;
    for (const EvalJudge& judge : judges) {
      auto result = judge_one(judge, pairs, validation, log, validation_log, compared_log);
      if (!result) return false;
      if (is_cases) flips += print_flips(judge, pairs, result->set, request_.form);
      results.push_back(std::move(*result));
    }
    if (!is_cases) {
      write_for_people(results, pairs);
      finish(results, pairs);
      return true;
    }
    if (flips > 0) fail("{} of {} known cases flipped", flips, pairs.size() * judges.size());
    return true;
  }

 private:
  std::shared_ptr<Session> load(const std::string& model) const {
    say("Loading " + model);
    return open_session(model, make_backend(request_.device), request_.chat_template);
  }

  // What there is for pairs only, and measures that the form has not.
  void check_form() const {
    check_measures(request_.require, request_.form);
    if (request_.form.of_pairs()) return;
    const char* asked = !request_.suites.empty()      ? "--suite"
                        : !request_.win_rates.empty() ? "--win-rates"
                        : !request_.family.empty()    ? "--family"
                                                      : nullptr;
    if (asked != nullptr)
      throw UsageError(fmt::format("{} is for pairs, and the template judges one answer (form {})",
                                   asked, to_string(request_.form.kind)));
  }

  std::optional<EvalResult> judge_one(const EvalJudge& judge, const std::vector<JudgePair>& pairs,
                                      const std::vector<JudgePair>& validation, JudgementLog& log,
                                      std::optional<JudgementLog>& validation_log,
                                      std::optional<JudgementLog>& compared_log) {
    const auto session = judge.model.empty() ? session_ : load(judge.model);
    const auto lora = load_lora(*session, judge.adapter.string());
    const auto model = make_judge_model(session->model, lora ? &*lora : nullptr, session->encoder,
                                        prompt_, session->loaded.eos_token_ids, request_.max_batch);
    EvalResult result{judge, {}, {}, {}, {}, {}, {}};
    const JudgeOptions& options = request_.options;
    if (!judge.adapter.empty())
      result.calibration = load_calibration(judge.adapter, options.mode, options.both_orders);
    if (validation_log) {
      const auto set =
          judge_set(model, judge.name, judge.name + ", calibration", validation, *validation_log);
      if (!set) return std::nullopt;
      fit(*set, validation, result);
      if (!judge.adapter.empty())
        save_calibration(judge.adapter, options.mode, options.both_orders, *result.calibration);
    }
    auto set = judge_set(model, judge.name, judge.name, pairs, log);
    if (!set) return std::nullopt;
    result.set = std::move(*set);
    add_ties(result.set, result.calibration);
    if (compared_log) {
      auto more =
          judge_set(model, judge.name, judge.name + ", win rates", compared_, *compared_log);
      if (!more) return std::nullopt;
      result.compared = std::move(*more);
      add_ties(result.compared, result.calibration);
    }
    const auto right = probed_pairs(pairs, result.set.judgements);
    for (const Probe* probe : request_.probes) {
      std::vector<JudgePair> changed;
      for (const size_t i : right) changed.push_back(probed(pairs[i], *probe));
      const std::string name = with_probe(judge.name, *probe);
      auto after = judge_set(model, name, name, changed, log);
      if (!after) return std::nullopt;
      add_ties(*after, result.calibration);
      result.probes.push_back(measured(*probe, right, result.set, *after));
    }
    return paraphrase(model, pairs, log, result) ? std::optional(std::move(result)) : std::nullopt;
  }

  ProbeResult measured(const Probe& probe, const std::vector<size_t>& asked, const JudgedSet& all,
                       const JudgedSet& after) const {
    if (request_.form.of_pairs())
      return measure_probe(probe, after.judgements, request_.bootstrap.level);
    std::vector<Judgement> before;
    for (const size_t i : asked) before.push_back(all.judgements[i]);
    return measure_answer_probe(probe, rated_parts(request_.form), before, after.judgements,
                                request_.bootstrap);
  }

  bool paraphrase(const JudgeModel& model, const std::vector<JudgePair>& pairs, JudgementLog& log,
                  EvalResult& result) {
    std::vector<std::vector<Judgement>> after;
    for (const Paraphrase& p : paraphrases_) {
      JudgeModel reworded = model;
      reworded.prompt = p.prompt;
      const std::string name = with_paraphrase(result.judge.name, p);
      auto set = judge_set(reworded, name, result.judge.name + ", " + p.name, pairs, log);
      if (!set) return false;
      add_ties(*set, result.calibration);
      result.paraphrases.results.push_back(
          measure_paraphrase(p.name, result.set.judgements, set->judgements, request_.bootstrap));
      after.push_back(std::move(set->judgements));
    }
    if (!after.empty())
      result.paraphrases.by_all = same_by_all(result.set.judgements, after, request_.bootstrap);
    return true;
  }

  void fit(const JudgedSet& set, const std::vector<JudgePair>& validation,
           EvalResult& result) const {
    std::vector<std::string> questions;
    for (const JudgePair& pair : validation) questions.push_back(pair.question);
    const double level = request_.bootstrap.level;
    result.trials = calibration_trials(set.judgements, questions, request_.bootstrap.seed);
    result.calibration = fit_calibration(set.judgements, result.trials, request_.calibrate_with,
                                         request_.max_error, level);
    const std::string text = threshold_text(set.judgements, *result.calibration, level);
    if (!text.empty()) say(text);
  }

  static void add_ties(JudgedSet& set, const std::optional<Calibration>& calibration) {
    if (!calibration) return;
    for (Judgement& j : set.judgements) j = with_ties(j, *calibration);
  }

  std::optional<JudgedSet> judge_set(const JudgeModel& model, const std::string& name,
                                     const std::string& what, const std::vector<JudgePair>& pairs,
                                     JudgementLog& log) {
    int64_t before = 0;
    for (size_t i = 0; i < pairs.size(); ++i)
      before += log.find(name, static_cast<int64_t>(i)) != nullptr;
    Progress progress(what, static_cast<int64_t>(pairs.size()),
                      request_.form.of_pairs() ? "pairs" : "answers", before);
    auto set = judge_all(
        model, name, pairs, request_.options, static_cast<size_t>(std::max(request_.max_batch, 1)),
        log, [&](int64_t done) { progress.update(done); }, stop_);
    if (set) progress.finish();
    return set;
  }

  void finish(const std::vector<EvalResult>& results, const std::vector<JudgePair>& pairs) {
    Json evaluation = evaluation_json(results, request_);
    if (!groups_.empty())
      evaluation["groups"] = groups_json(results, groups_, request_.bootstrap, request_.form);
    if (Json people = request_.form.of_pairs()
                          ? people_json(pairs, request_.bootstrap)
                          : raters_json(pairs, request_.form, request_.bootstrap);
        !people.is_null())
      evaluation["people"] = std::move(people);
    add_suites(evaluation, results, suites_, request_.bootstrap);
    add_trust_tables(evaluation);
    if (request_.form.of_pairs())
      add_table(evaluation, exported_table(results, request_.bootstrap));
    add_table(evaluation, reasons_table(evaluation));
    add_table(evaluation, paraphrases_table(evaluation));
    add_table(evaluation, trials_table(evaluation));
    if (request_.form.of_pairs()) add_win_rates(evaluation, results, pairs, compared_, request_);
    write_file_atomic(output_ / "eval.json", evaluation.dump(2) + "\n");
    write_file_atomic(output_ / "eval.csv", evaluation_csv(evaluation));
    if (request_.json)
      fmt::print("{}\n", evaluation.dump(2));
    else
      fmt::print("{}{}{}", evaluation_table(evaluation), tables_text(evaluation),
                 groups_tables(evaluation));
    say(fmt::format(
        "Written: {}, eval.csv and judgements.jsonl beside it; gavel report {} shows them.",
        (output_ / "eval.json").string(), output_.string()));
    if (!request_.require.empty()) check_gate(evaluation);
  }

  // for_people.jsonl: the verdicts that are not sure enough, of every judge with a threshold.
  void write_for_people(const std::vector<EvalResult>& results,
                        const std::vector<JudgePair>& pairs) const {
    std::string lines;
    bool any = false;
    const auto file = output_ / "for_people.jsonl";
    for (const EvalResult& result : results) {
      if (!result.calibration || !result.calibration->threshold) continue;
      any = true;
      int64_t unsure = 0;
      for (size_t i = 0; i < pairs.size(); ++i) {
        const Judgement& j = result.set.judgements[i];
        const auto sure = calibrated_confidence(j, *result.calibration);
        if (!needs_a_person(result.calibration, sure)) continue;
        ++unsure;
        const JudgePair& p = pairs[i];
        Json line = {{"judge", result.judge.name},
                     {"id", p.id},
                     {"line", p.source_line},
                     {"question", p.question}};
        if (p.single) {
          line["answer"] = p.answer_a;
          line["verdict"] = describe_ratings(rated_parts(request_.form), values_of(j.ratings));
        } else {
          line["answer_a"] = p.answer_a;
          line["answer_b"] = p.answer_b;
          line["verdict"] = to_string(j.verdict);
        }
        line["confidence"] = sure ? Json(*sure) : Json();
        lines += line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
      }
      say(fmt::format("{}: {} of {} verdicts are for people: {}", result.judge.name, unsure,
                      pairs.size(), file.string()));
    }
    if (any) write_file_atomic(file, lines);
  }

  // Throws Error where a requirement is not met.
  void check_gate(const Json& evaluation) const {
    const auto results = check_requirements(evaluation, request_.require);
    if (!request_.junit.empty()) write_file_atomic(request_.junit, junit_xml(results));
    int64_t failed = 0;
    for (const GateResult& r : results) {
      failed += !r.passed;
      say(fmt::format("{}  {}: {} ({})", r.passed ? "ok  " : "FAIL", r.judge, r.requirement.text,
                      r.detail));
    }
    if (failed > 0) fail("{} of {} requirements are not met", failed, results.size());
  }

  EvalRequest request_;
  const std::function<bool()>& stop_;
  fs::path output_;
  JudgeTemplate prompt_ = JudgeTemplate::standard();
  std::shared_ptr<Session> session_;
  std::vector<PairGroups> groups_;
  std::vector<Paraphrase> paraphrases_;
  SuiteData suites_;
  std::vector<JudgePair> compared_;  // of models, for win rates
};

}  // namespace

bool run_evaluation(const EvalRequest& request, const std::function<bool()>& stop_requested) {
  return Evaluation(request, stop_requested).run();
}

}  // namespace gavel
