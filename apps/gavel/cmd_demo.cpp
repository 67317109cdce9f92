// gavel demo.
#include <memory>

#include "base/interrupt.h"
#include "commands.h"
#include "demo/demo.h"
#include "options.h"

namespace gavel {

void add_demo_command(CLI::App& app) {
  auto* c = app.add_subcommand("demo", "make a judging set, train on it, measure, judge");
  auto o = std::make_shared<DemoOptions>();
  add_model_option(*c, o->model);
  c->add_option("--output", o->directory, "directory for data, adapter and evaluation")
      ->capture_default_str();
  c->add_option("--seed", o->seed, "seed of the pairs and of the training")->capture_default_str();
  c->add_option("--iters", o->iters, "training iterations (default: the demo's own)")
      ->check(CLI::PositiveNumber);
  c->add_option("--test-pairs", o->counts.test, "pairs to measure on")->capture_default_str();
  add_device_options(*c, o->device);
  c->add_flag("--data-only", o->data_only, "only make the judging set");
  c->add_flag("--resume", o->resume, "go on where an interrupted run of these options ended");
  c->footer(
      "Ctrl-C saves what is done; the same command and --resume goes on.\n"
      "Example:\n"
      "  gavel demo --model models/SmolLM2-135M-Instruct.Q4_1.gguf --seed 1 --output demo-1");
  c->callback([o] { run_demo(*o, interrupted); });
}

}  // namespace gavel
