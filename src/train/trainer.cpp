#include "train/trainer.h"

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/random.h"
#include "ops/device.h"
#include "train/checkpoint.h"
#include "train/plan.h"
#include "train/run_log.h"
#include "train/settings.h"
#include "train/step.h"
#include "train/tensorboard.h"
#include "train/time_left.h"

namespace gavel {
namespace fs = std::filesystem;
using nlohmann::ordered_json;
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<const Example*> at(std::span<const Example> examples,
                               const std::vector<int32_t>& indices) {
  std::vector<const Example*> chosen;
  chosen.reserve(indices.size());
  for (const int32_t i : indices) chosen.push_back(&examples[static_cast<size_t>(i)]);
  return chosen;
}

// What must be equal for a checkpoint to be gone on from.
std::string fingerprint(const Model& model, const Adapter& adapter, const Dataset& train_set,
                        const TrainConfig& c) {
  ordered_json targets = ordered_json::array();
  for (const Projection p : adapter.config.targets) targets.push_back(projection_path(p));
  ordered_json j = {{"rank", adapter.config.rank},
                    {"scale", adapter.config.scale},
                    {"num_layers", adapter.config.num_layers},
                    {"targets", targets}};
  j.update(run_json(model, train_set, c));
  return j.dump();
}

class Run {
 public:
  Run(const Model& model, Adapter& adapter, const Dataset& train_set, const Dataset* valid_set,
      const TrainConfig& config, const fs::path& directory, bool resume, const TrainHooks& hooks,
      const std::string& adapter_config_extra, double planned_gb)
      : model_(model),
        adapter_(adapter),
        train_(train_set),
        valid_(valid_set),
        config_(config),
        directory_(directory),
        hooks_(hooks),
        extra_(adapter_config_extra),
        planned_gb_(planned_gb),
        fingerprint_(fingerprint(model, adapter, train_set, config)),
        plan_(train_set.examples, config.batch_size, config.seed, config.order),
        resumed_((fs::create_directories(directory), start(resume))),
        log_(directory / "metrics.jsonl", resumed_ ? state_.iter : -1, state_.last_valid_iter),
        report_iter_(state_.iter),
        left_(config.iters, valid_set == nullptr ? 0 : config.steps_per_eval) {
    if (config_.tensorboard)
      events_.emplace(directory / "tensorboard", resumed_ ? state_.iter : -1);
    if (valid_ != nullptr && !valid_->examples.empty())
      valid_batches_ =
          validation_batches(valid_->examples, config.batch_size, config.val_batches, config.seed);
    if (state_.iter == 0)
      log_config();
    else
      log({{"event", "resume"}, {"step", state_.iter}, {"iters", config_.iters}});
  }

  TrainResult operator()() {
    TrainEnd end = TrainEnd::finished;
    report_start_ = Clock::now();
    if (hooks_.on_begin) hooks_.on_begin(config_.iters, state_.iter);
    while (state_.iter < config_.iters) {
      if (validation_is_due(state_.iter + 1) && state_.last_valid_iter != state_.iter) {
        if (validate()) {
          end = TrainEnd::early_stopped;
          break;
        }
        if (stop_requested()) {
          end = TrainEnd::interrupted;
          break;
        }
      }
      iterate();
      const bool last = state_.iter == config_.iters;
      if (state_.iter % config_.steps_per_report == 0 || last) report();
      if (last && !valid_batches_.empty() && state_.last_valid_iter != state_.iter) validate();
      if (state_.iter % config_.save_every == 0 && !last) save();
      if (hooks_.on_iteration) hooks_.on_iteration(state_.iter);
      if (!last && stop_requested()) {
        end = TrainEnd::interrupted;
        break;
      }
    }
    save();
    adapter_ = with_parameters(adapter_, state_.params);
    const char* reasons[] = {"finished", "early_stopped", "interrupted"};
    log({{"event", "end"}, {"step", state_.iter}, {"reason", reasons[static_cast<int>(end)]}});
    return {end, state_.iter, state_.last_train_loss, state_.best_valid_loss, state_.best_iter};
  }

