// Models and data sets by name: the Hugging Face hub and its cache on disk.
//
// The cache has huggingface_hub's own layout, and either program sees what the other fetched:
//   models--org--name/blobs/<etag>          contents (of a data set: datasets--org--name)
//   models--org--name/snapshots/<commit>/   links into blobs
//   models--org--name/refs/<branch or tag>  the commit that it names
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace gavel {

// "org/name", "org/name@revision", "org/name/file.gguf@revision".
struct HubName {
  std::string repo;  // "org/name"
  std::string file;  // one file of it, or "" for the model's own files
  std::string revision = "main";
  bool data_set = false;
};
// Nothing where `text` does not have that form.
std::optional<HubName> parse_hub_name(const std::string& text);

struct HubOptions {
  std::string endpoint = "https://huggingface.co";
  std::filesystem::path cache;  // the "hub" directory
  std::string token;            // sent to the endpoint's own host only
  bool offline = false;         // use only what is in the cache
  int connections = 4;
  int attempts = 5;                            // for each request, as long as none brings anything
  std::chrono::milliseconds retry_delay{500};  // before the first repetition; then doubled
  std::chrono::seconds longest_wait{60};       // that a server may ask for with Retry-After
  // Called, from one thread at a time, with bytes done and bytes in all.
  std::function<void(uint64_t done, uint64_t total)> progress;
};

// From HF_ENDPOINT, HF_HUB_CACHE, HF_HOME, HF_TOKEN (or the file that `hf auth login` writes) and
// HF_HUB_OFFLINE, with a progress line on stderr.
HubOptions hub_options_from_environment();

// The snapshot directory (or the one file) of a model, from the cache, else downloaded into it:
// configuration, tokenizer and weights only, in parallel; a download that broke off is taken up
// where it ended; sizes and hashes are checked; files appear under their names only when whole.
// Throws Error: no such model or revision, no access, offline, a bad answer.
std::filesystem::path fetch_model(const HubName& name, const HubOptions& options);

// What is in the cache of a model, without any network; nothing where it is absent or incomplete.
std::optional<std::filesystem::path> find_cached_model(const HubName& name,
                                                       const HubOptions& options);

// "org/name", "org/name:config", "org/name:config@revision".
struct DataSetName {
  std::string repo, config;  // "": the default one, or the only one
  std::string revision = "main";
};
// Nothing where `text` does not have that form.
std::optional<DataSetName> parse_data_set_name(const std::string& text);

// The files of one split of a data set, in their order: Parquet, Arrow, JSON or CSV, from the cache
// or downloaded as models are. Where the data set has none of these, the Parquet files that the hub
// makes of it (revision refs/convert/parquet) are taken. Offline, files of the cache are taken
// where they are whole. Throws Error as fetch_model, and for a config or split that it has not.
std::vector<std::filesystem::path> fetch_data_set(const DataSetName& name, const std::string& split,
                                                  const HubOptions& options);

// The data set is there and has no such split.
struct NoSplit : Error {
  using Error::Error;
};

struct CachedModel {
  std::string repo;
  std::string commit;
  std::vector<std::string> refs;  // branches and tags that point to it
  std::filesystem::path path;     // the snapshot
  uint64_t bytes = 0;             // of its files
  std::string family;             // model_type of its config.json, "" where there is none
  bool complete = false;          // has its configuration and all of its weights
};
// Every model snapshot of the cache, by name. Data sets and spaces are left out.
std::vector<CachedModel> list_cached_models(const HubOptions& options);

// Resolves what a user gave as --model: an existing path as it is, `org/name[@revision]` through
// the Hugging Face cache (HF_HUB_CACHE, HF_HOME), downloaded into it where allowed.
std::filesystem::path resolve_model(const std::string& name_or_path);

}  // namespace gavel
