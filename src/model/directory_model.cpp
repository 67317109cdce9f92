#include "model/directory_model.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "model/config_fields.h"
#include "model/mx_formats.h"
#include "model/safetensors.h"
#include "text/added_tokens.h"

namespace gavel {
namespace fs = std::filesystem;
namespace mx = mlx::core;
using nlohmann::json;
namespace {

std::optional<json> read_json(const fs::path& path) {
  std::error_code ec;
  if (!fs::exists(path, ec)) return std::nullopt;
  try {
    return json::parse(read_file(path, size_t{256} << 20));
  } catch (const json::exception& e) {
    fail("{} is not JSON: {}", path.string(), e.what());
  }
}

// ---- weights ----

// All shards of a directory, and which of them holds a tensor.
class Shards {
 public:
  explicit Shards(const fs::path& directory) : directory_(directory) {
    for (const fs::path& path : files()) {
      files_.emplace_back(path);
      for (const auto& [name, entry] : files_.back().entries())
        if (!where_.emplace(name, files_.size() - 1).second)
          fail("{}: tensor {} is also in {}", path.string(), name, files_[where_.at(name)].name());
    }
  }

  bool has(const std::string& name) const { return where_.contains(name); }
  const std::map<std::string, size_t>& names() const { return where_; }

  mx::array read(const std::string& name) const {
    const auto it = where_.find(name);
    if (it == where_.end()) fail("{}: tensor {} is missing", directory_.string(), name);
    return files_[it->second].read(name);
  }

  const std::string& file_of(const std::string& name) const {
    return files_[where_.at(name)].name();
  }

 private:
  // Those that the index names; without one, model*.safetensors, as mlx_lm does.
  std::vector<fs::path> files() const {
    const fs::path index_path = directory_ / "model.safetensors.index.json";
    std::set<std::string> names;
    if (const auto index = read_json(index_path)) {
      const auto map = index->is_object() ? index->find("weight_map") : index->end();
      if (map == index->end() || !map->is_object())
        fail("{} has no weight_map", index_path.string());
      for (const auto& [tensor, file] : map->items()) {
        if (!file.is_string()) fail("{}: weight_map is not of names", index_path.string());
        const std::string name = file.get<std::string>();
        if (name.empty() || name.find('/') != std::string::npos)
          fail("{}: \"{}\" is no file of this directory", index_path.string(), name);
        if (names.insert(name).second && !fs::exists(directory_ / name))
          fail("{}: the weights' file {} is missing", directory_.string(), name);
      }
    } else {
      std::error_code ec;
      for (const auto& entry : fs::directory_iterator(directory_, ec)) {
        const std::string name = entry.path().filename().string();
        if (name.starts_with("model") && name.ends_with(".safetensors")) names.insert(name);
      }
    }
    if (names.empty()) {
      const bool torch = fs::exists(directory_ / "pytorch_model.bin") ||
                         fs::exists(directory_ / "pytorch_model.bin.index.json");
      fail("{} has no model*.safetensors{}", directory_.string(),
           torch ? "; pickled pytorch_model.bin files are not read: convert them to safetensors"
                 : "");
    }
    std::vector<fs::path> out;
    for (const auto& name : names) out.push_back(directory_ / name);
    return out;
  }

