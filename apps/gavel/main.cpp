// gavel: fine-tune a language model to be a judge.
#include <cstdio>
#include <exception>
#include <string>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "cli/description.h"
#include "commands.h"
#include "commit.h"
#include "launcher/loaded.h"
#include "ops/library.h"
#include "ops/startup.h"

extern "C" __attribute__((visibility("default"))) int gavel_main(int argc, char** argv,
                                                                 const GavelLibrary* library) {
  CLI::App app{
      "gavel fine-tunes a language model to be a judge: LoRA on MLX, from preference data to a\n"
      "measured, exported judge.\n\n"
      "Results go to stdout, progress and messages to stderr. Exit codes: 0 done, 1 the input or "
      "an\n"
      "operation was bad, 2 wrong usage, 130 interrupted.",
      "gavel"};
  const std::string version = GAVEL_VERSION " (" GAVEL_COMMIT ")";
  app.set_version_flag("--version", "gavel " + version);
  app.require_subcommand(1);
  app.fallthrough(false);
  try {
    gavel::add_demo_command(app);
    gavel::add_prepare_command(app);
    gavel::add_train_command(app);
    gavel::add_plan_command(app);
    gavel::add_generate_command(app);
    gavel::add_chat_command(app);
    gavel::add_eval_command(app);
    gavel::add_judge_command(app);
    gavel::add_best_command(app);
    gavel::add_report_command(app);
    gavel::add_watch_command(app);
    gavel::add_sweep_command(app);
    gavel::add_fuse_command(app);
    gavel::add_convert_command(app);
    gavel::add_export_command(app);
    gavel::add_serve_command(app);
    gavel::add_models_command(app);
    gavel::add_devices_command(app);
    gavel::add_doctor_command(app, version);
    gavel::add_completion_command(app, version);

    gavel::log_to_stderr();
    gavel::catch_interrupts();
    gavel::set_mlx_library({library->path, library->skipped, library->reason});
    gavel::start_up();
    app.parse(argc, argv);
    return gavel::interrupted() ? 130 : 0;
  } catch (const CLI::ParseError& e) {
    if (app.exit(e) == 0) return 0;
    const std::string meant = gavel::suggestion(app, {argv + 1, argv + argc});
    if (!meant.empty()) std::fprintf(stderr, "%s\n", meant.c_str());
    return 2;
  } catch (const gavel::UsageError& e) {
    std::fprintf(stderr, "gavel: %s\n", e.what());
    return 2;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "gavel: %s\n", e.what());
    return 1;
  }
}
