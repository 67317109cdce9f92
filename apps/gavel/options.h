// Options that several subcommands have, with the same name and the same words.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace gavel {

inline constexpr const char* kModelHelp = "model: a directory, a .gguf file, or org/name";

inline void add_model_option(CLI::App& c, std::string& model, const char* names = "--model") {
  c.add_option(names, model, kModelHelp)->required();
}

inline void add_batch_option(CLI::App& c, int& max_batch) {
  c.add_option("--batch-size", max_batch, "sequences run at a time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
}

inline void add_exact_flag(CLI::App& c, bool& exact) {
  c.add_flag("--exact", exact, "float32 arithmetic throughout instead of 8-bit activations");
}

inline void add_json_flag(CLI::App& c, bool& json, const std::string& what) {
  c.add_flag("--json", json, "print " + what);
}

}  // namespace gavel