  fs::path directory_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, size_t> where_;
};

bool is_real(mx::Dtype dtype) {
  return dtype == mx::float32 || dtype == mx::float16 || dtype == mx::bfloat16;
}

void check_tensor(const Shards& shards, const std::string& name, const mx::array& array,
                  const mx::Shape& shape, bool packed) {
  if (array.shape() != shape)
    fail("{}: tensor {} is [{}] where config.json wants [{}]", shards.file_of(name), name,
         fmt::join(array.shape(), ", "), fmt::join(shape, ", "));
  if (packed ? array.dtype() != mx::uint32 : !is_real(array.dtype()))
    fail("{}: tensor {} must be {}", shards.file_of(name), name,
         packed ? "U32, packed" : "F32, F16 or BF16");
}

// How a module is quantized: what the config says of it, or else of all.
Quantization quantization_of(const std::optional<QuantizationMap>& map, const std::string& module,
                             const std::string& directory) {
  if (!map)
    fail("{}: {} has scales, so it is quantized, but config.json has no \"quantization\"",
         directory, module);
  const auto it = map->modules.find(module);
  if (it == map->modules.end()) return map->base;
  if (!it->second)
    fail("{}: {} has scales, but config.json says it is not quantized", directory, module);
  return *it->second;
}

Weight read_matrix(const Shards& shards, const TensorSpec& spec,
                   const std::optional<QuantizationMap>& map, const std::string& directory) {
  const std::string name = spec.name + ".weight";
  if (!shards.has(spec.name + ".scales")) {
    Weight w{shards.read(name), std::nullopt, std::nullopt, 0, 0};
    check_tensor(shards, name, w.data, {spec.rows, spec.cols}, false);
    return w;
  }
  const Quantization q = quantization_of(map, spec.name, directory);
  if (spec.cols % q.group_size != 0 || int64_t{spec.cols} * q.bits % 32 != 0)
    fail("{}: {} has {} columns, which do not divide into groups of {}", directory, spec.name,
         spec.cols, q.group_size);
  const auto words = static_cast<int>(int64_t{spec.cols} * q.bits / 32);
  const mx::Shape groups{spec.rows, spec.cols / q.group_size};
  if (q.mode != QuantizationMode::affine) {
    const mx::array packed = shards.read(name), scales = shards.read(spec.name + ".scales");
    check_tensor(shards, name, packed, {spec.rows, words}, true);
    if (scales.shape() != groups || scales.dtype() != mx::uint8)
      fail("{}: tensor {}.scales must be U8 [{}] for {}", shards.file_of(name), spec.name,
           fmt::join(groups, ", "), to_string(q.mode));
    return read_mx_weight(packed, scales, q, directory + ": " + spec.name);
  }
  Weight w{shards.read(name), shards.read(spec.name + ".scales"),
           shards.read(spec.name + ".biases"), q.group_size, q.bits};
  check_tensor(shards, name, w.data, {spec.rows, words}, true);
  check_tensor(shards, spec.name + ".scales", *w.scales, groups, false);
  check_tensor(shards, spec.name + ".biases", *w.biases, groups, false);
  if (w.scales->dtype() != w.biases->dtype())
    fail("{}: scales and biases of {} differ in type", directory, spec.name);
  return w;
}

// ---- tokenizer side ----

// chat_template: a string, or a list of {"name", "template"} of which "default" is taken.
std::optional<std::string> template_text(const json& config) {
  const auto it = config.find("chat_template");
  if (it == config.end()) return std::nullopt;
  if (it->is_string()) return it->get<std::string>();
  if (!it->is_array()) return std::nullopt;
  for (const auto& named : *it) {
    if (!named.is_object()) continue;
    const auto source = named.find("template");
    const auto title = named.find("name");
    if (title != named.end() && *title == "default" && source != named.end() && source->is_string())
      return source->get<std::string>();
  }
  return std::nullopt;
}

// "eos_token_id": one id or a list.
void add_end_ids(const std::optional<json>& config, std::set<int>& ids) {
  if (!config || !config->is_object()) return;
  const auto it = config->find("eos_token_id");
  if (it == config->end()) return;
  const auto add = [&](const json& id) {
    if (id.is_number_integer() && id.get<int64_t>() >= 0 && id.get<int64_t>() <= 0x7fffffff)
      ids.insert(id.get<int>());
  };
  if (it->is_array())
    for (const auto& id : *it) add(id);
  else
    add(*it);
}

void read_tokenizer(const fs::path& directory, LoadedModel& model) {
  DirectoryTokenizer read = Tokenizer::from_directory(directory);
  for (const std::string& sentence : read.contradictions) spdlog::warn("{}", sentence);
  std::string outside;
  for (const AddedToken& token : read.tokenizer.added_tokens())
    if (token.id >= model.config.vocab_size && outside.size() < 200)
      outside += fmt::format("{}\"{}\" ({})", outside.empty() ? "" : ", ", token.content, token.id);
  if (!outside.empty())
    spdlog::warn(
        "{}: these tokens have ids beyond the {} that the model's embedding has, so a text that "
        "holds one is refused: {}",
        directory.string(), model.config.vocab_size, outside);
  model.tokenizer = std::move(read.tokenizer);
  model.bos_token = std::move(read.bos_token);
  model.eos_token = std::move(read.eos_token);
}

void read_text_side(const fs::path& directory, const json& config, LoadedModel& model) {
  const auto tokenizer_config = read_json(directory / "tokenizer_config.json");
  if (fs::exists(directory / "tokenizer.json"))
    read_tokenizer(directory, model);
  else if (fs::exists(directory / "tokenizer.model"))
    spdlog::warn(
        "{} has a tokenizer.model (SentencePiece), which is not read, and no tokenizer.json",
        directory.string());
  if (tokenizer_config && tokenizer_config->is_object())
    model.chat_template = template_text(*tokenizer_config);
  if (fs::exists(directory / "chat_template.jinja"))
    model.chat_template = read_file(directory / "chat_template.jinja", size_t{16} << 20);
  std::set<int> ids;
  add_end_ids(read_json(directory / "generation_config.json"), ids);
  add_end_ids(config, ids);
  if (model.tokenizer) {
    // A chat turn ends with these whatever generation_config.json of a base model forgets.
    for (const std::string& text : {model.eos_token, std::string("<|im_end|>"),
                                    std::string("<|eot_id|>"), std::string("<|eom_id|>")}) {
      const auto id = text.empty() ? std::nullopt : model.tokenizer->token_to_id(text);
      if (id && (text == model.eos_token || model.tokenizer->is_special(*id))) ids.insert(*id);
    }
  }
  model.eos_token_ids.assign(ids.begin(), ids.end());
}

}  // namespace

LoadedModel load_directory_model(const fs::path& directory) {
  const std::string name = (directory / "config.json").string();
  const auto config = read_json(directory / "config.json");
  if (!config) fail("{} is missing: {} is no model's directory", name, directory.string());
  if (!config->is_object()) fail("{} is not a JSON object", name);
  // The family first: its sentence helps more than one about the weights.
  parse_model_config(*config, name, true);
  const Shards shards(directory);
  LoadedModel model;
  model.path = directory;
  model.config = parse_model_config(*config, name, shards.has("lm_head.weight"));
  if (const auto unknown = unknown_config_fields(*config); !unknown.empty())
    spdlog::warn("{}: not known here and not used: {}", name, fmt::join(unknown, ", "));
  const auto quantization = parse_quantization(*config, name);
  if (quantization && quantization->base.mode == QuantizationMode::affine)
    model.quantization = quantization->base;
  std::set<std::string> used;
  for (const TensorSpec& spec : model_tensors(model.config)) {
    if (spec.cols > 0) {
      model.weights.emplace(spec.name, read_matrix(shards, spec, quantization, directory.string()));
      for (const char* kind : {".weight", ".scales", ".biases"}) used.insert(spec.name + kind);
    } else {
      mx::array v = shards.read(spec.name);
      check_tensor(shards, spec.name, v, {spec.rows}, false);
      model.vectors.emplace(spec.name, std::move(v));
      used.insert(spec.name);
    }
  }
  for (const auto& [tensor, shard] : shards.names()) {
    if (used.contains(tensor) || tensor.ends_with("rotary_emb.inv_freq")) continue;
    if (model.config.tie_word_embeddings && tensor.starts_with("lm_head.")) continue;
    if (tensor.ends_with(".bias"))
      fail("{}: tensor {} is there, but config.json does not ask for it", directory.string(),
           tensor);
    spdlog::warn("{}: tensor {} is not used", directory.string(), tensor);
  }
  read_text_side(directory, *config, model);
  return model;
}

}  // namespace gavel
