#include "hub/hub.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "base/blanks.h"
#include "base/error.h"
#include "base/file.h"
#include "base/gguf_part_name.h"
#include "base/progress.h"
#include "base/system.h"
#include "hub/cache.h"
#include "hub/download.h"
#include "hub/near.h"

namespace gavel {
namespace fs = std::filesystem;
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool is_true(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return std::toupper(c); });
  return text == "1" || text == "ON" || text == "YES" || text == "TRUE";
}

bool wanted(const std::string& file) {
  static const std::set<std::string> names{
      "config.json",           "generation_config.json",      "tokenizer.json",
      "tokenizer_config.json", "special_tokens_map.json",     "added_tokens.json",
      "chat_template.jinja",   "model.safetensors.index.json"};
  return names.contains(file) || (file.starts_with("model") && file.ends_with(".safetensors") &&
                                  file.find('/') == std::string::npos);
}

// Of a directory of the cache; "" where it is not a model's.
std::string cached_name(const fs::path& directory) {
  const std::string name = directory.filename().string();
  if (!name.starts_with("models--")) return "";
  const size_t dashes = name.find("--", 8);
  return dashes == std::string::npos
             ? name.substr(8)
             : fmt::format("{}/{}", name.substr(8, dashes - 8), name.substr(dashes + 2));
}

}  // namespace

namespace hub {

fs::path repo_directory(const HubOptions& options, const HubName& name) {
  std::string folder = name.data_set ? "datasets" : "models";
  const size_t slash = name.repo.find('/');
  folder += "--" + name.repo.substr(0, slash);
  if (slash != std::string::npos) folder += "--" + name.repo.substr(slash + 1);
  return options.cache / folder;
}

std::optional<std::string> cached_commit(const HubOptions& options, const HubName& name) {
  if (is_commit(name.revision)) return name.revision;
  std::error_code ec;
  const fs::path ref = repo_directory(options, name) / "refs" / name.revision;
  if (!fs::is_regular_file(ref, ec)) return std::nullopt;
  const std::string commit(trimmed(read_file(ref, 4096)));
  if (!is_commit(commit)) return std::nullopt;
  return commit;
}

std::vector<std::string> cached_names(const HubOptions& options) {
  std::vector<std::string> out;
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(options.cache, ec))
    if (const std::string name = cached_name(entry.path()); !name.empty()) out.push_back(name);
  std::sort(out.begin(), out.end());
  return out;
}

bool is_commit(const std::string& text) {
  return text.size() == 40 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

bool is_plain_name(const std::string& text) {
  return !text.empty() && text.size() <= 255 && text[0] != '.' &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return std::isalnum(c) || c == '.' || c == '_' || c == '-' || c == '+';
         });
}

bool is_plain_path(const std::string& text) {
  if (text.empty() || text.size() > 500 || text.back() == '/') return false;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('/', begin), text.size());
    if (end == begin || end - begin > 255 || text[begin] == '.') return false;
    begin = end + 1;
  }
  return std::none_of(text.begin(), text.end(),
                      [](unsigned char c) { return c < 0x20 || c == 0x7F || c == '\\'; });
}

std::vector<std::string> needed_files(const std::vector<std::string>& files,
                                      const std::string& repo) {
  std::vector<std::string> out, gguf;
  bool weights = false, config = false;
  for (const std::string& file : files) {
    if (file.ends_with(".gguf")) gguf.push_back(file);
    if (!wanted(file) || !is_plain_name(file)) continue;
    out.push_back(file);
    weights |= file.ends_with(".safetensors");
    config |= file == "config.json";
  }
  if (weights && config) return out;
  if (!gguf.empty())
    fail("{} holds GGUF files: name one, for example {}/{}", repo, repo, gguf.front());
  fail("{} has no {}, so it is no model that can be read here", repo,
       config ? "model*.safetensors" : "config.json");
}

bool is_complete(const fs::path& snapshot) {
  std::error_code ec;
  if (!fs::exists(snapshot / "config.json", ec)) return false;
  const fs::path index = snapshot / "model.safetensors.index.json";
  if (fs::exists(index, ec)) {
    const auto json = nlohmann::json::parse(read_file(index), nullptr, false);
    if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object())
      return false;
    for (const auto& file : json["weight_map"])
      if (!file.is_string() || !fs::exists(snapshot / file.get<std::string>(), ec)) return false;
    return true;
  }
  for (const auto& entry : fs::directory_iterator(snapshot, ec)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("model") && name.ends_with(".safetensors") && fs::exists(entry.path(), ec))
      return true;
  }
  return false;
}

}  // namespace hub

std::optional<HubName> parse_hub_name(const std::string& text) {
  static const std::regex form(
      R"(([A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*)(?:/([A-Za-z0-9][A-Za-z0-9._+-]*))?(?:@([A-Za-z0-9][A-Za-z0-9._/-]*))?)");
  std::smatch m;
  if (text.size() > 300 || !std::regex_match(text, m, form)) return std::nullopt;
  HubName name{m[1].str(), m[2].str(), m[3].matched ? m[3].str() : "main"};
  if (name.revision.find("..") != std::string::npos || name.revision.ends_with("/") ||
      name.revision.find("//") != std::string::npos)
    return std::nullopt;
  return name;
}

