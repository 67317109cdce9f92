#include "export/directory.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "export/tokenizer_export.h"
#include "mlx/ops.h"
#include "model/safetensors.h"

namespace gavel {
namespace fs = std::filesystem;
namespace mx = mlx::core;
using nlohmann::ordered_json;
namespace {

const char* dtype_name(mx::Dtype dtype) {
  if (dtype == mx::float16) return "float16";
  if (dtype == mx::bfloat16) return "bfloat16";
  return "float32";
}

// "quantization" as mlx_lm writes it: the default, and every module that differs. Modules without
// scales in the file need no word.
ordered_json quantization_json(const LoadedModel& model) {
  std::map<std::pair<int, int>, int> count;
  for (const auto& [name, w] : model.weights)
    if (w.quantized()) ++count[{w.group_size, w.bits}];
  if (count.empty()) return nullptr;
  Quantization base;
  if (model.quantization &&
      count.contains({model.quantization->group_size, model.quantization->bits})) {
    base = *model.quantization;
  } else {
    const auto most =
        std::max_element(count.begin(), count.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    base = {most->first.first, most->first.second};
  }
  ordered_json j{{"group_size", base.group_size}, {"bits", base.bits}, {"mode", "affine"}};
  for (const TensorSpec& spec : model_tensors(model.config)) {
    if (spec.cols == 0) continue;
    const Weight& w = model.weights.at(spec.name);
    if (w.quantized() && Quantization{w.group_size, w.bits} != base)
      j[spec.name] = {{"group_size", w.group_size}, {"bits", w.bits}, {"mode", "affine"}};
  }
  return j;
}

// transformers 5 keeps the rotary embedding's settings in "rope_parameters"; mlx_lm's llama looks
// for the older keys only, which both read.
void add_older_rope_keys(ordered_json& j) {
  const auto it = j.find("rope_parameters");
  if (it == j.end() || !it->is_object()) return;
  const ordered_json rope = *it;
  if (rope.contains("rope_theta") && !j.contains("rope_theta"))
    j["rope_theta"] = rope["rope_theta"];
  const auto type = rope.find("rope_type");
  const bool scaled = type != rope.end() && *type != "default";
  if (scaled && (!j.contains("rope_scaling") || j["rope_scaling"].is_null()))
    j["rope_scaling"] = rope;
}

ordered_json config_json(const LoadedModel& model) {
  ordered_json j;
  if (fs::is_directory(model.path)) {
    j = ordered_json::parse(read_file(model.path / "config.json"));
    add_older_rope_keys(j);
  } else {
    j = model_config_json(model.config);
    if (model.tokenizer) {
      const auto bos =
          model.bos_token.empty() ? std::nullopt : model.tokenizer->token_to_id(model.bos_token);
      if (bos) j["bos_token_id"] = *bos;
    }
    if (!model.eos_token_ids.empty()) j["eos_token_id"] = model.eos_token_ids;
  }
  for (const char* key : {"quantization", "quantization_config", "dtype", "torch_dtype"})
    j.erase(key);
  const Weight& w = model.weights.at("model.layers.0.self_attn.q_proj");
  j["torch_dtype"] = dtype_name(w.quantized() ? w.scales->dtype() : w.data.dtype());
  const ordered_json q = quantization_json(model);
  if (!q.is_null()) {
    j["quantization"] = q;
    j["quantization_config"] = q;
  }
  return j;
}

std::vector<NamedArray> named_arrays(const LoadedModel& model) {
  std::vector<NamedArray> out;
  for (const TensorSpec& spec : model_tensors(model.config)) {
    if (spec.cols == 0) {
      out.emplace_back(spec.name, model.vectors.at(spec.name));
      continue;
    }
    const Weight& w = model.weights.at(spec.name);
    out.emplace_back(spec.name + ".weight", w.data);
    if (!w.quantized()) continue;
    out.emplace_back(spec.name + ".scales", *w.scales);
    out.emplace_back(spec.name + ".biases", *w.biases);
  }
  return out;
}

// Marks weights as written here, so that writing again may replace them.
const std::map<std::string, std::string> kModelMetadata{{"format", "mlx"}, {"writer", "gavel"}};
const std::map<std::string, std::string> kPeftMetadata{{"format", "pt"}, {"writer", "gavel"}};

bool is_weights(const fs::path& path, const std::string& prefix) {
  const std::string name = path.filename().string();
  return name.starts_with(prefix) && name.ends_with(".safetensors");
}

bool written_here(const fs::path& path) {
  try {
    const SafetensorsFile file(path);
    const auto it = file.metadata().find("writer");
    return it != file.metadata().end() && it->second == "gavel";
  } catch (const Error&) {
    return false;
  }
}

// A directory that is new, empty, or whose weights (prefix*.safetensors) were written here.
void check_target(const fs::path& directory, const std::string& prefix) {
  std::error_code ec;
  if (!fs::exists(directory, ec)) return;
  if (!fs::is_directory(directory, ec))
    fail("{} is a file: name a directory to write", directory.string());
  bool ours = false, empty = true;
  for (const auto& entry : fs::directory_iterator(directory, ec)) {
    empty = false;
    if (!is_weights(entry.path(), prefix)) continue;
    if (!written_here(entry.path()))
      fail("{} holds {}, which gavel did not write: write to a new directory", directory.string(),
           entry.path().filename().string());
    ours = true;
  }
  if (ec) fail("cannot read {}: {}", directory.string(), ec.message());
  if (!empty && !ours)
    fail("{} is not empty and holds nothing that gavel wrote there: write to a new directory",
         directory.string());
}

void make_directory(const fs::path& directory) {
  std::error_code ec;
  fs::create_directories(directory, ec);
  if (!fs::is_directory(directory)) fail("cannot create {}: {}", directory.string(), ec.message());
}

void write_json(const fs::path& path, const ordered_json& j, int indent = 2) {
  write_file_atomic(path,
                    j.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace

void check_model_target(const fs::path& directory) { check_target(directory, "model"); }

void check_peft_target(const fs::path& directory) { check_target(directory, "adapter_model"); }

void write_model_directory(const LoadedModel& model, const fs::path& directory,
                           uint64_t shard_bytes) {
  std::error_code ec;
  if (fs::exists(model.path) && fs::equivalent(model.path, directory, ec))
    fail("{} is the model itself: write to another directory", directory.string());
  check_model_target(directory);
  // What may be refused comes before the first file.
  const ordered_json config = config_json(model);
  const auto texts = tokenizer_files(model);
  make_directory(directory);
  std::vector<std::vector<NamedArray>> shards(1);
  uint64_t in_shard = 0, total = 0;
  for (NamedArray& t : named_arrays(model)) {
    const uint64_t bytes = t.second.nbytes();
    if (in_shard > 0 && in_shard + bytes > shard_bytes) {
      shards.emplace_back();
      in_shard = 0;
    }
    in_shard += bytes;
    total += bytes;
    shards.back().push_back(std::move(t));
  }
  ordered_json index{{"metadata", {{"total_size", total}}}, {"weight_map", ordered_json::object()}};
  std::set<std::string> written;
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string name =
        shards.size() == 1 ? "model.safetensors"
                           : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
    for (const NamedArray& t : shards[i]) index["weight_map"][t.first] = name;
    write_safetensors(directory / name, shards[i], kModelMetadata);
    written.insert(name);
    shards[i].clear();  // what was computed for it is not needed any more
  }
  // Weights of a former model in this place would be taken for this one's.
  for (const auto& entry : fs::directory_iterator(directory))
    if (is_weights(entry.path(), "model") && !written.contains(entry.path().filename().string()))
      fs::remove(entry.path());
  write_json(directory / "model.safetensors.index.json", index);
  for (const auto& [name, text] : texts) write_file_atomic(directory / name, text);
  write_json(directory / "config.json", config);
}

void write_peft_adapter(const Adapter& adapter, const std::string& base_model,
                        const fs::path& directory) {
  if (adapter.matrices.empty()) fail("the adapter has no matrices");
  check_peft_target(directory);
  make_directory(directory);
  const LoraMatrix& first = adapter.matrices.front();
  const int rank = first.a.shape(1);
  const float alpha =
      first.scale != 0.0f ? first.scale * static_cast<float>(rank) : static_cast<float>(rank);
  std::vector<NamedArray> tensors;
  std::vector<std::string> modules;
  ordered_json ranks = ordered_json::object(), alphas = ordered_json::object();
  for (const LoraMatrix& m : adapter.matrices) {
    const std::string path = module_path(m);
    const int r = m.a.shape(1);
    const float own_alpha = m.scale * static_cast<float>(r);
    // Full paths, so that a pattern for layer 1 does not touch layer 11.
    if (r != rank) ranks[path] = r;
    if (own_alpha != alpha) alphas[path] = own_alpha;
    modules.push_back(path);
    const std::string prefix = "base_model.model." + path;
    tensors.emplace_back(prefix + ".lora_A.weight", mx::contiguous(mx::transpose(m.a)));
    tensors.emplace_back(prefix + ".lora_B.weight", mx::contiguous(mx::transpose(m.b)));
  }
  write_safetensors(directory / "adapter_model.safetensors", tensors, kPeftMetadata);
  ordered_json j;
  j["peft_type"] = "LORA";
  j["task_type"] = "CAUSAL_LM";
  j["base_model_name_or_path"] =
      base_model.empty() ? ordered_json(nullptr) : ordered_json(base_model);
  j["r"] = rank;
  // PEFT takes a whole number here in most places; write one where it is one.
  j["lora_alpha"] =
      alpha == std::floor(alpha) ? ordered_json(static_cast<int64_t>(alpha)) : ordered_json(alpha);
  j["lora_dropout"] = adapter.config.dropout;
  j["target_modules"] = modules;
  j["rank_pattern"] = ranks;
  j["alpha_pattern"] = alphas;
  j["bias"] = "none";
  j["fan_in_fan_out"] = false;
  j["use_rslora"] = false;
  j["use_dora"] = false;
  j["inference_mode"] = true;
  write_json(directory / "adapter_config.json", j);
}

}  // namespace gavel
