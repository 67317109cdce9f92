#include "demo/demo.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <filesystem>

#include "data/judge_prompt.h"
#include "demo/ask.h"
#include "demo/reasons.h"
#include "judge/evaluate.h"
#include "ops/device.h"
#include "train/run.h"

namespace gavel {
namespace fs = std::filesystem;
namespace {

void say(const std::string& line) { fmt::print(stderr, "\n== {}\n", line); }
void say_how_to_go_on() { say("Stopped. Go on with the same command and --resume."); }

TrainRun training_of(const DemoOptions& o, const fs::path& data, const fs::path& adapter) {
  TrainRun run;
  run.model = o.model;
  run.device = o.device;
  run.data = data.string();
  run.adapter_path = adapter.string();
  run.train = true;
  run.resume = o.resume;
  run.dataset.max_seq_length = 512;
  run.lora.num_layers = -1;
  run.lora.targets.emplace();
  for (int p = 0; p < kProjections; ++p) run.lora.targets->push_back(static_cast<Projection>(p));
  auto& c = run.config;
  c.iters = o.iters > 0 ? o.iters : 320;
  c.batch_size = 4;
  c.steps_per_report = 10;
  c.steps_per_eval = 80;
  c.val_batches = 16;
  c.save_every = 80;
  c.seed = o.seed;
  // A quarter less time, and as good a judge (docs/performance.md).
  if (on_cpu_memory(make_backend(o.device))) c.matmul = Matmul::int16;
  c.order = BatchOrder::shuffled;
  c.clip_grad_norm = 1.0f;
  c.schedule = {.kind = ScheduleKind::cosine,
                .learning_rate = 2e-4,
                .min_learning_rate = 0.0,
                .warmup_init = 0.0,
                .warmup = 10,
                .decay_steps = 0};
  return run;
}

}  // namespace

void run_demo(const DemoOptions& o, const std::function<bool()>& stop_requested) {
  const auto start = std::chrono::steady_clock::now();
  const fs::path directory = o.directory, data = directory / "data", adapter = directory / "judge";
  fs::create_directories(data);
  const DemoSet set = make_demo_set(o.seed, o.counts);
  // Training sees each pair in both orders in one batch: that unlearns a liking for a position.
  const auto& prompt = JudgeTemplate::standard();
  write_training_pairs(data / "train.jsonl", set.train, prompt, true);
  write_training_pairs(data / "valid.jsonl", set.valid, prompt, false);
  write_training_pairs(data / "test.jsonl", set.test, prompt, false);
  say(fmt::format(
      "1/4  Made {} training (each in both orders), {} validation and {} test pairs in {}",
      set.train.size(), set.valid.size(), set.test.size(), data.string()));

  if (o.data_only) return;

  say(fmt::format("2/4  Training a judge: LoRA on {}", o.model));
  std::error_code ignored;
  if (!o.resume) fs::remove_all(adapter, ignored);
  const auto result = run_training(training_of(o, data, adapter), stop_requested);
  if (result.end == TrainEnd::interrupted) return say_how_to_go_on();

  say("3/4  Base model against tuned judge, on test pairs whose questions neither has seen, in "
      "both "
      "orders");
  EvalRequest eval;
  eval.model = o.model;
  eval.device = o.device;
  eval.adapter_paths = {(adapter / "best").string()};
  eval.data = (data / "test.jsonl").string();
  eval.output = (directory / "eval").string();
  eval.options.mode = JudgeMode::reason;
  eval.options.max_tokens = kDemoMaxTokens;
  eval.overwrite = !o.resume;
  eval.max_batch = kDemoMaxBatch;
  if (!run_evaluation(eval, stop_requested)) return say_how_to_go_on();
  fmt::print("{}",
             to_text(check_reasons(directory / "eval" / "judgements.jsonl", "tuned", set.test)));
  std::fflush(stdout);

  say("4/4  A test pair, and one outside of what the judge has learned, each in both orders");
  if (!ask_judge(o, adapter / "best", set, stop_requested)) return say_how_to_go_on();

  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  say(
      fmt::format("Done in {:.1f} minutes. The judge is in {}; look at the run with\n"
                  "   build/gavel report {} --eval {} --output {}",
                  took.count() / 60.0, (adapter / "best").string(), adapter.string(),
                  (directory / "eval").string(), (directory / "report.html").string()));
}

}  // namespace gavel