HubOptions hub_options_from_environment() {
  HubOptions o;
  if (const auto v = environment("HF_ENDPOINT"); !v.empty()) o.endpoint = v;
  while (o.endpoint.ends_with("/")) o.endpoint.pop_back();
  fs::path home = environment("HF_HOME");
  if (home.empty()) {
    fs::path base = environment("XDG_CACHE_HOME");
    if (base.empty()) base = fs::path(environment("HOME")) / ".cache";
    home = base / "huggingface";
  }
  o.cache = home / "hub";
  for (const char* name : {"HUGGINGFACE_HUB_CACHE", "HF_HUB_CACHE"})
    if (const auto v = environment(name); !v.empty()) o.cache = v;
  o.token = trimmed(environment("HF_TOKEN"));
  if (o.token.empty()) {
    fs::path file = environment("HF_TOKEN_PATH");
    if (file.empty()) file = home / "token";
    std::error_code ec;
    if (fs::is_regular_file(file, ec)) o.token = trimmed(read_file(file, 1 << 16));
  }
  o.offline =
      is_true(environment("HF_HUB_OFFLINE")) || is_true(environment("TRANSFORMERS_OFFLINE"));
  // Made when the total is known.
  o.progress = [bar = std::shared_ptr<Progress>()](uint64_t done, uint64_t total) mutable {
    const auto kilobytes = [](uint64_t bytes) { return static_cast<int64_t>(bytes / 1000); };
    if (!bar) bar = std::make_shared<Progress>("Downloading", kilobytes(total), "kB");
    bar->update(kilobytes(done));
    if (done >= total) bar->finish();
  };
  return o;
}

std::optional<fs::path> find_cached_model(const HubName& name, const HubOptions& options) {
  const auto commit = hub::cached_commit(options, name);
  if (!commit) return std::nullopt;
  const fs::path snapshot = hub::repo_directory(options, name) / "snapshots" / *commit;
  std::error_code ec;
  if (!name.file.empty()) {
    const auto parts = gguf_part_names(name.file);
    if (std::all_of(parts.begin(), parts.end(),
                    [&](const auto& part) { return fs::exists(snapshot / part, ec); }))
      return snapshot / name.file;
    return std::nullopt;
  }
  if (hub::is_complete(snapshot)) return snapshot;
  return std::nullopt;
}

fs::path fetch_model(const HubName& name, const HubOptions& options) {
  if (const auto cached = find_cached_model(name, options)) return *cached;
  if (options.offline)
    fail("{}@{} is not in the cache {}, and HF_HUB_OFFLINE forbids to download it{}", name.repo,
         name.revision, options.cache.string(), hub::near_model(name.repo, options));
  return hub::download(name, options);
}

std::vector<CachedModel> list_cached_models(const HubOptions& options) {
  std::vector<CachedModel> out;
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(options.cache, ec)) {
    const std::string repo = cached_name(entry.path());
    if (repo.empty()) continue;
    std::map<std::string, std::vector<std::string>> refs;  // by commit
    const fs::path refs_directory = entry.path() / "refs";
    for (auto it = fs::recursive_directory_iterator(refs_directory, ec);
         !ec && it != fs::recursive_directory_iterator(); it.increment(ec))
      if (it->is_regular_file(ec))
        refs[std::string(trimmed(read_file(it->path(), 4096)))].push_back(
            fs::relative(it->path(), refs_directory, ec).string());
    for (const auto& snapshot : fs::directory_iterator(entry.path() / "snapshots", ec)) {
      CachedModel m;
      m.repo = repo;
      m.path = snapshot.path();
      m.commit = snapshot.path().filename().string();
      m.refs = refs[m.commit];
      std::sort(m.refs.begin(), m.refs.end());
      for (auto it = fs::recursive_directory_iterator(m.path, ec);
           !ec && it != fs::recursive_directory_iterator(); it.increment(ec)) {
        const uint64_t size =
            fs::is_regular_file(it->path(), ec) ? fs::file_size(it->path(), ec) : 0;
        if (!ec) m.bytes += size;
      }
      if (fs::exists(m.path / "config.json", ec)) {
        const auto json = nlohmann::json::parse(read_file(m.path / "config.json"), nullptr, false);
        if (json.is_object() && json.contains("model_type") && json["model_type"].is_string())
          m.family = json["model_type"].get<std::string>();
      }
      m.complete = hub::is_complete(m.path);
      out.push_back(std::move(m));
    }
  }
  std::sort(out.begin(), out.end(), [](const CachedModel& a, const CachedModel& b) {
    return std::tie(a.repo, a.commit) < std::tie(b.repo, b.commit);
  });
  return out;
}

fs::path resolve_model(const std::string& name_or_path) {
  std::error_code ec;
  if (fs::exists(name_or_path, ec)) return name_or_path;
  // A path that does not exist must not be asked for at the hub.
  const fs::path path = name_or_path;
  const bool is_path = path.extension() == ".gguf" || fs::exists(path.parent_path(), ec);
  const auto name = is_path ? std::nullopt : parse_hub_name(name_or_path);
  if (name) return fetch_model(*name, hub_options_from_environment());
  // What came with the program is known by its name alone.
  for (const auto& model : hub::embedded_models(program_folder()))
    if (model.filename() == name_or_path || model.stem() == name_or_path) return model;
  fail("there is no model at {}: give a directory, a .gguf file, or org/name[@revision]{}",
       name_or_path, hub::near_model(name_or_path, hub_options_from_environment()));
}

}  // namespace gavel
