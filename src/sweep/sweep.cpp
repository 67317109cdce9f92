#include "sweep/sweep.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "data/dataset.h"
#include "generate/session.h"
#include "judge/answer_metrics.h"
#include "judge/evaluate.h"
#include "judge/pairs.h"
#include "train/run.h"
#include "train/settings.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

void say(const std::string& line) { fmt::print(stderr, "{}\n", line); }

LoraConfig lora_of(const SweepPoint& point) {
  LoraConfig lora;
  lora.rank = point.rank;
  lora.scale = static_cast<float>(point.alpha / point.rank);
  lora.num_layers = point.num_layers;
  lora.targets = parse_targets(point.targets);
  return lora;
}

class Sweep {
 public:
  Sweep(const SweepRequest& request, const std::function<bool()>& stop)
      : request_(request), stop_(stop) {}

  void run() {
    for (const SweepPoint& point : request_.points) lora_of(point);  // errors before any work
    const auto names = point_names(request_.points);
    say("Loading " + request_.model);
    session_ = open_session(request_.model, make_backend(request_.device), request_.chat_template);
    load_data();
    const fs::path output = request_.output, record = output / "sweep.jsonl";
    fs::create_directories(output);
    const Json shared = shared_json();
    auto done = read_results(record, request_.points, names, shared);
    drop_cut_line(record);
    std::ofstream out(record, std::ios::app | std::ios::binary);
    if (!out) fail("cannot write {}", record.string());
    std::vector<SweepResult> results;
    for (size_t i = 0; i < names.size(); ++i) {
      if (const auto it = done.find(names[i]); it != done.end()) {
        say(fmt::format("[{}/{}] {}: done before", i + 1, names.size(), names[i]));
        results.push_back(it->second);
        continue;
      }
      say(fmt::format("[{}/{}] {}", i + 1, names.size(), names[i]));
      const auto result = train_one(request_.points[i], names[i], output / names[i], shared);
      if (!result) return say("Stopped. The same command goes on where this one ended.");
      out << result_json(*result, request_.points[i], shared).dump() << "\n";
      out.flush();
      if (!out) fail("cannot write {}: is the disk full?", record.string());
      results.push_back(*result);
    }
    if (request_.json)
      for (size_t i = 0; i < results.size(); ++i)
        fmt::print("{}\n", result_json(results[i], request_.points[i], shared).dump());
    else
      fmt::print("{}", results_table(results));
    say(fmt::format("gavel report {} shows the sweep.", output.string()));
  }

 private:
  // What all runs have in common; a result under other settings does not count.
  Json shared_json() const {
    const SweepRequest& r = request_;
    Json shared = run_json(session_->model, *train_set_, r.config);
    for (const char* of_a_point : {"learning_rate", "seed"}) shared.erase(of_a_point);
    shared.update({{"iters", r.config.iters},
                   {"steps_per_eval", r.config.steps_per_eval},
                   {"val_batches", r.config.val_batches},
                   {"valid_data_hash", valid_set_ ? hash_of(*valid_set_) : 0},
                   {"early_stop_patience", r.config.early_stop_patience}});
    if (pairs_.empty()) return shared;
    shared.update({{"eval_pairs_hash", pairs_fingerprint(pairs_)},
                   {"template_hash", stable_hash(template_of("").source())},
                   {"mode", mode_name(r.mode)},
                   {"max_tokens", r.mode == JudgeMode::reason ? r.max_tokens : 0}});
    return shared;
  }

  // The judging template of a run's directory.
  JudgeTemplate template_of(const fs::path& directory) const {
    return template_for(request_.prompt_template, directory,
                        fs::path(request_.data) / "valid.jsonl");
  }

  void load_data() {
    const DatasetOptions options{.max_seq_length = request_.max_seq_length};
    train_set_ = load_split(request_.data, "train", session_->encoder, options);
    say("Training on " + describe(*train_set_, options));
    if (request_.config.val_batches != 0)
      valid_set_ = load_split(request_.data, "valid", session_->encoder, options);
    std::string file = request_.eval_data;
    if (file == "none") return;
    if (file.empty()) {
      if (!valid_set_ || !valid_set_->judge_data) return;
      file = find_split(request_.data, "valid").value().string();
    }
    pairs_ = read_pairs(file, true, template_of({}).form());
    if (request_.eval_limit > 0 && pairs_.size() > static_cast<size_t>(request_.eval_limit))
      pairs_.resize(static_cast<size_t>(request_.eval_limit));
  }

