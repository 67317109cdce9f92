// gavel sweep.
#include <fmt/format.h>

#include <memory>
#include <sstream>

#include "base/error.h"
#include "base/interrupt.h"
#include "commands.h"
#include "options.h"
#include "sweep/sweep.h"

namespace gavel {
namespace {

struct SweepArguments {
  SweepRequest request;
  SweepGrid grid;
  SweepPoint base;
  std::vector<std::string> targets;
  std::string list, optimizer = "adamw", schedule = "constant", mode = "verdict";
};

std::vector<std::string> split_targets(const std::string& text) {
  std::vector<std::string> names;
  std::string name;
  for (std::istringstream in(text); std::getline(in, name, '+');)
    if (!name.empty()) names.push_back(name);
  return names;
}

void add_grid_flags(CLI::App& c, SweepArguments& a) {
  c.add_option("--lr,--learning-rate", a.grid.learning_rates, "learning rates, comma-separated")
      ->delimiter(',');
  c.add_option("--rank,--lora-rank", a.grid.ranks, "ranks")->delimiter(',');
  c.add_option("--alpha,--lora-alpha", a.grid.alphas,
               "alphas (the update is scaled by alpha / rank; default: 20 times the rank)")
      ->delimiter(',');
  c.add_option("--targets,--lora-targets", a.targets,
               "sets of layers to adapt, the names in a set joined by +: "
               "q_proj+v_proj,q_proj+k_proj+v_proj+o_proj")
      ->delimiter(',');
  c.add_option("--num-layers", a.grid.num_layers, "the last so many layers; -1: all")
      ->delimiter(',');
  c.add_option("--seed,--seeds", a.grid.seeds, "seeds")->delimiter(',');
  c.add_option("--list", a.list,
               "instead of a grid: JSONL, a run a line, with any of learning_rate, rank, alpha, "
               "targets, num_layers, seed");
}

void add_training_flags(CLI::App& c, SweepArguments& a) {
  TrainConfig& t = a.request.config;
  c.add_option("--iters", t.iters, "iterations (batches) of each run")->capture_default_str();
  c.add_option("--batch-size", t.batch_size)->capture_default_str();
  c.add_option("--grad-accumulation-steps", t.grad_accumulation_steps)->capture_default_str();
  c.add_option("--steps-per-eval", t.steps_per_eval, "iterations between validations")
      ->capture_default_str();
  c.add_option("--val-batches", t.val_batches, "validation batches; -1: all")
      ->capture_default_str();
  c.add_option("--save-every", t.save_every, "iterations between checkpoints")
      ->capture_default_str();
  c.add_option("--max-seq-length", a.request.max_seq_length)->capture_default_str();
  c.add_option("--optimizer", a.optimizer, "adamw, adam or sgd")->capture_default_str();
  c.add_option("--lr-schedule", a.schedule, "constant, cosine or linear")->capture_default_str();
  c.add_option("--warmup", t.schedule.warmup, "optimizer steps of linear warm-up")
      ->capture_default_str();
  c.add_option("--weight-decay", t.optimizer.weight_decay)->capture_default_str();
  c.add_option("--early-stop-patience", t.early_stop_patience,
               "end a run after so many validations without improvement; 0: never")
      ->capture_default_str();
}

void finish(SweepArguments& a) {
  if (!a.list.empty() &&
      !(a.grid.learning_rates.empty() && a.grid.ranks.empty() && a.grid.alphas.empty() &&
        a.targets.empty() && a.grid.num_layers.empty() && a.grid.seeds.empty()))
    throw UsageError("--list takes the place of the grid's flags");
  for (const std::string& set : a.targets) a.grid.targets.push_back(split_targets(set));
  SweepRequest& r = a.request;
  r.points = a.list.empty() ? expand(a.grid, a.base, false) : read_points(a.list, a.base, false);
  r.mode = a.mode == "verdict" ? JudgeMode::verdict : JudgeMode::reason;
  r.config.optimizer.kind = parse_optimizer(a.optimizer);
  r.config.schedule.kind = parse_schedule(a.schedule);
  const int64_t steps = r.config.iters / std::max(r.config.grad_accumulation_steps, 1);
  r.config.schedule.decay_steps = std::max<int64_t>(steps - r.config.schedule.warmup, 1);
}

}  // namespace

void add_sweep_command(CLI::App& app) {
  auto* c = app.add_subcommand("sweep", "train with many settings and compare them");
  auto a = std::make_shared<SweepArguments>();
  SweepRequest& r = a->request;
  add_model_option(*c, r.model);
  c->add_option("--data", r.data, "directory with train.jsonl and valid.jsonl")->required();
  c->add_option("--output", r.output, "directory of the sweep, a run's folder each in it")
      ->capture_default_str();
  add_grid_flags(*c, *a);
  add_training_flags(*c, *a);
  c->add_option("--eval-data", r.eval_data,
                "labelled pairs to measure agreement on (default: valid.jsonl where it is judge "
                "data); none: only the loss");
  c->add_option("--eval-limit", r.eval_limit, "only the first so many of them; 0: all")
      ->capture_default_str();
  c->add_option("--mode", a->mode, "how to judge: verdict (fast) or reason")
      ->check(CLI::IsMember({"reason", "verdict"}))
      ->capture_default_str();
  add_inference_options(*c, r.device);
  add_chat_template_option(*c, r.chat_template);
  c->add_option("--template", r.prompt_template, "judging prompt");
  add_json_flag(*c, r.json, "the results as JSON lines");
  c->footer(
      "All combinations are run. An interrupted sweep goes on with the same command.\n"
      "Examples:\n"
      "  gavel sweep --model M --data data --rank 4,8,16 --lr 1e-4,3e-4 --iters 200\n"
      "  gavel sweep --model M --data data --list runs.jsonl --output sweeps/lists");
  c->callback([a] {
    finish(*a);
    run_sweep(a->request, interrupted);
  });
}

}  // namespace gavel
