// gavel train.
#include <cstdio>
#include <memory>
#include <optional>

#include "base/interrupt.h"
#include "commands.h"
#include "train_options.h"
#include "watch/watch.h"

namespace gavel {

void add_train_command(CLI::App& app) {
  auto* c = app.add_subcommand("train", "train LoRA matrices on a directory of examples");
  auto a = std::make_shared<TrainArguments>();
  add_train_options(*c, *a);
  auto watch = std::make_shared<WatchRequest>();
  c->add_flag("--watch", a->watch,
              "follow the run on a page of this machine while it lasts; its address is printed");
  c->add_option("--watch-port", watch->port, "the page's port; 0: any that is free")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  c->footer(
      "Examples:\n"
      "  gavel train --model models/SmolLM2-135M-Instruct.Q4_1.gguf --data data/ \\\n"
      "    --adapter-path judge --iters 300 --num-layers -1 --learning-rate 2e-4\n"
      "  gavel train --config lora.yaml --iters 100      flags win over the file\n"
      "  gavel train ... --memory-limit 12GB             parts and what is computed again fit it\n"
      "  gavel train ... --watch                         a page with its curves, as it goes\n"
      "  gavel train ... --resume                        after Ctrl-C or a crash");
  c->callback([c, a, watch] {
    const TrainRun& run = finish_train_options(*c, *a);
    std::optional<WatchBeside> beside;
    watch->runs = {run.adapter_path};
    watch->only_new = true;
    if (a->watch) beside.emplace(*watch);
    if (run_training(run, interrupted).end == TrainEnd::interrupted)
      std::fputs("Go on with the same command and --resume.\n", stderr);
  });
}

}  // namespace gavel
