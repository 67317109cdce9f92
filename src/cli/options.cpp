#include "cli/options.h"

#include "base/blanks.h"

namespace gavel::cli {
namespace {

// "TEXT:{cpu,gpu}": what stands in the braces.
std::vector<std::string> listed_values(const std::string& type) {
  const size_t open = type.find('{'), close = type.rfind('}');
  if (open == std::string::npos || close == std::string::npos || close < open) return {};
  std::vector<std::string> values;
  const auto list = std::string_view(type).substr(open + 1, close - open - 1);
  for (const auto& value : trimmed_pieces(list, ',')) values.emplace_back(value);
  return values;
}

OptionText describe(const CLI::Option& option) {
  OptionText out;
  for (const auto& name : option.get_snames()) out.names.push_back("-" + name);
  for (const auto& name : option.get_lnames()) out.names.push_back("--" + name);
  out.description = option.get_description();
  out.initial = option.get_default_str();
  if (option.get_items_expected_max() > 0 && option.get_type_size_max() > 0) {
    const std::string type = option.get_type_name();
    out.value = type.substr(0, type.find_first_of(":{ "));
    if (out.value.empty()) out.value = "VALUE";
    out.values = listed_values(type);
    out.several = option.get_items_expected_max() > 1;
  }
  if (out.names.empty()) out.value = option.get_name(true);
  return out;
}

}  // namespace

std::vector<CommandText> describe_commands(const CLI::App& app) {
  std::vector<CommandText> out;
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    CommandText text{command->get_name(), command->get_description(), command->get_footer(), {}};
    for (const CLI::Option* option : command->get_options())
      text.options.push_back(describe(*option));
    out.push_back(std::move(text));
  }
  return out;
}

}  // namespace gavel::cli
