// gavel plan.
#include <memory>

#include "commands.h"
#include "train/estimate.h"
#include "train_options.h"

namespace gavel {

void add_plan_command(CLI::App& app) {
  auto* c = app.add_subcommand(
      "plan",
      "what a training run will need of memory, time, energy and money, here and elsewhere");
  auto a = std::make_shared<TrainArguments>();
  auto request = std::make_shared<PlanRequest>();
  add_train_options(*c, *a);
  Prices& p = request->prices;
  c->add_option("--price-per-kwh", p.per_kwh, "of electricity")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  c->add_option("--price-per-hour", p.per_hour, "of this machine, where it is rented")
      ->check(CLI::NonNegativeNumber);
  c->add_option("--watts", p.watts,
                "that this machine takes (default: what it says of itself, else 15 a thread)")
      ->check(CLI::NonNegativeNumber);
  add_json_flag(*c, request->json, "a JSON list, a machine each, this one first");
  c->footer(
      "Takes the settings of gavel train, measures for some seconds how fast this machine is, and\n"
      "trains nothing. Other machines are reckoned from stated rates, and marked so.\n"
      "Examples:\n"
      "  gavel plan --model M --data data/ --iters 1000\n"
      "  gavel plan --model M --data data/ --epochs 3 --lora-rank 16 --memory-limit 12GB --json\n"
      "  gavel plan --config lora.yaml --price-per-kwh 0.25");
  c->callback([c, a, request] {
    request->run = finish_train_options(*c, *a);
    run_plan(*request);
  });
}

}  // namespace gavel
