#include <fmt/format.h>

#include <algorithm>

#include "base/spelling.h"
#include "cli/description.h"
#include "cli/options.h"

namespace gavel {

std::string suggestion(const CLI::App& app, const std::vector<std::string>& arguments) {
  const auto commands = cli::describe_commands(app);
  std::vector<std::string> known;
  for (const auto& command : commands) known.push_back(command.name);
  const auto said = [](const std::string& word, const std::vector<std::string>& words) {
    const std::string meant = nearest(word, words);
    return meant.empty() ? "" : fmt::format("Did you mean {}?", meant);
  };
  if (arguments.empty() || arguments[0].starts_with("-")) return "";
  const auto command = std::find_if(commands.begin(), commands.end(),
                                    [&](const auto& c) { return c.name == arguments[0]; });
  if (command == commands.end()) return said(arguments[0], known);
  known.clear();
  for (const auto& option : command->options)
    known.insert(known.end(), option.names.begin(), option.names.end());
  for (const auto& argument : arguments) {
    const std::string name = argument.substr(0, argument.find('='));
    if (name == "--") break;
    if (name.starts_with("--") && std::find(known.begin(), known.end(), name) == known.end())
      return said(name, known);
  }
  return "";
}

}  // namespace gavel
