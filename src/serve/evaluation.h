// The trust report of a served judge: what `gavel eval` found out about it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace gavel {

// The body of GET /v1/models/NAME/evaluation, from an eval.json: what all judges of it have in
// common, `judge` (its entry of the adapter at `adapter`, else the last of an adapter) and `base`
// (the base model's measures, where it was judged too). `path`: an eval.json or a folder that has
// one. Nothing where there is no such file; throws Error where it is none of gavel's.
std::optional<std::string> load_evaluation(const std::filesystem::path& path,
                                           const std::filesystem::path& adapter,
                                           const std::string& name);

}  // namespace gavel
