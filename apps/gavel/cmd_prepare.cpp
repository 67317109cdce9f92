// gavel prepare: from raw preference data to training files.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "commands.h"
#include "data/input_files.h"
#include "data/join_answers.h"
#include "data/look.h"
#include "data/prepare.h"
#include "data_sets.h"
#include "hub/hub.h"
#include "model/encoder.h"
#include "options.h"
#include "report/data_report.h"

namespace gavel {
namespace {

struct Arguments {
  PrepareOptions options;
  std::string format = "auto", split_votes = "drop", ties = "keep", reference = "keep",
              pairs = "all";
  std::vector<double> shares;
  std::vector<std::string> mix;
  std::string model, chat_template, report, split_name, form = "pair";
  CLI::Option* split_asked = nullptr;
  int64_t shown = 1;
  bool json = false, look = false;
};

void add_input_flags(CLI::App& c, Arguments& a) {
  c.add_option(
       "-i,--input,input", a.options.inputs,
       "files of preference data (.jsonl, .json, .csv, .tsv; each may be packed: .gz, .xz, .zst, "
       ".zip; .parquet, .arrow), patterns of names, - for standard input, or a data set of the "
       "hub: "
       "org/name[:config][@revision]")
      ->required();
  c.add_option("-o,--output", a.options.output, "folder for train.jsonl, valid.jsonl, test.jsonl");
  c.add_flag("--look", a.look,
             "only look: print the form, three rows as they are read, and who wins; write nothing");
  a.split_asked = add_split_name_option(c, a.split_name, "train");
  std::vector<std::string> formats = {"auto"};
  for (const PairForm& form : pair_forms()) formats.push_back(form.name);
  c.add_option("--format", a.format, "auto (by the fields), or a form's name")
      ->check(CLI::IsMember(formats))
      ->capture_default_str();
  c.add_option(
       "--field", a.options.raw.field_mappings,
       "NAME=FIELD: what a field is called in the file. NAME: question, input, answer_a, "
       "answer_b, label, scores, score_a, score_b, votes, reason, reference, id, category, "
       "model_a, model_b, system, chosen, rejected, answers; of single answers answer, score, "
       "pass, rubric, scores.NAME (of a criterion), ...")
      ->type_name("NAME=FIELD");
  c.add_option("--label-map,--label", a.options.raw.label_meanings,
               "VALUE=A, VALUE=B or VALUE=tie, several with a comma between: what labels stand for "
               "that could mean more than one thing, such as 0 and 1")
      ->delimiter(',')
      ->type_name("VALUE=LABEL,...");
  c.add_option("--pairs", a.pairs, "of a list of ranked answers: all pairs, or neighbours only")
      ->check(CLI::IsMember({"all", "neighbours"}))
      ->capture_default_str();
  c.add_option("--max-score", a.options.raw.max_score,
               "judgelm: the greatest score there is; rows with others are left out")
      ->capture_default_str();
  c.add_option("--max-rows", a.options.max_rows, "stop after so many rows; -1: all")
      ->capture_default_str();
  c.add_option("--max-text-bytes", a.options.raw.max_text_bytes,
               "leave out rows with a longer question, answer, reason or reference")
      ->capture_default_str();
}

void add_choice_flags(CLI::App& c, Arguments& a) {
  c.add_option("--split", a.shares, "shares of the questions: train,valid,test")
      ->delimiter(',')
      ->expected(3)
      ->default_str("0.8,0.1,0.1");
  c.add_option("--seed", a.options.seed, "seed of the split and of every random choice")
      ->capture_default_str();
  c.add_option("--exclude", a.options.excluded,
               "leave out questions that are in this file of pairs, or nearly: benchmarks, say")
      ->type_name("FILE");
  c.add_option("--mix", a.mix,
               "shares of the inputs in each split, by file name without endings; what is over is "
               "left out at random")
      ->delimiter(',')
      ->type_name("NAME=SHARE,...");
  c.add_flag("!--keep-duplicates", a.options.deduplicate, "keep pairs that come twice");
  c.add_option("--ties", a.ties, "keep or drop")
      ->check(CLI::IsMember({"keep", "drop"}))
      ->capture_default_str();
  c.add_option("--split-votes", a.split_votes, "annotators without a majority: drop, or tie")
      ->check(CLI::IsMember({"drop", "tie"}))
      ->capture_default_str();
  c.add_flag("--balance-classes", a.options.balance_classes,
             "in train: no more pairs of a label than of the rarest");
  c.add_flag("--balance-positions", a.options.balance_positions,
             "exchange answers at random so that A and B win equally often");
  c.add_flag("--swap-augment", a.options.swap_augment, "in train: each pair in both orders");
  c.add_option("--reference", a.reference, "reference answers: keep in the prompt, or drop")
      ->check(CLI::IsMember({"keep", "drop"}))
      ->capture_default_str();
  c.add_option("--reference-drop", a.options.reference_drop,
               "in train: share of the references left out at random, 0 to 1")
      ->capture_default_str();
}

void add_output_flags(CLI::App& c, Arguments& a) {
  auto* file = c.add_option("--template", a.options.template_file,
                            "judging template; the same file goes to eval, judge and serve");
  c.add_option(
       "--form", a.form,
       "what is judged, with a built-in template: pair (both answers in one prompt), rank (each "
       "alone, by a score that is learned from pairs), score (one answer, 1 to 5) or pass (one "
       "answer, pass or fail)")
      ->check(CLI::IsMember({"pair", "rank", "score", "pass"}))
      ->excludes(file)
      ->capture_default_str();
  c.add_option("--scale", a.options.scale, "of --form score: another scale than 1..5")
      ->type_name("LOW..HIGH");
  c.add_option("--model", a.model, "count tokens as this model's tokenizer and template do");
  add_chat_template_option(c, a.chat_template);
  c.add_option("--max-seq-length", a.options.max_seq_length,
               "count the examples that training would cut at it, in tokens")
      ->capture_default_str();
  c.add_option("--samples", a.options.samples, "examples to show in the HTML report")
      ->capture_default_str();
  c.add_option("--show", a.shown, "of these, so many on the terminal too")->capture_default_str();
  c.add_flag("--json", a.json, "print what was done as JSON");
  c.add_option("--report", a.report, "HTML report (default: report.html in the output folder)");
}

void print_json(const nlohmann::ordered_json& json) {
  std::printf("%s\n",
              json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
}

// Single answers become pairs: the inputs are then the file of these. False where they have no
// scores, so that the pairs, written to the output folder, are to be judged and not to be learned.
bool join(Arguments& a, InputFiles& files, std::optional<JoinReport>& joined) {
  if (a.options.raw.answers || !hold_single_answers(a.options.inputs, a.options.raw)) return true;
  const std::filesystem::path pairs = files.temporary("answers.jsonl");
  joined = join_answers(a.options.inputs, a.options.raw, pairs, interrupted);
  a.options.inputs = {pairs};
  a.options.names.clear();
  a.options.raw.form = nullptr;
  a.options.raw.field_mappings.clear();
  if (joined->labelled) return true;
  std::fputs(describe(*joined).c_str(), stdout);
  if (a.look) return false;
  if (a.options.output.empty()) throw UsageError("--output: the folder to write to is needed");
  std::filesystem::create_directories(a.options.output);
  const std::filesystem::path out = a.options.output / "pairs.jsonl";
  write_file_atomic(out, [&](std::ostream& to) { to << std::ifstream(pairs).rdbuf(); });
  std::printf("The answers have no scores, so the pairs are without labels: %s, for gavel judge\n",
              out.c_str());
  return false;
}

// `given`: the files as they were named; where single answers were joined, that is what is shown.
void look(const Arguments& a, const std::vector<std::filesystem::path>& given,
          const std::optional<JoinReport>& joined) {
  auto all = nlohmann::ordered_json::array();
  for (const auto& input : a.options.inputs) {
    LookReport report = look_at(input, a.options.raw, a.options.max_rows, interrupted);
    if (joined) {
      report.path = shown_name(given[0], a.options.raw);
      report.form = find_form(joined->forms[0]);
      if (!a.json) std::fputs(describe(*joined).c_str(), stdout);
    }
    if (a.json)
      all.push_back(to_json(report));
    else
      std::fputs(describe(report).c_str(), stdout);
  }
  if (a.json) print_json(all.size() == 1 ? all[0] : all);
}

std::map<std::string, double> shares_of(const std::vector<std::string>& mix) {
  std::map<std::string, double> shares;
  for (const std::string& part : mix) {
    const size_t equals = part.rfind('=');
    char* end = nullptr;
    const std::string number = equals == std::string::npos ? "" : part.substr(equals + 1);
    const double share = std::strtod(number.c_str(), &end);
    if (number.empty() || *end != '\0' || !shares.emplace(part.substr(0, equals), share).second)
      throw UsageError(fmt::format("--mix {}: it must be NAME=SHARE, each name once", part));
  }
  return shares;
}

void run(Arguments& a) {
  InputFiles files(a.options.inputs,
                   [&](const std::string& name) { return data_set_files(name, a.split_name); });
  a.options.inputs = files.paths();
  a.options.names = files.resolved_names();
  if (a.split_asked->count() > 0 && a.options.names.empty())
    throw UsageError("--split-name is for a data set of the hub, and no input is one");
  a.options.mix = shares_of(a.mix);
  a.options.raw.form = find_form(a.format);
  a.options.raw.neighbours_only = a.pairs == "neighbours";
  a.options.raw.seed = a.options.seed;
  a.options.raw.standard_input = files.standard_input();
  a.options.raw.split_votes_tie = a.split_votes == "tie";
  a.options.drop_ties = a.ties == "drop";
  a.options.use_reference = a.reference == "keep";
  for (const FormKind kind : {FormKind::pair, FormKind::rank, FormKind::score, FormKind::pass})
    if (a.form == to_string(kind)) a.options.form = kind;
  set_answers(a.options.raw, template_of(a.options).form());
  for (size_t i = 0; i < a.shares.size(); ++i) a.options.shares[i] = a.shares[i];
  FieldNames names = field_names(plain_pairs(), a.options.raw.answers);
  for (const std::string& mapping : a.options.raw.field_mappings) map_field(names, mapping);
  LabelMeanings meanings;
  for (const std::string& meaning : a.options.raw.label_meanings) add_meaning(meanings, meaning);
  std::optional<JoinReport> joined;
  if (!join(a, files, joined)) return;
  if (a.look) return look(a, files.paths(), joined);
  if (a.options.output.empty()) throw UsageError("--output: the folder to write to is needed");

  std::optional<TextEncoder> encoder;
  if (!a.chat_template.empty() && a.model.empty())
    throw UsageError("--chat-template needs --model, whose tokens are counted");
  if (!a.model.empty()) encoder = make_encoder(load_model(resolve_model(a.model)), a.chat_template);
  PrepareReport report = prepare(a.options, encoder ? &*encoder : nullptr, interrupted);
  report.model = a.model;
  if (joined) {
    report.inputs.clear();
    for (size_t i = 0; i < files.paths().size(); ++i)
      report.inputs.push_back({shown_name(files.paths()[i], a.options.raw), joined->forms[i]});
    for (const auto& [kind, fault] : joined->faults) {
      FaultReport& all = report.dropped[kind];
      all.count += fault.count;
      all.places.insert(all.places.begin(), fault.places.begin(), fault.places.end());
    }
    std::fputs(describe(*joined).c_str(), stderr);
  }
  const std::filesystem::path html =
      a.report.empty() ? a.options.output / "report.html" : std::filesystem::path(a.report);
  write_file_atomic(html, data_report_html(report));
  if (a.json) {
    nlohmann::ordered_json out = to_json(report);
    out["output"] = a.options.output.string();
    out["report"] = html.string();
    print_json(out);
    return;
  }
  std::fputs(describe(report, a.shown).c_str(), stdout);
  std::printf("\nWritten to %s; the report is %s\n", a.options.output.c_str(), html.c_str());
}

}  // namespace

void add_prepare_command(CLI::App& app) {
  auto* c = app.add_subcommand("prepare", "make training files from preference data");
  auto a = std::make_shared<Arguments>();
  add_input_flags(*c, *a);
  add_choice_flags(*c, *a);
  add_output_flags(*c, *a);
  c->footer(
      "Reads preference data in the forms in which it is published (docs/data.md lists them),\n"
      "told by their fields, and plain pairs: question, answer_a, answer_b, label (A, B or tie)\n"
      "or score_a and score_b, and optionally reason and reference. Rows that are at fault are\n"
      "reported with their line and left out.\n\n"
      "Examples:\n"
      "  gavel prepare judgelm_train_100k.jsonl -o data --model M --swap-augment\n"
      "  gavel prepare pandalm.json -o data --ties drop --balance-positions --seed 1\n"
      "  gavel prepare pairs.csv -o data --field question=Task --field answer_a=Left \\\n"
      "    --field answer_b=Right --field label=Better --label-map '1=A,2=B'\n"
      "  gavel prepare --look FILE                                what is in it?\n"
      "  gavel prepare HuggingFaceH4/ultrafeedback_binarized --split-name train_prefs -o data\n"
      "  gavel prepare gpt.json llama.json -o data     answers of two models, pairs to be judged\n"
      "  gavel prepare scored.jsonl -o data --form score          a judge of one answer, 1 to 5\n"
      "  gavel prepare known.jsonl -o held-out --split 0,0,1      a test set alone");
  c->callback([a] { run(*a); });
}

}  // namespace gavel
