#include "model/weights.h"

#include <algorithm>

#include "base/error.h"
#include "model/directory_model.h"
#include "model/gguf_model.h"

namespace gavel {
namespace fs = std::filesystem;

namespace {

LoadedModel load_any(const fs::path& path) {
  std::error_code ec;
  if (fs::is_directory(path, ec)) return load_directory_model(path);
  if (!fs::exists(path, ec))
    fail("there is no model at {}: give a directory, a .gguf file, or org/name", path.string());
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  if (extension == ".safetensors" || extension == ".json")
    fail("{} is a single file of a model: give the directory that holds it", path.string());
  return load_gguf_model(path);
}

}  // namespace

LoadedModel load_model(const fs::path& path) {
  LoadedModel model = load_any(path);
  warn_of_window(model.config, path.string());
  return model;
}

}  // namespace gavel
