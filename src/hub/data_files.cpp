#include "hub/data_files.h"

#include <fmt/ranges.h>
#include <fnmatch.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <optional>
#include <set>

#include "base/error.h"
#include "hub/cache.h"
#include "hub/hub.h"

namespace gavel::hub {
namespace {

using Names = std::vector<std::string>;

// Of a config's splits: patterns of the files' names.
using Splits = std::vector<std::pair<std::string, Names>>;
struct Config {
  std::string name;
  bool is_default = false;
  Splits splits;
};

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

bool is_data(const std::string& path) {
  if (!is_plain_path(path)) return false;
  std::string name = file_name(path);
  for (const char* packed : {".gz", ".xz", ".zst", ".zip"})
    if (name.ends_with(packed)) name.erase(name.rfind('.'));
  static const std::set<std::string> kAbout{"dataset_info.json", "dataset_infos.json", "state.json",
                                            "dataset_dict.json", "config.json"};
  if (kAbout.contains(name)) return false;
  for (const char* ending : {".parquet", ".arrow", ".jsonl", ".json", ".csv", ".tsv"})
    if (name.ends_with(ending)) return true;
  return false;
}

// "validation" for val, valid and dev, and so on; other names as they are.
std::string split_of(const std::string& word) {
  if (word == "training") return "train";
  if (word == "val" || word == "valid" || word == "dev") return "validation";
  if (word == "testing" || word == "eval" || word == "evaluation") return "test";
  return word;
}

// By the words of its folders and its name ("data/train-00000-of-00002.parquet"), the last that is
// a split's.
std::optional<std::string> split_of_file(const std::string& path) {
  std::optional<std::string> found;
  std::string word;
  for (const char c : path + "/") {
    if (std::isalpha(static_cast<unsigned char>(c)) != 0) {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      continue;
    }
    const std::string split = split_of(word);
    if (split == "train" || split == "validation" || split == "test") found = split;
    word.clear();
  }
  // push_to_hub's names may have any split: data/SPLIT-00000-of-00002-hash.parquet.
  const std::string name = file_name(path);
  const size_t of = name.find("-of-");
  if (path.starts_with("data/") && of != std::string::npos && of >= 7 && name[of - 6] == '-')
    return name.substr(0, of - 6);
  return found;
}

bool matches(const std::string& pattern, const std::string& path) {
  if (pattern.find("**") == std::string::npos)
    return ::fnmatch(pattern.c_str(), path.c_str(), FNM_PATHNAME | FNM_PERIOD) == 0;
  // "**/" is any folders, also none.
  std::string without = pattern;
  for (size_t at; (at = without.find("**/")) != std::string::npos;) without.erase(at, 3);
  return ::fnmatch(pattern.c_str(), path.c_str(), 0) == 0 ||
         ::fnmatch(without.c_str(), path.c_str(), 0) == 0;
}

Names patterns_of(const YAML::Node& node, const std::string& folder) {
  Names out;
  const auto add = [&](std::string pattern) {
    if (pattern.starts_with("./")) pattern.erase(0, 2);
    out.push_back(folder.empty() ? pattern : folder + "/" + pattern);
  };
  if (node.IsScalar()) add(node.as<std::string>());
  if (node.IsSequence())
    for (const YAML::Node& one : node) add(one.as<std::string>());
  return out;
}

Splits splits_of(const YAML::Node& data_files, const std::string& folder) {
  Splits out;
  const bool by_split = data_files.IsSequence() && data_files.size() > 0 && data_files[0].IsMap();
  if (by_split) {
    for (const YAML::Node& one : data_files)
      if (one["path"])
        out.emplace_back(one["split"] ? one["split"].as<std::string>() : "train",
                         patterns_of(one["path"], folder));
  } else if (data_files.IsMap()) {
    for (const auto& one : data_files)
      out.emplace_back(one.first.as<std::string>(), patterns_of(one.second, folder));
  } else if (data_files) {
    out.emplace_back("train", patterns_of(data_files, folder));
  }
  return out;
}

// The configs of the front matter: what stands between two lines of "---".
std::vector<Config> configs_of(const std::string& readme, const std::string& repo) {
  constexpr size_t kMost = size_t{1} << 20;
  const size_t end = readme.find("\n---", 3);
  if (!readme.starts_with("---") || end == std::string::npos || end > kMost) return {};
  std::vector<Config> out;
  try {
    const YAML::Node configs = YAML::Load(readme.substr(3, end - 3))["configs"];
    if (!configs || !configs.IsSequence()) return {};
    for (const YAML::Node& node : configs) {
      if (!node.IsMap()) continue;
      Config config;
      config.name = node["config_name"] ? node["config_name"].as<std::string>() : "default";
      config.is_default = node["default"] && node["default"].as<bool>();
      std::string folder = node["data_dir"] ? node["data_dir"].as<std::string>() : "";
      while (folder.ends_with('/')) folder.pop_back();
      if (node["data_files"])
        config.splits = splits_of(node["data_files"], folder);
      else if (!folder.empty())
        config.splits = {{"", {folder + "/**"}}};  // as the names say
      out.push_back(std::move(config));
    }
  } catch (const YAML::Exception& e) {
    fail("{}: the configs of its README.md cannot be read: {}", repo, e.what());
  }
  return out;
}

const Config& chosen(const std::vector<Config>& configs, const std::string& name,
                     const std::string& repo) {
  Names names;
  for (const Config& config : configs) {
    if (name.empty() ? config.is_default || config.name == "default" || configs.size() == 1
                     : config.name == name)
      return config;
    names.push_back(config.name);
  }
  if (name.empty())
    fail("{} has several configs: name one, for example {}:{} (there are {})", repo, repo,
         names.front(), fmt::join(names, ", "));
  fail("{} has no config {}: there are {}", repo, name, fmt::join(names, ", "));
}

// The files of a split where their names say which it is; all are train where none does.
std::map<std::string, Names> by_names(const Names& files) {
  std::map<std::string, Names> out;
  for (const std::string& file : files)
    if (const auto split = split_of_file(file)) out[*split].push_back(file);
  if (out.empty() && !files.empty()) out["train"] = files;
  return out;
}

// One format alone: a data set may be there as Parquet and as JSON lines too.
Names of_one_format(Names files) {
  const auto format = [](const std::string& file) {
    const std::string name = file_name(file);
    for (const char* ending : {".parquet", ".arrow", ".jsonl", ".json", ".csv", ".tsv"})
      if (name.find(ending) != std::string::npos) return std::string(ending);
    return std::string();
  };
  std::map<std::string, size_t> counts;
  for (const std::string& file : files) ++counts[format(file)];
  if (counts.size() > 1 && counts.contains(".parquet"))
    std::erase_if(files, [&](const std::string& file) { return format(file) != ".parquet"; });
  return files;
}

Names split_files(const std::map<std::string, Names>& splits, const std::string& split,
                  const std::string& repo) {
  auto it = splits.find(split);
  if (it == splits.end()) it = splits.find(split_of(split));
  Names names;
  for (const auto& [name, files] : splits) names.push_back(name);
  if (it == splits.end())
    throw NoSplit(fmt::format("{} has no split {}: --split-name is one of {}", repo, split,
                              fmt::join(names, ", ")));
  Names out = of_one_format(it->second);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace

Names data_files(const Names& files, const std::string& readme, const std::string& config,
                 const std::string& split, const std::string& repo) {
  Names data;
  for (const std::string& file : files)
    if (is_data(file)) data.push_back(file);
  if (data.empty()) return {};
  const std::vector<Config> configs = configs_of(readme, repo);
  if (configs.empty()) {
    if (!config.empty()) {
      std::erase_if(data, [&](const std::string& file) { return !file.starts_with(config + "/"); });
      if (data.empty()) fail("{} has no config and no folder {}", repo, config);
    }
    return split_files(by_names(data), split, repo);
  }
  std::map<std::string, Names> splits;
  for (const auto& [name, patterns] : chosen(configs, config, repo).splits) {
    Names matching;
    for (const std::string& file : data)
      if (std::any_of(patterns.begin(), patterns.end(),
                      [&](const std::string& pattern) { return matches(pattern, file); }))
        matching.push_back(file);
    if (name.empty()) return split_files(by_names(matching), split, repo);
    if (!matching.empty()) splits[name] = matching;
  }
  return split_files(splits, split, repo);
}

Names converted_files(const Names& files, const std::string& config, const std::string& split,
                      const std::string& repo) {
  std::map<std::string, std::map<std::string, Names>> configs;
  for (const std::string& file : files) {
    const size_t first = file.find('/'), last = file.rfind('/');
    if (!is_plain_path(file) || !file.ends_with(".parquet") || first == last) continue;
    configs[file.substr(0, first)][file.substr(first + 1, last - first - 1)].push_back(file);
  }
  if (configs.empty()) return {};
  std::vector<Config> all;
  for (const auto& [name, splits] : configs) all.push_back({name, false, {}});
  return split_files(configs.at(chosen(all, config, repo).name), split, repo);
}

bool has_all_shards(const Names& files) {
  std::map<std::string, size_t> shards;  // how many of each set of shards are there
  for (const std::string& file : files) {
    const size_t of = file.rfind("-of-");
    if (of == std::string::npos || of < 6 || file.size() < of + 9) continue;
    const std::string digits = file.substr(of + 4, 5);
    if (digits.find_first_not_of("0123456789") != std::string::npos) continue;
    ++shards[file.substr(0, of - 5) + digits];
  }
  return std::all_of(shards.begin(), shards.end(), [](const auto& set) {
    return set.second == std::stoul(set.first.substr(set.first.size() - 5));
  });
}

}  // namespace gavel::hub
