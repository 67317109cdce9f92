#include <nlohmann/json.hpp>

#include "cli/description.h"
#include "cli/options.h"

namespace gavel {

std::string options_json(const CLI::App& app, const std::string& version) {
  auto commands = nlohmann::ordered_json::array();
  for (const auto& command : cli::describe_commands(app)) {
    auto options = nlohmann::ordered_json::array();
    for (const auto& o : command.options)
      options.push_back({{"names", o.names},
                         {"value", o.value},
                         {"values", o.values},
                         {"several", o.several},
                         {"default", o.initial},
                         {"description", o.description}});
    commands.push_back({{"name", command.name},
                        {"description", command.description},
                        {"options", std::move(options)}});
  }
  return nlohmann::ordered_json{{"version", version}, {"commands", commands}}.dump(1) + "\n";
}

}  // namespace gavel