 private:
  // Sets the state: from the checkpoint where asked and there is one (true), or a fresh one.
  bool start(bool resume) {
    const fs::path file = directory_ / "checkpoint.safetensors";
    state_.params = flatten(adapter_);
    if (resume && fs::exists(file)) {
      auto loaded = load_checkpoint(file, fingerprint_);
      const auto fresh = make_optimizer_state(config_.optimizer, state_.params.shape(0));
      const auto fits = [&](const std::optional<mx::array>& a) {
        return !a || a->size() == state_.params.size();
      };
      if (!fits(loaded.params) || !fits(loaded.grads) || !fits(loaded.optimizer.m) ||
          !fits(loaded.optimizer.v) || fresh.m.has_value() != loaded.optimizer.m.has_value() ||
          fresh.v.has_value() != loaded.optimizer.v.has_value())
        fail("{} does not fit this adapter", file.string());
      state_ = std::move(loaded);
      state_.passes = passes();
      plan_.set_state(state_.batches);
      return true;
    }
    state_.optimizer = make_optimizer_state(config_.optimizer, state_.params.shape(0));
    state_.passes = passes();
    return false;
  }

  Passes passes() const {
    return {config_.micro_batch_tokens, config_.recompute.value_or(Recompute::none),
            config_.recompute_group};
  }

  void log_config() {
    auto entry = ordered_json::parse(fingerprint_);
    ordered_json line = {{"event", "config"}, {"step", 0}, {"iters", config_.iters}};
    line.update(entry);
    line["micro_batch_tokens"] = config_.micro_batch_tokens;
    line["recompute"] = to_string(config_.recompute.value_or(Recompute::none));
    line["planned_memory_gb"] = planned_gb_;
    line.erase("train_data_hash");
    line["train_tokens"] = train_.summary.tokens;
    line["train_loss_tokens"] = train_.summary.loss_tokens;
    log(line);
  }

  void log(const ordered_json& entry) {
    log_.write(entry);
    if (events_) events_->write(entry);
  }

  bool stop_requested() const { return hooks_.stop_requested && hooks_.stop_requested(); }

  // As in mlx_lm: before the first iteration and after each steps_per_eval.
  bool validation_is_due(int64_t next_iter) const {
    return !valid_batches_.empty() &&
           (next_iter == 1 || (next_iter - 1) % config_.steps_per_eval == 0);
  }

  void iterate() {
    const auto batch = at(train_.examples, plan_.next_batch());
    const auto tokens = run_batch(model_, adapter_, config_, batch, state_, pending_);
    state_.report_loss_tokens += tokens.with_loss;
    state_.grad_tokens += tokens.with_loss;
    state_.trained_tokens += tokens.with_loss;
    report_tokens_ += tokens.all;
    ++state_.iter;
    state_.batches = plan_.state();
    if (state_.iter % config_.grad_accumulation_steps != 0 && state_.iter != config_.iters) return;
    update_parameters(model_.backend, config_, state_);
    read_losses();
  }

  void read_losses() { state_.report_loss += pending_.take(state_.iter); }

  void report() {
    read_losses();
    const double elapsed = seconds_since(report_start_);
    const auto iterations = static_cast<double>(state_.iter - report_iter_);
    TrainReport r{.iter = state_.iter,
                  .loss = {},
                  .learning_rate = learning_rate_at(
                      config_.schedule, std::max<int64_t>(state_.optimizer.step - 1, 0)),
                  .tokens_per_second = static_cast<double>(report_tokens_) / elapsed,
                  .iterations_per_second = iterations / elapsed,
                  .grad_norm = state_.grad_norm,
                  .peak_memory_gb = static_cast<double>(peak_memory(model_.backend)) / 1e9,
                  .trained_tokens = state_.trained_tokens,
                  .seconds_left = {}};
    left_.iterations(state_.iter - report_iter_, elapsed);
    r.seconds_left = left_.after(state_.iter);
    if (state_.report_loss_tokens > 0)
      r.loss = state_.report_loss / static_cast<double>(state_.report_loss_tokens);
    log({{"event", "train"},
         {"step", r.iter},
         {"loss", r.loss ? ordered_json(*r.loss) : ordered_json()},
         {"lr", r.learning_rate},
         {"tokens_per_second", r.tokens_per_second},
         {"grad_norm", r.grad_norm},
         {"peak_memory_gb", r.peak_memory_gb},
         {"trained_tokens", r.trained_tokens},
         {"seconds_left", *r.seconds_left}});
    if (hooks_.on_train) hooks_.on_train(r);
    if (r.loss) state_.last_train_loss = r.loss;
    state_.report_loss = 0.0;
    state_.report_loss_tokens = 0;
    report_tokens_ = 0;
    report_iter_ = state_.iter;
    report_start_ = Clock::now();
  }

