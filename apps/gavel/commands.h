// The subcommands: each adds itself to the command line and, when chosen, runs a library call.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace gavel {

void add_demo_command(CLI::App& app);
void add_prepare_command(CLI::App& app);
void add_train_command(CLI::App& app);
void add_plan_command(CLI::App& app);
void add_generate_command(CLI::App& app);
void add_chat_command(CLI::App& app);
void add_eval_command(CLI::App& app);
void add_judge_command(CLI::App& app);
void add_best_command(CLI::App& app);
void add_report_command(CLI::App& app);
void add_watch_command(CLI::App& app);
void add_sweep_command(CLI::App& app);
void add_fuse_command(CLI::App& app);
void add_convert_command(CLI::App& app);
void add_export_command(CLI::App& app);
void add_models_command(CLI::App& app);
void add_serve_command(CLI::App& app);
void add_devices_command(CLI::App& app);
void add_doctor_command(CLI::App& app, const std::string& version);
void add_completion_command(CLI::App& app, const std::string& version);

}  // namespace gavel
