#include "model/gguf_parts.h"

#include <unordered_set>

#include "base/error.h"

namespace gavel {
namespace fs = std::filesystem;
namespace {

void check_part(const GgufFile& file, int part, int64_t count, int64_t tensors) {
  const auto own_count = file.integer("split.count").value_or(1);
  const auto own_part = file.integer("split.no").value_or(0) + 1;
  if (own_count != count || own_part != part)
    fail(
        "{} calls itself part {} of {} of a split model, and its name part {} of {}: it is not "
        "this model's, or was renamed",
        file.name(), own_part, own_count, part, count);
  if (const auto n = file.integer("split.tensors.count"); n && *n != tensors)
    fail(
        "{} belongs to a model of {} tensors, and part 1 to one of {}: they are parts of "
        "different models",
        file.name(), *n, tensors);
}

}  // namespace

GgufParts::GgufParts(const fs::path& path) {
  auto named = std::make_shared<const GgufFile>(path);
  const int64_t count = named->integer("split.count").value_or(1);
  if (count <= 1) {
    files_.push_back(std::move(named));
    return;
  }
  const auto name = parse_gguf_part_name(path.filename().string());
  if (!name)
    fail(
        "{} is part {} of {} of a split model, and its name does not tell where the others are: "
        "name the parts as they were published, NAME-00001-of-{:05}.gguf and so on",
        named->name(), named->integer("split.no").value_or(0) + 1, count, count);
  int64_t tensors = -1, found = 0;
  std::unordered_set<std::string> seen;
  for (const std::string& part : gguf_part_names(path.filename().string())) {
    const fs::path at = path.parent_path() / part;
    const int number = static_cast<int>(files_.size()) + 1;
    std::error_code ec;
    if (!fs::exists(at, ec))
      fail("{} is part {} of {} of a split model, and part {} is missing: {}", named->name(),
           name->part, name->count, number, at.string());
    files_.push_back(number == name->part ? named : std::make_shared<const GgufFile>(at));
    const GgufFile& file = *files_.back();
    if (number == 1) tensors = file.integer("split.tensors.count").value_or(-1);
    check_part(file, number, name->count, tensors);
    for (const GgufTensor& t : file.tensors())
      if (!seen.insert(t.name).second)
        fail("{}: tensor {} is also in another part: they are parts of different models",
             file.name(), t.name);
    found += static_cast<int64_t>(file.tensors().size());
  }
  if (tensors >= 0 && found != tensors)
    fail(
        "the {} parts of {} hold {} tensors, and split.tensors.count says {}: they are not all of "
        "one model",
        name->count, named->name(), found, tensors);
}

GgufParts::Tensor GgufParts::find_tensor(const std::string& name) const {
  for (const auto& file : files_)
    if (const GgufTensor* tensor = file->find_tensor(name)) return {file, tensor};
  return {};
}

}  // namespace gavel
