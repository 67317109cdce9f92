// What the shell and the manual know of the program, from the one description that parses its
// options.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace gavel {

// A script that makes the shell complete subcommands, options, their values where they are listed,
// and file names. `shell`: bash, zsh or fish; throws UsageError for another.
std::string completion_script(const CLI::App& app, const std::string& shell);

// The manual page (roff, section 1): every subcommand with its options and examples.
std::string manual_page(const CLI::App& app, const std::string& version);

// The same as a JSON object: `version`, and `commands` with `name`, `description` and `options`,
// each with `names`, `value` ("": a flag), `values` (where only these are allowed), `several` (may
// be given several times), `default` and `description`. The Python module is made from it.
std::string options_json(const CLI::App& app, const std::string& version);

// "Did you mean --data?" for the first of the arguments (without the program's name) that is no
// command or option; "" where there is none or nothing is near.
std::string suggestion(const CLI::App& app, const std::vector<std::string>& arguments);

}  // namespace gavel
