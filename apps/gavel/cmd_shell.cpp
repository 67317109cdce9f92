// gavel completion, doctor.
#include <fmt/format.h>

#include <memory>

#include "base/error.h"
#include "cli/description.h"
#include "commands.h"
#include "doctor/doctor.h"
#include "hub/hub.h"
#include "options.h"

namespace gavel {

void add_completion_command(CLI::App& app, const std::string& version) {
  auto* c = app.add_subcommand(
      "completion", "a script for a shell's completion, the manual page, or the options");
  auto shell = std::make_shared<std::string>();
  c->add_option("shell", *shell,
                "bash, zsh, fish; man: the manual page; json: every option as data")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish", "man", "json"}));
  c->footer(
      "Examples:\n"
      "  gavel completion bash > ~/.local/share/bash-completion/completions/gavel\n"
      "  gavel completion zsh > ~/.zfunc/_gavel          where $fpath has ~/.zfunc\n"
      "  gavel completion fish > ~/.config/fish/completions/gavel.fish\n"
      "  gavel completion man | man -l -");
  c->callback([&app, shell, version] {
    const auto text = *shell == "man"    ? manual_page(app, version)
                      : *shell == "json" ? options_json(app, version)
                                         : completion_script(app, *shell);
    std::fwrite(text.data(), 1, text.size(), stdout);
  });
}

void add_doctor_command(CLI::App& app, const std::string& version) {
  auto* c = app.add_subcommand("doctor", "what gavel has to work with here, and what is wrong");
  auto json = std::make_shared<bool>(false);
  add_json_flag(*c, *json, "an object");
  c->footer(
      "Exit code 1 where something is wrong; each such line ends with its remedy.\n"
      "Examples:\n"
      "  gavel doctor\n"
      "  gavel doctor --json");
  c->callback([json, version] {
    const auto findings = examine(version, hub_options_from_environment().cache);
    const std::string text = *json ? findings_json(findings) : findings_text(findings);
    std::fwrite(text.data(), 1, text.size(), stdout);
    const auto wrong = count_wrong(findings);
    if (wrong > 0) fail("{} {} wrong", wrong, wrong == 1 ? "thing is" : "things are");
  });
}

}  // namespace gavel
