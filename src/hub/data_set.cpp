// Data sets by name; see hub.h.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <regex>

#include "base/error.h"
#include "base/file.h"
#include "hub/cache.h"
#include "hub/data_files.h"
#include "hub/download.h"
#include "hub/hub.h"

namespace gavel {
namespace fs = std::filesystem;
namespace {

constexpr const char* kConverted = "refs/convert/parquet";
constexpr const char* kReadme = "README.md";

std::string readme_of(const fs::path& snapshot) {
  std::error_code ec;
  return fs::is_regular_file(snapshot / kReadme, ec) ? read_file(snapshot / kReadme) : "";
}

// The names of a snapshot's files, as the hub would list them.
std::vector<std::string> names_in(const fs::path& snapshot) {
  std::vector<std::string> names;
  std::error_code ec;
  for (auto it = fs::recursive_directory_iterator(snapshot, ec);
       !ec && it != fs::recursive_directory_iterator(); it.increment(ec))
    if (fs::is_regular_file(it->path(), ec))
      names.push_back(it->path().lexically_relative(snapshot).string());
  return names;
}

std::vector<fs::path> paths_in(const fs::path& snapshot, const std::vector<std::string>& files) {
  std::vector<fs::path> paths;
  for (const std::string& file : files) paths.push_back(snapshot / file);
  return paths;
}

std::vector<std::string> chosen(const std::vector<std::string>& files, const std::string& readme,
                                const DataSetName& name, const std::string& split, bool converted) {
  return converted ? hub::converted_files(files, name.config, split, name.repo)
                   : hub::data_files(files, readme, name.config, split, name.repo);
}

// Without any network.
std::optional<std::vector<fs::path>> cached(const HubName& repo, const DataSetName& name,
                                            const std::string& split, const HubOptions& o) {
  const auto commit = hub::cached_commit(o, repo);
  if (!commit) return std::nullopt;
  const fs::path snapshot = hub::repo_directory(o, repo) / "snapshots" / *commit;
  const auto files =
      chosen(names_in(snapshot), readme_of(snapshot), name, split, repo.revision == kConverted);
  if (files.empty()) return std::nullopt;
  if (!hub::has_all_shards(files))
    fail(
        "{}@{}: of the split {} the cache {} has only a part, and HF_HUB_OFFLINE forbids to "
        "download the rest",
        name.repo, repo.revision, split, o.cache.string());
  return paths_in(snapshot, files);
}

std::vector<fs::path> fetched(const HubName& repo, const DataSetName& name,
                              const std::string& split, const HubOptions& o) {
  const hub::Revision revision = hub::ask_revision(repo, o);
  const bool converted = repo.revision == kConverted;
  const auto has = [&](const char* file) {
    return std::find(revision.files.begin(), revision.files.end(), file) != revision.files.end();
  };
  std::string readme;
  if (!converted && has(kReadme))
    readme = readme_of(hub::download_files(repo, revision.commit, {kReadme}, o));
  const auto files = chosen(revision.files, readme, name, split, converted);
  if (files.empty()) return {};
  return paths_in(hub::download_files(repo, revision.commit, files, o), files);
}

}  // namespace

std::optional<DataSetName> parse_data_set_name(const std::string& text) {
  static const std::regex form(
      R"(([A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*)(?::([A-Za-z0-9][A-Za-z0-9._/ -]*))?(?:@([A-Za-z0-9][A-Za-z0-9._/-]*))?)");
  std::smatch m;
  if (text.size() > 300 || !std::regex_match(text, m, form)) return std::nullopt;
  DataSetName name{m[1].str(), m[2].str(), m[3].matched ? m[3].str() : "main"};
  for (const std::string& part : {name.config, name.revision})
    if (part.find("..") != std::string::npos || part.ends_with("/") ||
        part.find("//") != std::string::npos)
      return std::nullopt;
  return name;
}

std::vector<fs::path> fetch_data_set(const DataSetName& name, const std::string& split,
                                     const HubOptions& o) {
  const HubName own{name.repo, "", name.revision, true};
  const HubName converted{name.repo, "", kConverted, true};
  const bool may_convert = name.revision == "main";
  if (o.offline) {
    if (const auto files = cached(own, name, split, o)) return *files;
    if (may_convert)
      if (const auto files = cached(converted, name, split, o)) return *files;
    fail("{}@{} is not in the cache {}, and HF_HUB_OFFLINE forbids to download it", name.repo,
         name.revision, o.cache.string());
  }
  if (auto files = fetched(own, name, split, o); !files.empty()) return files;
  if (may_convert) {
    spdlog::info("{} has no files of data that could be read: the hub's own Parquet files of it",
                 name.repo);
    if (auto files = fetched(converted, name, split, o); !files.empty()) return files;
  }
  fail("{}@{} has no Parquet, Arrow, JSON or CSV files that could be read", name.repo,
       name.revision);
}

}  // namespace gavel
