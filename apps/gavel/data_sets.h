// Data sets of the hub where a command line names data.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace gavel {

// --split-name, with this default.
CLI::Option* add_split_name_option(CLI::App& c, std::string& split, const char* standard);

// The files of a data set's split; nothing for a name that is none, such as that of a file, also
// where there is no such file. Throws Error as fetch_data_set.
std::optional<std::vector<std::filesystem::path>> data_set_files(const std::string& name,
                                                                 const std::string& split);

// The same, or no files. Throws UsageError where a split was asked for (`asked`) and `name` is no
// data set.
std::vector<std::filesystem::path> data_set_files_of(const std::string& name,
                                                     const std::string& split,
                                                     const CLI::Option& asked);

// The folder to train from: `name`, or for a data set a folder in gavel's cache with its split as
// train, its validation split as valid where it has one, and with `test` its test split. Split
// files of several are joined to one there, which is kept for the next time.
std::string training_folder(const std::string& name, const std::string& split, bool test,
                            const CLI::Option& asked);

}  // namespace gavel
