// gavel watch.
#include <memory>

#include "base/interrupt.h"
#include "commands.h"
#include "watch/watch.h"

namespace gavel {

void add_watch_command(CLI::App& app) {
  auto* c = app.add_subcommand("watch", "follow training runs on a page of this machine");
  auto request = std::make_shared<WatchRequest>();
  c->add_option("run", request->runs, "run directories (metrics.jsonl, eval.json), or such logs")
      ->required();
  c->add_option("--port", request->port, "port to listen on, at 127.0.0.1; 0: any that is free")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  c->footer(
      "The page shows what the run's log says, as it is written: whether the run lasts, is over, "
      "or\n"
      "goes on later. Afterwards it is the run's report. Its address is printed on stderr.\n"
      "Examples:\n"
      "  gavel watch judge\n"
      "  gavel watch sweep/*/ --port 8081                several beside each other\n"
      "  ssh -L 8081:127.0.0.1:8081 machine gavel watch judge --port 8081");
  c->callback([request] {
    run_watch(*request, interrupted);
    forget_interrupt();
  });
}

}  // namespace gavel
