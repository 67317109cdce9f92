// Options that several subcommands have, with the same name and the same words.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "ops/device.h"

namespace gavel {

inline constexpr const char* kModelHelp = "model: a directory, a .gguf file, or org/name";

inline void add_model_option(CLI::App& c, std::string& model, const char* names = "--model") {
  c.add_option(names, model, kModelHelp)->required();
}

inline void add_chat_template_option(CLI::App& c, std::string& file) {
  c.add_option("--chat-template", file, "Jinja file in place of the model's own chat template")
      ->type_name("FILE");
}

inline void add_batch_option(CLI::App& c, int& max_batch) {
  c.add_option("--batch-size", max_batch, "sequences run at a time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
}

// Where to compute, and in which type on a GPU.
inline void add_device_options(CLI::App& c, DeviceOptions& options) {
  c.add_option("--device", options.device,
               "cpu or gpu (default: GAVEL_DEVICE, else the GPU where there is one)")
      ->check(CLI::IsMember({"cpu", "gpu"}));
  c.add_option("--dtype", options.dtype, "of activations on a GPU: bfloat16 (default) or float32")
      ->check(CLI::IsMember({"bfloat16", "float32"}));
}

// How generating and judging round on the CPU.
inline void add_inference_options(CLI::App& c, DeviceOptions& options) {
  using kernels::Precision;
  add_device_options(c, options);
  auto& precision = options.precision;
  auto* exact = c.add_flag_callback(
      "--exact", [&precision] { precision = Precision::float32; },
      "float32 throughout; otherwise what meets quantized weights is rounded to 16 bits");
  auto* fast = c.add_flag_callback(
      "--fast", [&precision] { precision = Precision::int8; },
      "round it to 8 bits: faster, but texts differ and probabilities move by some points");
  exact->excludes(fast);
}

inline void add_json_flag(CLI::App& c, bool& json, const std::string& what) {
  c.add_flag("--json", json, "print " + what);
}

}  // namespace gavel
