// gavel train.
#include <cstdio>
#include <memory>

#include "base/interrupt.h"
#include "commands.h"
#include "train_options.h"

namespace gavel {

void add_train_command(CLI::App& app) {
  auto* c = app.add_subcommand("train", "train LoRA matrices on a directory of examples");
  auto a = std::make_shared<TrainArguments>();
  add_train_options(*c, *a);
  c->footer(
      "Examples:\n"
      "  gavel train --model models/SmolLM2-135M-Instruct.Q4_1.gguf --data data/ \\\n"
      "    --adapter-path judge --iters 300 --num-layers -1 --learning-rate 2e-4\n"
      "  gavel train --config lora.yaml --iters 100      flags win over the file\n"
      "  gavel train ... --memory-limit 12GB             parts and what is computed again fit it\n"
      "  gavel train ... --resume                        after Ctrl-C or a crash");
  c->callback([c, a] {
    if (run_training(finish_train_options(*c, *a), interrupted).end == TrainEnd::interrupted)
      std::fputs("Go on with the same command and --resume.\n", stderr);
  });
}

}  // namespace gavel
