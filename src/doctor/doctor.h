// What gavel has to work with on this machine, and what is wrong with it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace gavel {

struct Finding {
  std::string name, value;
  std::string problem;  // "": nothing is wrong
  std::string remedy;   // of the problem
};

// Looks at the processor and its kernels, MLX, BLAS, devices, memory, disk and caches. `hub_cache`:
// where the Hugging Face hub's models are kept. Needs start_up() to have passed; changes nothing.
std::vector<Finding> examine(const std::string& version, const std::filesystem::path& hub_cache);

size_t count_wrong(const std::vector<Finding>& findings);

// A line each, problems and their remedies indented below; or a JSON object.
std::string findings_text(const std::vector<Finding>& findings);
std::string findings_json(const std::vector<Finding>& findings);

}  // namespace gavel