  std::optional<SweepResult> train_one(const SweepPoint& point, const std::string& name,
                                       const fs::path& directory, const Json& shared) {
    const auto start = std::chrono::steady_clock::now();
    Adapter adapter = make_adapter(session_->model, lora_of(point), request_.init, point.seed);
    TrainConfig config = request_.config;
    config.chat_template = chat_template_id(request_.chat_template);
    config.schedule.learning_rate = point.learning_rate;
    config.seed = point.seed;
    // A checkpoint of other settings is not gone on from: what it belongs to is written beside it.
    const fs::path marker = directory / "sweep_settings.json";
    const std::string settings = Json{{"settings", point_json(point)}, {"shared", shared}}.dump();
    std::error_code ignored;
    const bool resume = fs::exists(marker, ignored) && read_file(marker, 1 << 20) == settings;
    fs::create_directories(directory);
    if (!resume) write_file_atomic(marker, settings);
    keep_template(request_.data, directory);
    TrainHooks hooks;
    hooks.on_valid = [&](const ValidReport& r) {
      say(fmt::format("  step {}: validation loss {:.4f}{}", r.iter, r.loss,
                      r.best ? ", best" : ""));
    };
    hooks.stop_requested = stop_;
    const auto trained =
        train(session_->model, adapter, *train_set_, valid_set_ ? &*valid_set_ : nullptr, config,
              directory, resume, hooks, Json{{"model", request_.model}}.dump());
    if (trained.end == TrainEnd::interrupted) return std::nullopt;
    SweepResult result{name, trained.best_valid_loss.value_or(std::nan("")),
                       trained.last_train_loss.value_or(std::nan(""))};
    result.agreement = result.consistency = std::nan("");
    result.best_step = trained.best_valid_loss ? trained.best_iter : trained.iter;
    result.parameters = parameter_count(adapter);
    result.end = trained.end == TrainEnd::early_stopped ? "early_stopped" : "finished";
    if (!pairs_.empty()) judge_with(directory, result);
    result.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return result;
  }

  // Measures the adapter of the best validation loss, or the last one.
  void judge_with(const fs::path& directory, SweepResult& result) {
    std::error_code ignored;
    const fs::path best = directory / "best";
    const auto lora =
        load_lora(*session_,
                  (fs::exists(best / "adapters.safetensors", ignored) ? best : directory).string());
    const auto model = make_judge_model(session_->model, lora ? &*lora : nullptr, session_->encoder,
                                        template_of(directory), session_->loaded.eos_token_ids);
    JudgeOptions options;
    options.mode = request_.mode;
    options.max_tokens = request_.max_tokens;
    options = options_for(model.prompt.form(), options, false);
    std::vector<Judgement> judgements;
    const auto judged = judge_pairs(model, pairs_, options);
    for (size_t i = 0; i < pairs_.size(); ++i)
      judgements.push_back(to_judgement(pairs_[i], judged[i]));
    if (!model.prompt.form().of_pairs()) {
      result.agreement = share_right(judgements);
      say(fmt::format("  agreement {:.1f}%", 100 * result.agreement));
      return;
    }
    const MetricValues values = measure(judgements);
    result.agreement = value_of(values, Metric::agreement);
    result.consistency = value_of(values, Metric::consistency);
    say(fmt::format("  agreement {:.1f}%, consistency {:.1f}%", 100 * result.agreement,
                    100 * result.consistency));
  }

  // A line that a crash cut would swallow the next one.
  static void drop_cut_line(const fs::path& record) {
    std::error_code ignored;
    if (!fs::exists(record, ignored)) return;
    const std::string text = read_file(record);
    if (!text.empty() && text.back() != '\n')
      write_file_atomic(record, text.substr(0, text.rfind('\n') + 1));
  }

  const SweepRequest& request_;
  const std::function<bool()>& stop_;
  std::shared_ptr<Session> session_;
  std::optional<Dataset> train_set_, valid_set_;
  std::vector<JudgePair> pairs_;
};

}  // namespace

void run_sweep(const SweepRequest& request, const std::function<bool()>& stop_requested) {
  if (request.points.empty()) fail("the sweep has no runs");
  Sweep(request, stop_requested).run();
}

}  // namespace gavel
