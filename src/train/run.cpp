#include "train/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/random.h"
#include "hub/hub.h"
#include "model/encoder.h"
#include "ops/kernels.h"
#include "train/loss.h"
#include "train/plan.h"
#include "train/step.h"

namespace gavel {
namespace fs = std::filesystem;
namespace {

void say(const std::string& line) { fmt::print(stderr, "{}\n", line); }

void print_line(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

// The run as a terminal shows it: loss lines, and below them one line that says how long it still
// takes. The line gives way to whatever else is printed.
class Shown {
 public:
  void begin(int64_t iters, int64_t done) {
    bar_ = std::make_unique<Progress>("Training", iters, "iterations", done, PlainLines::none);
  }
  void at(int64_t iter) {
    std::optional<double> left;
    if (end_) left = std::chrono::duration<double>(*end_ - Clock::now()).count();
    bar_->update(iter, left);
  }
  void learn(std::optional<double> seconds_left) {
    if (seconds_left)
      end_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                std::chrono::duration<double>(*seconds_left));
  }
  void give_way() {
    if (bar_) bar_->clear();
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::unique_ptr<Progress> bar_;
  std::optional<Clock::time_point> end_;  // when the run is expected to be done
};

TrainHooks printing_hooks(const std::function<bool()>& stop_requested) {
  TrainHooks hooks;
  const auto shown = std::make_shared<Shown>();
  const auto say = [shown](const std::string& line) {
    shown->give_way();
    gavel::say(line);
  };
  const auto print_line = [shown](const std::string& line) {
    shown->give_way();
    gavel::print_line(line);
  };
  hooks.on_begin = [shown](int64_t iters, int64_t done) { shown->begin(iters, done); };
  hooks.on_iteration = [shown](int64_t iter) { shown->at(iter); };
  hooks.on_train = [=](const TrainReport& r) {
    shown->learn(r.seconds_left);
    const std::string loss =
        r.loss ? fmt::format("{:.3f}", *r.loss) : "none (no token carried loss)";
    print_line(fmt::format("Iter {}: Train loss {}, Tokens/sec {:.0f}, Peak mem {:.1f} GB", r.iter,
                           loss, r.tokens_per_second, r.peak_memory_gb));
  };
  hooks.on_valid = [=](const ValidReport& r) {
    print_line(fmt::format("Iter {}: Val loss {:.3f}", std::max<int64_t>(r.iter, 1), r.loss));
    if (r.metric)
      say(fmt::format("Iter {}: judging measure {:.3f}{}", std::max<int64_t>(r.iter, 1), *r.metric,
                      r.best ? ", the best so far" : ""));
  };
  hooks.on_save = say;
  hooks.on_plan = [](const MemoryPlan& plan) { gavel::say("Memory:\n" + describe(plan)); };
  hooks.stop_requested = stop_requested;
  return hooks;
}

// The model's and the data's part in what adapter_config.json tells of the run.
std::string describe_run(const TrainRun& run, const TrainConfig& c) {
  nlohmann::json j = {{"model", run.model},
                      {"data", run.data},
                      {"iters", c.iters},
                      {"batch_size", c.batch_size},
                      {"grad_accumulation_steps", c.grad_accumulation_steps},
                      {"learning_rate", c.schedule.learning_rate},
                      {"optimizer", to_string(c.optimizer.kind)},
                      {"max_seq_length", run.dataset.max_seq_length},
                      {"seed", c.seed}};
  if (!run.chat_template.empty()) j["chat_template"] = run.chat_template;
  return j.dump();
}

// An adapter that training begins from decides rank, scale and place: what was asked for besides
// must be the same.
void check_agrees(const Model& model, const Adapter& adapter, const TrainRun& run) {
  const LoraRequest& asked = run.lora;
  const auto disagree = [&](const std::string& flag, const std::string& has) {
    fail("{} {}, which --{} contradicts: leave it out, or begin without --resume-adapter-file",
         run.resume_adapter_file, has, flag);
  };
  if (asked.init) disagree("lora-init", "has its weights already");
  for (const LoraMatrix& m : adapter.matrices) {
    const int rank = m.a.shape(1);
    if (asked.rank && *asked.rank != rank)
      disagree("lora-rank", fmt::format("has rank {} in {}", rank, module_path(m)));
    const double scale = asked.alpha ? *asked.alpha / rank : asked.scale.value_or(m.scale);
    if (std::abs(scale - m.scale) > 1e-6 * std::abs(scale))
      disagree(asked.alpha ? "lora-alpha" : "lora-scale",
               fmt::format("has the scale {} in {}", m.scale, module_path(m)));
  }
  const auto sorted = [](std::vector<Projection> targets) {
    std::sort(targets.begin(), targets.end());
    return targets;
  };
  const LoraConfig& c = adapter.config;
  if (asked.targets && sorted(*asked.targets) != sorted(c.targets)) {
    std::string names;
    for (const Projection p : c.targets) names += (names.empty() ? "" : ", ") + projection_path(p);
    disagree("lora-targets", "adapts " + names);
  }
  const auto layers = [&](int n) { return n < 0 ? static_cast<int>(model.layers.size()) : n; };
  if (asked.num_layers && layers(*asked.num_layers) != layers(c.num_layers))
    disagree("num-layers", fmt::format("adapts the last {} layers", layers(c.num_layers)));
}

// What training begins from, or what only is tested.
Adapter first_adapter(const Model& model, const TrainRun& run) {
  const LoraRequest& asked = run.lora;
  if (!run.resume_adapter_file.empty()) {
    Adapter adapter = load_adapter(model, run.resume_adapter_file);
    check_agrees(model, adapter, run);
    adapter.config.dropout = asked.dropout;
    return adapter;
  }
  if (!run.train) return load_adapter(model, run.adapter_path);
  LoraConfig c;
  c.rank = asked.rank.value_or(c.rank);
  c.num_layers = asked.num_layers.value_or(c.num_layers);
  c.scale = asked.alpha ? static_cast<float>(*asked.alpha / std::max(c.rank, 1))
                        : asked.scale.value_or(c.scale);
  c.targets = asked.targets.value_or(c.targets);
  c.dropout = asked.dropout;
  return make_adapter(model, c, asked.init.value_or(LoraInit::kaiming), run.config.seed);
}

// The first weights, for the fingerprint: their way of being drawn, or what they are.
std::string start_of(const Adapter& adapter, const TrainRun& run) {
  if (run.resume_adapter_file.empty())
    return run.lora.init == LoraInit::gaussian ? "gaussian" : "kaiming";
  mx::array values = flatten(adapter);
  values.eval();
  uint64_t h = stable_hash({values.data<char>(), values.nbytes()});
  for (const LoraMatrix& m : adapter.matrices)
    h = stable_hash({reinterpret_cast<const char*>(&m.scale), sizeof m.scale}, h);
  return fmt::format("adapter {:016x}", h);
}

// What the run is validated on; nothing where that is switched off or, as in mlx_lm, there is no
// valid.jsonl and nothing asked for depends on one.
std::optional<Dataset> load_validation(const TrainRun& run, const TextEncoder& encoder) {
  if (run.config.val_batches == 0) return std::nullopt;
  if (!find_split(run.data, "valid")) {
    const fs::path file = fs::path(run.data) / "valid.jsonl";
    if (run.config.early_stop_patience > 0 || (run.make_judge && !run.judge_if_possible))
      fail("{} does not exist, and early stopping needs it", file.string());
    say(
        fmt::format("There is no {}: training goes without validation, and best/ will hold the "
                    "newest adapter.",
                    file.string()));
    return std::nullopt;
  }
  auto set = load_split(run.data, "valid", encoder, run.dataset);
  say("Validating on " + describe(set, run.dataset));
  if (set.summary.loss_tokens == 0)
    fail(
        "{}: no token carries loss, so nothing can be validated on it (--val-batches 0 does "
        "without)",
        set.path.string());
  return set;
}

void test(const Model& model, const Adapter& adapter, const Dataset& data, const TrainRun& run) {
  const auto batches =
      validation_batches(data.examples, run.config.batch_size, run.test_batches, run.config.seed);
  const auto lora = bind(model, adapter);
  const double loss = evaluate_loss(model, &lora, data.examples, batches,
                                    micro_batch_tokens(run.config, model.backend));
  // The perplexity of a pair's outcome says nothing.
  const std::string perplexity =
      data.kind == RecordKind::rank ? "" : fmt::format(", Test ppl {:.3f}", std::exp(loss));
  print_line(fmt::format("Test loss {:.3f}{}.", loss, perplexity));
}

std::string describe(const Backend& backend, Matmul matmul) {
  const std::string_view type = backend.dtype == mx::float32 ? "float32" : "bfloat16";
  const std::string_view products = matmul == Matmul::usual ? type : to_string(matmul);
  if (on_cpu_memory(backend)) return fmt::format("{}, {} products", kernels::simd_name(), products);
  return fmt::format("{}, {} activations, {} products", backend.operations->name, type, products);
}

}  // namespace

void keep_template(const std::string& data, const fs::path& directory) {
  const fs::path from = fs::path(data) / "template.txt";
  std::error_code ignored;
  if (!fs::exists(from, ignored)) return;
  fs::create_directories(directory);
  write_file_atomic(directory / "template.txt", read_file(from, 1 << 20));
}

LoadedRun load_run(const TrainRun& run) {
  say(fmt::format("Loading {}", run.model));
  auto loaded = load_model(resolve_model(run.model));
  Model model = make_model(loaded, make_backend(run.device));
  release_weights(loaded, model.backend);
  TextEncoder encoder = make_encoder(loaded, run.chat_template);
  std::optional<Dataset> train_set, valid_set, test_set;
  if (run.train) {
    train_set = load_split(run.data, "train", encoder, run.dataset);
    say("Training on " + describe(*train_set, run.dataset));
    valid_set = load_validation(run, encoder);
  }
  if (run.test) test_set = load_split(run.data, "test", encoder, run.dataset);
  Adapter adapter = first_adapter(model, run);
  TrainConfig config = run.config;
  if (run.train) {
    config.lora_dropout = run.lora.dropout;
    config.chat_template = chat_template_id(run.chat_template);
    config.start = start_of(adapter, run);
    const auto count = static_cast<int64_t>(train_set->examples.size());
    if (run.epochs)
      config.iters =
          *run.epochs * ((count + config.batch_size - 1) / std::max(config.batch_size, 1));
    const int64_t steps = config.iters / std::max(config.grad_accumulation_steps, 1);
    config.schedule.decay_steps =
        run.decay_steps.value_or(std::max<int64_t>(steps - config.schedule.warmup, 1));
  }
  return {std::move(loaded),    std::move(model),    std::move(encoder), std::move(train_set),
          std::move(valid_set), std::move(test_set), std::move(adapter), std::move(config)};
}

namespace {

TrainResult run_loaded(const TrainRun& run, LoadedRun& r,
                       const std::function<bool()>& stop_requested) {
  const int64_t total = parameter_count(r.model), trainable = parameter_count(r.adapter);
  say(fmt::format("Trainable parameters: {:.3f}% ({:.3f}M/{:.3f}M); kernels: {}",
                  100.0 * static_cast<double>(trainable) / static_cast<double>(total),
                  static_cast<double>(trainable) / 1e6, static_cast<double>(total) / 1e6,
                  describe(r.model.backend, r.config.matmul)));
  TrainHooks hooks = printing_hooks(stop_requested);
  const Model judging = with_precision(r.model, kernels::kInferencePrecision);
  if (run.make_judge && (!run.judge_if_possible || (r.valid_set && r.valid_set->judge_data)))
    hooks.judge = run.make_judge(r.loaded, judging, r.encoder);
  hooks.metric_decides = run.metric_decides;
  keep_template(run.data, run.adapter_path);
  const auto result =
      train(r.model, r.adapter, *r.train_set, r.valid_set ? &*r.valid_set : nullptr, r.config,
            run.adapter_path, run.resume, hooks, describe_run(run, r.config));
  if (result.end == TrainEnd::interrupted)
    say(fmt::format("Stopped after iteration {}; its checkpoint is in {}.", result.iter,
                    run.adapter_path));
  if (result.end == TrainEnd::early_stopped)
    say(fmt::format("Stopped early after iteration {}.", result.iter));
  if (result.best_valid_loss && result.end != TrainEnd::interrupted)
    say(fmt::format("The adapter of the best {} (iteration {}, validation loss {:.3f}) is in {}.",
                    run.metric_decides ? "judging measure" : "validation loss", result.best_iter,
                    *result.best_valid_loss, (fs::path(run.adapter_path) / "best").string()));
  return result;
}

}  // namespace

TrainResult run_training(const TrainRun& run, const std::function<bool()>& stop_requested) {
  LoadedRun r = load_run(run);
  TrainResult result;
  if (run.train) result = run_loaded(run, r, stop_requested);
  if (run.test && result.end != TrainEnd::interrupted) test(r.model, r.adapter, *r.test_set, run);
  return result;
}

}  // namespace gavel
