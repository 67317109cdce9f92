// Adapter directories in and out: mlx_lm's layout and PEFT's.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>

#include "adapter/lora.h"
#include "adapter/peft_config.h"
#include "base/error.h"
#include "base/file.h"
#include "model/safetensors.h"

namespace gavel {
namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;
namespace {

struct Place {
  size_t layer;
  Projection projection;
  bool operator<(const Place& o) const {
    return layer != o.layer ? layer < o.layer : projection < o.projection;
  }
};

// "model.layers.3.self_attn.q_proj" -> {3, q}.
std::optional<Place> parse_path(std::string_view path) {
  constexpr std::string_view prefix = "model.layers.";
  if (!path.starts_with(prefix)) return std::nullopt;
  path.remove_prefix(prefix.size());
  size_t layer = 0, digits = 0;
  while (digits < path.size() && digits < 6 && path[digits] >= '0' && path[digits] <= '9')
    layer = layer * 10 + static_cast<size_t>(path[digits++] - '0');
  if (digits == 0 || digits == path.size() || path[digits] != '.') return std::nullopt;
  const std::string rest(path.substr(digits + 1));
  if (rest.find('.') == std::string::npos) return std::nullopt;
  const auto projection = projection_by_name(rest);
  if (!projection) return std::nullopt;
  return Place{layer, *projection};
}

struct Pair {
  std::optional<mx::array> a, b;
};

// What a tensor of an adapter file is: which matrix of which layer, and whether it is stored
// transposed (PEFT keeps A as [r, in] and B as [out, r]).
struct TensorName {
  Place place;
  bool is_a;
  bool transposed;
};

std::optional<TensorName> parse_tensor_name(std::string_view name) {
  constexpr std::string_view peft_prefix = "base_model.model.";
  if (name.starts_with(peft_prefix)) name.remove_prefix(peft_prefix.size());
  struct Suffix {
    std::string_view text;
    bool is_a, transposed;
  };
  for (const Suffix& s :
       {Suffix{".lora_a", true, false}, Suffix{".lora_b", false, false},
        Suffix{".lora_A.weight", true, true}, Suffix{".lora_B.weight", false, true},
        Suffix{".lora_A.default.weight", true, true},
        Suffix{".lora_B.default.weight", false, true}}) {
    if (!name.ends_with(s.text)) continue;
    const auto place = parse_path(name.substr(0, name.size() - s.text.size()));
    if (place) return TensorName{*place, s.is_a, s.transposed};
  }
  return std::nullopt;
}

ordered_json read_config(const fs::path& path) {
  try {
    auto config = ordered_json::parse(read_file(path, size_t{16} << 20));
    if (!config.is_object()) fail("{}: expected a JSON object", path.string());
    return config;
  } catch (const json::exception& e) {
    fail("{}: {}", path.string(), e.what());
  }
}

// mlx_lm's adapter_config.json: one rank and scale for all matrices.
struct MlxConfig {
  std::optional<float> rank;  // some files leave it out; the matrices have it
  float scale = 0.0f, dropout = 0.0f;
};

float number(const ordered_json& value, const std::string& key, const std::string& where) {
  if (!value.is_number() || !std::isfinite(value.get<float>()))
    fail("{}: {} is {}, not a number", where, key, value.dump());
  return value.get<float>();
}

MlxConfig read_mlx_config(const ordered_json& config, const std::string& where) {
  const auto type = config.find("fine_tune_type");
  if (type != config.end() && *type != "lora")
    fail("{}: fine_tune_type is {}; only lora adapters can be read", where, type->dump());
  if (config.value("use_dora", ordered_json(false)) != false)
    fail("{}: use_dora is set: DoRA adapters cannot be read", where);
  const auto lora = config.find("lora_parameters");
  if (lora == config.end() || !lora->is_object())
    fail(
        "{}: neither lora_parameters (mlx_lm) nor peft_type (PEFT) is there, so the adapter's "
        "scale is not known",
        where);
  if (!lora->contains("scale"))
    fail(
        "{}: lora_parameters has no scale{}; write the scale that it was trained with (alpha / "
        "rank in most programs), as mlx_lm wants it too",
        where, lora->contains("alpha") ? ", only alpha" : "");
  MlxConfig out;
  for (const auto& [key, value] : lora->items()) {
    if (key == "scale") out.scale = number(value, "lora_parameters.scale", where);
    if (key == "dropout") out.dropout = number(value, "lora_parameters.dropout", where);
    if (key == "rank") out.rank = number(value, "lora_parameters.rank", where);
    // mlx_lm does not look at alpha where there is a scale.
    static const std::set<std::string> known = {"scale", "dropout", "rank", "alpha", "keys"};
    if (!known.contains(key) && !value.is_null() && value != false)
      fail("{}: lora_parameters.{} is not known and may change what the adapter computes", where,
           key);
  }
  return out;
}

// The scale of a matrix, from its path and rank.
using ScaleOf = std::function<float(const std::string& path, int rank)>;

Adapter assemble(const Model& model, std::map<Place, Pair> pairs, const ScaleOf& scale_of,
                 const std::string& where) {
  Adapter adapter;
  adapter.config.targets.clear();
  adapter.config.rank = 1;
  adapter.config.scale = 0.0f;
  Arrays all;
  for (auto& [place, pair] : pairs) {
    const LoraMatrix name_only{place.layer, place.projection, mx::array(0.0f), mx::array(0.0f)};
    const std::string path = module_path(name_only);
    if (!pair.a || !pair.b) fail("{}: {} has only one of its two LoRA matrices", where, path);
    if (place.layer >= model.layers.size())
      fail("{}: {} is beyond the model's {} layers", where, path, model.layers.size());
    const Weight& w = model.layers[place.layer].weights[static_cast<size_t>(place.projection)];
    const int rank = pair.a->shape(1);
    if (pair.a->shape(0) != w.in_features() || pair.b->shape(1) != w.out_features() ||
        pair.b->shape(0) != rank || rank < 1)
      fail("{}: {} is for a layer of {} x {}, but the model's is {} x {}; is it for another model?",
           where, path, pair.b->shape(1), pair.a->shape(0), w.out_features(), w.in_features());
    const float scale = scale_of(path, rank);
    adapter.matrices.push_back({place.layer, place.projection, *pair.a, *pair.b, scale});
    all.insert(all.end(), {*pair.a, *pair.b});
    adapter.config.rank = std::max(adapter.config.rank, rank);
    if (std::abs(scale) > std::abs(adapter.config.scale)) adapter.config.scale = scale;
    auto& targets = adapter.config.targets;
    if (std::find(targets.begin(), targets.end(), place.projection) == targets.end())
      targets.push_back(place.projection);
  }
  if (adapter.matrices.empty()) fail("{}: no LoRA matrices in it", where);
  std::sort(adapter.config.targets.begin(), adapter.config.targets.end());
  const size_t layers = model.layers.size() - adapter.matrices.front().layer;
  adapter.config.num_layers = layers == model.layers.size() ? -1 : static_cast<int>(layers);
  mx::eval(all);
  return adapter;
}

}  // namespace

Adapter load_adapter(const Model& model, const fs::path& path) {
  std::error_code ec;
  const bool is_file = fs::is_regular_file(path, ec);
  const fs::path directory = is_file ? path.parent_path() : path;
  if (!is_file && !fs::is_directory(path, ec)) fail("there is no adapter at {}", path.string());
  const std::string config_name = (directory / "adapter_config.json").string();
  const ordered_json config = read_config(config_name);
  const bool peft = config.contains("peft_type");
  fs::path file = path;
  if (!is_file) file = directory / (peft ? "adapter_model.safetensors" : "adapters.safetensors");
  const std::string where = file.string();
  ScaleOf scale_of;
  float dropout = 0.0f;
  if (peft) {
    const auto said = std::make_shared<const PeftConfig>(config, config_name);
    dropout = said->dropout();
    scale_of = [said](const std::string& name, int rank) { return said->scale(name, rank); };
  } else {
    const MlxConfig said = read_mlx_config(config, config_name);
    dropout = said.dropout;
    scale_of = [said, config_name](const std::string& name, int rank) {
      if (said.rank && *said.rank != static_cast<float>(rank))
        fail("{}: the rank is {} there, and that of {} is {}", config_name, *said.rank, name, rank);
      return said.scale;
    };
  }

  std::map<Place, Pair> pairs;
  for (const auto& [name, stored] : read_safetensors(file)) {
    const auto parsed = parse_tensor_name(name);
    if (!parsed)
      fail("{}: {} is not a LoRA matrix of a layer that can be adapted here", where, name);
    if (stored.ndim() != 2) fail("{}: {} is not a matrix", where, name);
    auto value = mx::astype(stored, mx::float32);
    value = mx::contiguous(parsed->transposed ? mx::transpose(value) : value);
    auto& pair = pairs[parsed->place];
    auto& half = parsed->is_a ? pair.a : pair.b;
    if (half) fail("{}: {} is there under another name too", where, name);
    half = value;
  }
  Adapter adapter = assemble(model, std::move(pairs), scale_of, where);
  adapter.config.dropout = dropout;
  return adapter;
}

void save_adapter_weights(const Adapter& adapter, const fs::path& file) {
  std::vector<NamedArray> tensors;
  for (const auto& m : uniform(adapter).matrices) {
    tensors.emplace_back(module_path(m) + ".lora_a", m.a);
    tensors.emplace_back(module_path(m) + ".lora_b", m.b);
  }
  write_safetensors(file, tensors, {{"format", "mlx"}});
}

void save_adapter_config(const Adapter& adapter, const fs::path& directory,
                         const std::string& extra_json) {
  const LoraConfig saved = uniform(adapter).config;
  json config = json::parse(extra_json);
  json keys = json::array();
  for (const Projection p : saved.targets) keys.push_back(projection_path(p));
  config["fine_tune_type"] = "lora";
  config["num_layers"] = saved.num_layers;
  config["lora_parameters"] = {
      {"rank", saved.rank}, {"scale", saved.scale}, {"dropout", saved.dropout}, {"keys", keys}};
  write_file_atomic(directory / "adapter_config.json", config.dump(2) + "\n");
}

}  // namespace gavel
