#include "data_sets.h"

#include "base/cache.h"
#include "base/error.h"
#include "base/random.h"
#include "data/join_files.h"
#include "data/token_cache.h"
#include "hub/hub.h"

namespace gavel {
namespace fs = std::filesystem;
namespace {

std::string id_of(const std::vector<fs::path>& files) {
  uint64_t hash = 0;
  for (const fs::path& file : files) hash = stable_hash(file.string(), hash);  // with the commit
  return fmt::format("{:016x}", hash);
}

// One file of the split's: itself, or all of them joined.
fs::path one_file(const std::vector<fs::path>& files, const fs::path& cache) {
  if (files.size() == 1) return files[0];
  constexpr uint64_t kLimit = uint64_t{8} << 30;
  const fs::path folder = cache / "joined", out = folder / (id_of(files) + ".jsonl");
  std::error_code ec;
  if (fs::is_regular_file(out, ec)) return out;
  fs::create_directories(folder);
  join_files(files, out);
  trim_token_cache(folder, out, kLimit);
  return out;
}

void link(const fs::path& to, const fs::path& link) {
  std::error_code ec;
  if (fs::exists(link, ec) && fs::read_symlink(link, ec) == to) return;
  fs::remove(link, ec);
  fs::create_symlink(to, link);
}

// What a file's name ends with from its first dot on: "train-00000-of-00001.jsonl.gz".
std::string endings_of(const fs::path& file) {
  const std::string name = file.filename().string();
  const size_t dot = name.find('.', 1);
  return dot == std::string::npos ? "" : name.substr(dot);
}

}  // namespace

CLI::Option* add_split_name_option(CLI::App& c, std::string& split, const char* standard) {
  split = standard;
  return c.add_option("--split-name", split, "which split of a data set of the hub")
      ->capture_default_str();
}

std::optional<std::vector<fs::path>> data_set_files(const std::string& name,
                                                    const std::string& split) {
  const auto data_set = parse_data_set_name(name);
  std::error_code ec;
  const fs::path path = name;
  // A file that is not there must not be asked for at the hub.
  if (!data_set || fs::exists(path, ec) || fs::exists(path.parent_path(), ec)) return std::nullopt;
  for (const char* ending :
       {".jsonl", ".json", ".csv", ".tsv", ".gz", ".xz", ".zst", ".zip", ".parquet", ".arrow"})
    if (name.ends_with(ending)) return std::nullopt;
  return fetch_data_set(*data_set, split, hub_options_from_environment());
}

std::vector<fs::path> data_set_files_of(const std::string& name, const std::string& split,
                                        const CLI::Option& asked) {
  if (const auto files = data_set_files(name, split)) return *files;
  if (asked.count() > 0)
    throw UsageError(
        fmt::format("--split-name is for a data set of the hub, and {} is none", name));
  return {};
}

std::string training_folder(const std::string& name, const std::string& split, bool test,
                            const CLI::Option& asked) {
  const auto files = data_set_files_of(name, split, asked);
  if (files.empty()) return name;
  const fs::path cache = cache_directory() / "data_sets";
  if (cache_directory().empty())
    fail("{}: there is no folder for gavel's cache: say where with GAVEL_CACHE_DIR", name);
  std::vector<std::pair<std::string, std::vector<fs::path>>> splits = {{"train", files}};
  std::vector<fs::path> all = files;
  for (const auto& [ours, theirs] : {std::pair{"valid", "validation"}, {"test", "test"}}) {
    if (theirs == split || (std::string(ours) == "test" && !test)) continue;
    try {
      splits.emplace_back(ours, *data_set_files(name, theirs));
    } catch (const NoSplit&) {
      if (std::string(ours) == "test") throw;
      continue;
    }
    all.insert(all.end(), splits.back().second.begin(), splits.back().second.end());
  }
  const fs::path folder = cache / id_of(all);
  fs::create_directories(folder);
  for (const auto& [ours, parts] : splits) {
    const fs::path file = one_file(parts, cache);
    link(file, folder / (ours + endings_of(file)));
  }
  return folder.string();
}

}  // namespace gavel
