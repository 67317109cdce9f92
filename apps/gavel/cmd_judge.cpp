// gavel judge and gavel eval.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <sstream>

#include "base/error.h"
#include "base/interrupt.h"
#include "commands.h"
#include "data_sets.h"
#include "judge/best_of.h"
#include "judge/evaluate.h"
#include "judge/judge_stream.h"
#include "options.h"

namespace gavel {
namespace {

struct Modes {
  std::string mode = "reason";
  bool both_orders = false;
};

void add_judging_flags(CLI::App& c, JudgeOptions& options, Modes& modes) {
  c.add_option(
       "--mode", modes.mode,
       "reason: write the reasoning, then read the verdict; verdict: score A, B and tie (of "
       "one answer: the integers of the scale, or pass and fail) directly (a judge of the "
       "form rank scores each answer in its own way)")
      ->check(CLI::IsMember({"reason", "verdict"}))
      ->capture_default_str();
  c.add_flag("--both-orders", modes.both_orders,
             "judge in both orders and average them into one verdict");
  c.add_option("-m,--max-tokens", options.max_tokens, "most tokens of a written judgement")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

// Whether a mode was asked for is returned.
bool apply(const CLI::App& c, const Modes& modes, JudgeOptions& options) {
  options.mode = modes.mode == "verdict" ? JudgeMode::verdict : JudgeMode::reason;
  options.both_orders = modes.both_orders;
  return c.count("--mode") > 0;
}

void add_quality_flags(CLI::App& c, EvalRequest& r) {
  c.add_option("--bootstrap", r.bootstrap.resamples, "resamples of the intervals")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  c.add_option("--seed", r.bootstrap.seed, "seed of the resampling")->capture_default_str();
  c.add_option("--level", r.bootstrap.level, "of the intervals")
      ->check(CLI::Range(0.5, 0.9999))
      ->capture_default_str();
  c.add_option("--price-per-hour", r.rates.price_per_hour, "of the machine, for the cost column")
      ->check(CLI::NonNegativeNumber);
  auto* watts = c.add_option("--watts", r.rates.watts, "power the machine draws")
                    ->check(CLI::NonNegativeNumber);
  auto* kwh = c.add_option("--price-per-kwh", r.rates.price_per_kwh, "of electricity")
                  ->check(CLI::NonNegativeNumber);
  watts->needs(kwh);
  kwh->needs(watts);
}

// "NAME=FILE,NAME,...": files of one suite may be given one after the other.
std::vector<SuiteRequest> suite_requests(const std::string& text, const std::string& split,
                                         const CLI::Option& split_asked) {
  std::vector<SuiteRequest> requests;
  for (const std::string& item : split_suites(text)) {
    const size_t equals = item.find('=');
    const Suite& suite = find_suite(item.substr(0, equals));
    std::vector<std::filesystem::path> files;
    if (equals != std::string::npos) {
      const std::string name = item.substr(equals + 1);
      if (name.empty()) throw UsageError(fmt::format("--suite {}: there is no file", item));
      files = data_set_files(name, split).value_or(std::vector<std::filesystem::path>{name});
    } else {
      if (std::string_view(suite.data_set).empty())
        throw UsageError(fmt::format("--suite {0}: name its file: {0}=FILE", suite.name));
      std::istringstream splits(split_asked.count() > 0 ? split : suite.splits);
      for (std::string one; std::getline(splits, one, ',');) {
        const auto more = data_set_files(suite.data_set, one);
        if (more) files.insert(files.end(), more->begin(), more->end());
      }
    }
    const auto same = std::find_if(requests.begin(), requests.end(),
                                   [&](const SuiteRequest& r) { return r.suite == &suite; });
    if (same == requests.end())
      requests.push_back({&suite, std::move(files)});
    else
      same->files.insert(same->files.end(), files.begin(), files.end());
  }
  return requests;
}

}  // namespace

void add_eval_command(CLI::App& app) {
  auto* c = app.add_subcommand("eval", "measure how good a judge is: base, adapters, checkpoints");
  auto r = std::make_shared<EvalRequest>();
  auto modes = std::make_shared<Modes>();
  auto no_base = std::make_shared<bool>(false), one_order = std::make_shared<bool>(false);
  add_model_option(*c, r->model);
  c->add_option("--adapter-path", r->adapter_paths,
                "adapter directory or weights file (may be given several times)");
  c->add_flag("--all-checkpoints", r->all_checkpoints,
              "every checkpoint of each --adapter-path, by step");
  c->add_flag("--no-base", *no_base, "leave the base model out");
  auto* data = c->add_option("--data", r->data,
                             "labelled pairs (answers, where the template judges one): a directory "
                             "of gavel prepare (its test.jsonl), a file in any "
                             "form that prepare reads, or a data set of the hub: "
                             "org/name[:config][@revision]");
  auto split = std::make_shared<std::string>();
  auto* split_asked = add_split_name_option(*c, *split, "test");
  auto* cases = c->add_option(
      "--cases", r->cases,
      "known cases instead: labelled pairs; exit code 1 where a verdict is another (the "
      "base model is judged only where there is no --adapter-path)");
  cases->excludes(data);
  auto suite_names = std::make_shared<std::string>();
  auto* suite = c->add_option(
      "--suite", *suite_names,
      "benchmarks of judges instead, scored as their papers do: NAME=FILE,... with a file as it is "
      "published (LLMBar: its folder) or a data set of the hub; NAME alone for its own data set. "
      "Names: rewardbench, rewardbench2, judgebench, llmbar, rm-bench, pandalm, auto-j, "
      "mt-bench-human, judgelm");
  suite->type_name("NAME[=FILE],...")->excludes(data)->excludes(cases);
  c->add_option("--output", r->output,
                "directory for eval.json and judgements.jsonl (default: the adapter's)");
  auto* calibrate = c->add_option(
      "--calibrate", r->calibrate,
      "validation pairs (or answers) to fit a calibration of the probabilities on; it is stored "
      "with the adapter");
  auto with = std::make_shared<std::string>("temperature");
  c->add_option("--calibrate-with", *with,
                "temperature; platt or isotonic: maps of the confidence; best: the one of least "
                "NLL on held-out folds")
      ->check(CLI::IsMember({"temperature", "platt", "isotonic", "best"}))
      ->capture_default_str()
      ->needs(calibrate);
  c->add_option(
       "--max-error", r->max_error,
       "with --calibrate: fit, too, from which confidence on at most this share of verdicts is "
       "wrong (with probability --level); those less sure go to for_people.jsonl")
      ->check(CLI::Range(0.001, 0.999))
      ->needs(calibrate);
  c->add_option(
       "--exported", r->exported,
       "a model that was made of the judge (fused, converted, quantized; a directory or a "
       ".gguf file) as a judge of its own, beside the adapter (may be given several times)")
      ->type_name("MODEL");
  add_chat_template_option(*c, r->chat_template);
  c->add_option("--template", r->prompt_template,
                "judging prompt (default: template.txt beside the adapter or the data)");
  c->add_option("--limit", r->limit, "only the first so many pairs")->check(CLI::PositiveNumber);
  add_judging_flags(*c, r->options, *modes);
  c->add_flag("--one-order", *one_order,
              "do not judge with the answers exchanged: twice as fast, "
              "but consistency and bias stay unknown");
  add_quality_flags(*c, *r);
  auto asked = std::make_shared<std::string>();
  auto* probes = c->add_option(
      "--probes", *asked,
      "ask about the pairs judged rightly again, with the worse answer dressed up (of one answer, "
      "about those that are not the best): all, or some of padding, flattery, authority, "
      "instruction, markup, empty, echo");
  auto* groups =
      c->add_option("--group-by", r->group_by,
                    "the measures for each value of a field too: category, model, source, turn, "
                    "strength, annotator, or what else the pairs hold (several, with a comma "
                    "between)")
          ->delimiter(',')
          ->type_name("FIELD,...");
  groups->excludes(cases);
  auto rewordings = std::make_shared<std::string>();
  auto* paraphrase =
      c->add_option(
           "--paraphrase", *rewordings,
           "judge by other words of the template too, and say how many verdicts stay the "
           "same: two that are built in, or template files (several, with a comma between)")
          ->expected(0, 1)
          ->type_name("[FILE,...]");
  paraphrase->excludes(cases);
  auto* win_rates = c->add_option(
      "--win-rates", r->win_rates,
      "pairs that name two models, labelled or not: win rates of these, corrected for the errors "
      "that the judge makes on --data (default: the pairs of --data, where they name models)");
  win_rates->excludes(cases);
  c->add_option("--family", r->family,
                "models, by a part of their names, that the judge may favour (default: the first "
                "letters of --model's name)")
      ->excludes(cases);
  auto require = std::make_shared<std::string>();
  auto* gate =
      c->add_option("--require", *require,
                    "what each judge must reach, such as kappa>=0.6,ece<=0.1, by the end of the "
                    "interval that is the worse; exit code 1 where one does not");
  c->add_option("--junit", r->junit, "file for the outcome of --require as JUnit's XML")
      ->needs(gate);
  gate->excludes(cases);
  probes->excludes(cases);
  add_batch_option(*c, r->max_batch);
  c->add_flag("--overwrite", r->overwrite, "begin anew instead of going on with judgements.jsonl");
  add_inference_options(*c, r->device);
  add_json_flag(*c, r->json, "eval.json instead of the table");
  c->footer(
      "An interrupted evaluation goes on with the same command.\n"
      "Examples:\n"
      "  gavel eval --model M --adapter-path judge --data data/test.jsonl\n"
      "  gavel eval --model M --adapter-path judge --all-checkpoints --data data/test.jsonl \\\n"
      "    --mode verdict --calibrate data/valid.jsonl --both-orders\n"
      "  gavel eval --model M --adapter-path judge --suite "
      "judgebench,llmbar=LLMBar/Dataset/LLMBar\n"
      "  gavel eval --model M --adapter-path judge --cases known.jsonl\n"
      "  gavel eval --model M --adapter-path judge --data data/test.jsonl \\\n"
      "    --require 'agreement_balanced>=0.5,consistency>=0.9' --junit gate.xml");
  c->callback([=] {
    if (r->data.empty() && r->cases.empty() && suite_names->empty())
      throw UsageError("--data, --suite or --cases is needed");
    if (!suite_names->empty()) r->suites = suite_requests(*suite_names, *split, *split_asked);
    if (*one_order && modes->both_orders)
      throw UsageError("--one-order and --both-orders exclude each other");
    r->calibrate_with.reset();
    for (const CalibrationMethod method : kCalibrationMethods)
      if (*with == method_name(method)) r->calibrate_with = method;
    // Without a value CLI11 makes it "true".
    if (paraphrase->count() > 0) r->paraphrase = *rewordings == "true" ? "" : *rewordings;
    if (probes->count() > 0) r->probes = find_probes(*asked);
    if (!require->empty()) r->require = parse_requirements(*require);
    if (!r->win_rates.empty())
      r->win_rate_files = data_set_files_of(r->win_rates, *split, *split_asked);
    if (!r->data.empty()) r->files = data_set_files_of(r->data, *split, *split_asked);
    if (!r->suites.empty()) r->data = *suite_names;
    r->with_base = !*no_base;
    r->options.second_order = !*one_order;
    r->mode_asked = apply(*c, *modes, r->options);
    if (run_evaluation(*r, interrupted)) return;
    if (!r->cases.empty())
      std::fputs("Stopped. The same command begins anew.\n", stderr);
    else
      fmt::print(stderr, "Stopped. The same command{} goes on from here.\n",
                 r->overwrite ? " without --overwrite" : "");
  });
}

void add_judge_command(CLI::App& app) {
  auto* c =
      app.add_subcommand("judge", "judge one pair of answers, one answer, or a stream of them");
  auto r = std::make_shared<JudgeRequest>();
  auto modes = std::make_shared<Modes>();
  add_model_option(*c, r->model);
  c->add_option("--adapter-path", r->adapter_path, "the judge's adapter");
  auto* question = c->add_option("-q,--question", r->question, "the question");
  auto* a = c->add_option("-a,--answer-a,--answer", r->answer_a, "the first answer, or the one");
  auto* b = c->add_option("-b,--answer-b", r->answer_b, "the second answer");
  question->needs(a);
  a->needs(question);
  b->needs(question);
  c->add_option("--rubric", r->rubric, "what the answer is judged by, where the template uses it")
      ->needs(question);
  c->add_option("--reference", r->reference, "a reference answer")->needs(question);
  c->add_option("-i,--input", r->input,
                "pairs, in any form that prepare reads: a file, - for standard input, or a data "
                "set of the hub: org/name[:config][@revision]")
      ->excludes(question);
  auto split = std::make_shared<std::string>();
  auto* split_asked = add_split_name_option(*c, *split, "test");
  add_chat_template_option(*c, r->chat_template);
  c->add_option("--template", r->prompt_template,
                "judging prompt (default: template.txt beside the adapter)");
  add_judging_flags(*c, r->options, *modes);
  add_batch_option(*c, r->max_batch);
  add_json_flag(*c, r->json, "a JSON object for each pair");
  add_inference_options(*c, r->device);
  c->footer(
      "Examples:\n"
      "  gavel judge --model M --adapter-path judge -q 'What is the capital of France?' \\\n"
      "    -a 'Paris, a beautiful city on the Seine.' -b 'Paris.'\n"
      "  gavel judge --model M --adapter-path judge --both-orders --json -i - < pairs.jsonl");
  c->callback([=] {
    if (question->count() == 0 && r->input.empty())
      throw UsageError("give --question, --answer-a and --answer-b, or --input");
    r->has_b = b->count() > 0;
    r->mode_asked = apply(*c, *modes, r->options);
    r->options.second_order = modes->both_orders;
    if (!r->input.empty() && r->input != "-")
      r->files = data_set_files_of(r->input, *split, *split_asked);
    run_judge(*r, interrupted);
  });
}

void add_best_command(CLI::App& app) {
  auto* c = app.add_subcommand("best", "the best of several answers, or their order, by a judge");
  auto r = std::make_shared<BestRequest>();
  auto modes = std::make_shared<Modes>();
  add_model_option(*c, r->model);
  c->add_option("--adapter-path", r->adapter_path, "the judge's adapter");
  c->add_option(
       "-i,--input", r->input,
       "records {\"question\", \"answers\": [text, ...], \"reference\", \"id\"}: a file, or - for "
       "standard input")
      ->required();
  c->add_flag("--order", r->whole_order, "the whole order, not the best alone");
  add_chat_template_option(*c, r->chat_template);
  c->add_option("--template", r->prompt_template,
                "judging prompt (default: template.txt beside the adapter)");
  add_judging_flags(*c, r->options, *modes);
  add_batch_option(*c, r->max_batch);
  add_json_flag(*c, r->json, "a JSON object for each record; answers are counted from 0 there");
  add_inference_options(*c, r->device);
  c->footer(
      "A judge of pairs compares n - 1 times for the best of n (knock-out), about n log2 n times "
      "for\n"
      "the order (merge sort); of a tie the earlier answer stands. A judge of the form rank "
      "scores\n"
      "each answer once.\n"
      "Examples:\n"
      "  gavel best --model M --adapter-path judge --mode verdict --both-orders -i answers.jsonl\n"
      "  gavel best --model M --adapter-path judge --order --json -i - < answers.jsonl");
  c->callback([=] {
    r->mode_asked = apply(*c, *modes, r->options);
    r->options.second_order = modes->both_orders;
    run_best(*r, interrupted);
  });
}

}  // namespace gavel