  // Measures the validation loss (and metric); true where training should stop.
  bool validate() {
    const auto start = Clock::now();
    const Adapter now = with_parameters(adapter_, state_.params);
    const auto lora = bind(model_, now);
    ValidReport r{.iter = state_.iter,
                  .loss = evaluate_loss(model_, &lora, valid_->examples, valid_batches_,
                                        micro_batch_tokens(config_, model_.backend))};
    if (state_.last_train_loss) r.gap = r.loss - *state_.last_train_loss;
    std::optional<Judged> judged;
    if (hooks_.judge) judged = hooks_.judge(now);
    if (judged && hooks_.metric_decides) r.metric = judged->metric;
    const bool lower = !state_.best_valid_loss || r.loss < *state_.best_valid_loss;
    // A small validation set gives the same agreement often; then the loss decides.
    r.best = r.metric ? !state_.best_metric || *r.metric > *state_.best_metric ||
                            (*r.metric == *state_.best_metric && lower)
                      : lower;
    r.seconds = seconds_since(start);
    left_.validation(r.seconds);
    ordered_json line = {{"event", "valid"}, {"step", r.iter}, {"loss", r.loss}};
    if (r.gap) line["gap"] = *r.gap;
    if (r.metric) line["metric"] = *r.metric;
    line["seconds"] = r.seconds;
    log(line);
    if (judged) log_judged(*judged);
    state_.last_valid_iter = state_.iter;
    if (r.best) {
      state_.best_valid_loss = r.loss;
      state_.best_metric = r.metric;
      state_.best_iter = r.iter;
      state_.validations_without_improvement = 0;
      save_best(now);
      log({{"event", "best"}, {"step", r.iter}, {"valid_loss", r.loss}});
    } else {
      ++state_.validations_without_improvement;
    }
    if (hooks_.on_valid) hooks_.on_valid(r);
    // The time of a validation is not the training's.
    report_start_ += std::chrono::duration_cast<Clock::duration>(Clock::now() - start);
    return config_.early_stop_patience > 0 &&
           state_.validations_without_improvement >= config_.early_stop_patience;
  }

  void log_judged(const Judged& judged) {
    ordered_json line = {{"event", "judged"}, {"step", state_.iter}};
    line.update(ordered_json::parse(judged.entry));
    log(line);
  }

  void save_best(const Adapter& now) {
    fs::create_directories(directory_ / "best");
    save_adapter_weights(now, directory_ / "best" / "adapters.safetensors");
    save_adapter_config(now, directory_ / "best", extra_);
  }

  void save() {
    read_losses();
    const Adapter now = with_parameters(adapter_, state_.params);
    const fs::path numbered = directory_ / fmt::format("{:07d}_adapters.safetensors", state_.iter);
    save_adapter_config(now, directory_, extra_);
    save_adapter_weights(now, directory_ / "adapters.safetensors");
    save_adapter_weights(now, numbered);
    // Without validation best/ is the newest; an older run's must not be taken for this one's.
    if (valid_batches_.empty() && !state_.best_valid_loss) save_best(now);
    save_checkpoint(state_, fingerprint_, directory_ / "checkpoint.safetensors");
    if (hooks_.on_save)
      hooks_.on_save(fmt::format("Iter {}: Saved adapter weights to {} and {}.", state_.iter,
                                 (directory_ / "adapters.safetensors").string(),
                                 numbered.string()));
  }

