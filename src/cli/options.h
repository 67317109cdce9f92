// Reading a CLI::App's description.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace gavel::cli {

struct OptionText {
  std::vector<std::string> names;   // "-m", "--max-tokens"; empty: a positional
  std::string value;                // "FILE", "INT"; "": a flag
  std::vector<std::string> values;  // where only these are allowed
  std::string description;
  std::string initial;   // its default as text, ""
  bool several = false;  // takes more than one value
};

struct CommandText {
  std::string name, description, footer;
  std::vector<OptionText> options;
};

std::vector<CommandText> describe_commands(const CLI::App& app);

}  // namespace gavel::cli