  const Model& model_;
  Adapter& adapter_;
  const Dataset& train_;
  const Dataset* valid_;
  const TrainConfig& config_;
  const fs::path directory_;
  const TrainHooks& hooks_;
  const std::string extra_;
  const double planned_gb_;
  const std::string fingerprint_;
  BatchPlan plan_;
  TrainState state_;
  PendingLosses pending_;
  const bool resumed_;
  RunLog log_;
  std::optional<Tensorboard> events_;
  std::vector<std::vector<int32_t>> valid_batches_;
  // Only for speed figures, so not part of the state.
  int64_t report_tokens_ = 0;
  int64_t report_iter_;
  Clock::time_point report_start_;
  TimeLeft left_;
};

void check(const TrainConfig& c) {
  const auto at_least = [](const char* name, int64_t value, int64_t least) {
    if (value < least) fail("{} is {}; it must be at least {}", name, value, least);
  };
  at_least("--iters", c.iters, 1);
  at_least("--batch-size", c.batch_size, 1);
  at_least("--grad-accumulation-steps", c.grad_accumulation_steps, 1);
  at_least("--steps-per-report", c.steps_per_report, 1);
  at_least("--steps-per-eval", c.steps_per_eval, 1);
  at_least("--save-every", c.save_every, 1);
  at_least("--val-batches", c.val_batches, -1);
  if (!(c.schedule.learning_rate > 0.0)) fail("--learning-rate must be above 0");
  if (c.lora_dropout < 0.0f || c.lora_dropout >= 1.0f)
    fail("--lora-dropout is {}; it must be at least 0 and below 1", c.lora_dropout);
  if (c.label_smoothing < 0.0f || c.label_smoothing >= 1.0f)
    fail("--label-smoothing is {}; it must be at least 0 and below 1", c.label_smoothing);
}

void check_ranked(const Dataset& train_set, const Dataset* valid_set, const TrainConfig& c) {
  const bool ranked = train_set.kind == RecordKind::rank;
  if (valid_set != nullptr && (valid_set->kind == RecordKind::rank) != ranked)
    fail("of {} and {} one holds ranked pairs and the other does not", train_set.path.string(),
         valid_set->path.string());
  if (ranked && c.batch_size % 2 != 0)
    fail(
        "--batch-size is {}: it counts answers, and both of a ranked pair must be in one batch, so "
        "it must be even",
        c.batch_size);
  if (!ranked && c.label_smoothing > 0.0f)
    fail("--label-smoothing is for ranked pairs (gavel prepare --form rank), and {} holds none",
         train_set.path.string());
}

}  // namespace

double evaluate_loss(const Model& model, const ModelLora* lora, std::span<const Example> examples,
                     std::span<const std::vector<int32_t>> batches, int64_t micro_batch_tokens) {
  double sum = 0.0;
  int64_t tokens = 0;
  for (const auto& batch : batches) {
    for (const auto& part : split_batch(at(examples, batch), micro_batch_tokens)) {
      const auto packed = pack(part);
      if (packed.loss_tokens == 0) continue;
      sum += loss_sum(model, lora, packed);
      tokens += packed.loss_tokens;
    }
  }
  if (tokens == 0) fail("no token of the evaluation data carries loss");
  return sum / static_cast<double>(tokens);
}

TrainResult train(const Model& model, Adapter& adapter, const Dataset& train_set,
                  const Dataset* valid_set, const TrainConfig& config, const fs::path& directory,
                  bool resume, const TrainHooks& hooks, const std::string& adapter_config_extra) {
  check(config);
  check_ranked(train_set, valid_set, config);
  if (train_set.summary.loss_tokens == 0)
    fail(
        "{}: no token carries loss: of {} examples {} are truncated and {} have no answer left "
        "within --max-seq-length, so there is nothing to train on",
        train_set.path.string(), train_set.summary.examples, train_set.summary.truncated,
        train_set.summary.without_targets);
  const Model trained = with_matmul(model, config.matmul);
  MemoryPlan plan;
  const TrainConfig resolved =
      with_passes(trained, adapter, train_set, config,
                  resume ? directory / "checkpoint.safetensors" : fs::path(), plan);
  if (hooks.on_plan) hooks.on_plan(plan);
  const MemoryBound bound(trained.backend, plan);
  return Run(trained, adapter, train_set, valid_set, resolved, directory, resume, hooks,
             adapter_config_extra, static_cast<double>(plan.need.total()) / 1e9)();
}

}  // namespace gavel
