#include "export/quantize.h"

#include <array>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>

#include "base/error.h"
#include "base/file.h"
#include "mlx/ops.h"
#include "mlx/transforms.h"
#include "model/transformer.h"

namespace gavel {
namespace fs = std::filesystem;
namespace mx = mlx::core;
namespace {

Quantization checked(Quantization q) {
  static constexpr std::array<int, 3> groups{32, 64, 128};
  if (std::find(groups.begin(), groups.end(), q.group_size) == groups.end())
    throw UsageError(
        fmt::format("groups of {} weights are not possible: 32, 64 and 128 are", q.group_size));
  if (q.bits < 2 || q.bits > 8 || q.bits == 7)
    throw UsageError(fmt::format("{} bits are not possible: 2, 3, 4, 5, 6 and 8 are", q.bits));
  return q;
}

// mlx_lm's mixed recipes: more bits for the head, and for values and down projections of the first
// and last eighth of the layers and of every third one between.
Quantization by_recipe(const std::string& recipe, const std::string& module, int layers,
                       int group_size) {
  static const std::vector<std::pair<std::string, std::pair<int, int>>> recipes{
      {"mixed_2_6", {2, 6}}, {"mixed_3_4", {3, 4}}, {"mixed_3_6", {3, 6}}, {"mixed_4_6", {4, 6}}};
  for (const auto& [name, bits] : recipes) {
    if (name != recipe) continue;
    int layer = 0;
    if (module.starts_with("model.layers.")) layer = std::atoi(module.c_str() + 13);
    const bool more =
        layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
    const bool sensitive =
        module.find("v_proj") != std::string::npos || module.find("down_proj") != std::string::npos;
    const bool high = module == "lm_head" || (sensitive && more);
    return {group_size, high ? bits.second : bits.first};
  }
  throw UsageError(fmt::format(
      "unknown recipe \"{}\": mixed_2_6, mixed_3_4, mixed_3_6 and mixed_4_6 are known", recipe));
}

// The values in the weight's own type, rounded once.
mx::array dense(const Weight& w) {
  return w.quantized() ? mx::astype(dequantize(w), w.scales->dtype()) : w.data;
}

}  // namespace

QuantizeRule parse_quantize_rule(const std::string& text, int default_group_size) {
  static const std::regex form(R"((.+)=(none|(\d{1,2})(?::(\d{1,4}))?))");
  std::smatch m;
  if (!std::regex_match(text, m, form))
    throw UsageError(fmt::format(
        "\"{}\" is no rule: write PATTERN=BITS, PATTERN=BITS:GROUP or PATTERN=none", text));
  QuantizeRule rule{m[1].str(), std::nullopt};
  try {
    std::regex(rule.pattern);
  } catch (const std::regex_error& e) {
    throw UsageError(fmt::format("\"{}\" is no regular expression: {}", rule.pattern, e.what()));
  }
  if (m[2].str() == "none") return rule;
  rule.to =
      checked({m[4].matched ? std::stoi(m[4].str()) : default_group_size, std::stoi(m[3].str())});
  return rule;
}

void quantize_model(LoadedModel& model, const QuantizeOptions& options) {
  checked(options.base);
  std::vector<std::regex> patterns;
  for (const QuantizeRule& rule : options.rules) patterns.emplace_back(rule.pattern);
  for (const TensorSpec& spec : model_tensors(model.config)) {
    if (spec.cols == 0) continue;
    std::optional<Quantization> to = options.base;
    if (!options.recipe.empty())
      to = by_recipe(options.recipe, spec.name, model.config.num_hidden_layers,
                     options.base.group_size);
    for (size_t i = 0; i < patterns.size(); ++i)
      if (std::regex_search(spec.name, patterns[i])) to = options.rules[i].to;
    Weight& w = model.weights.at(spec.name);
    if (to && spec.cols % to->group_size != 0) to.reset();
    if (!to) {
      if (w.quantized()) w = {dense(w), std::nullopt, std::nullopt, 0, 0};
      w.data.eval();
      continue;
    }
    if (w.quantized() && w.bits == to->bits && w.group_size == to->group_size) continue;
    const auto parts = mx::quantize(dense(w), to->group_size, to->bits);
    w = {parts.at(0), parts.at(1), parts.at(2), to->group_size, to->bits};
    mx::eval({w.data, *w.scales, *w.biases});
  }
  model.quantization = options.base;
}

std::optional<mx::Dtype> find_dtype(const std::string& name) {
  if (name == "float32") return mx::float32;
  if (name == "float16") return mx::float16;
  if (name == "bfloat16") return mx::bfloat16;
  return std::nullopt;
}

std::optional<mx::Dtype> declared_dtype(const LoadedModel& model) {
  const fs::path path = model.path / "config.json";
  if (!fs::is_directory(model.path)) return std::nullopt;
  const auto config = nlohmann::json::parse(read_file(path), nullptr, false);
  const auto it = config.find("torch_dtype");
  if (it == config.end() || !it->is_string()) return std::nullopt;
  return find_dtype(it->get<std::string>());
}

void cast_model(LoadedModel& model, mx::Dtype dtype) {
  const auto cast = [dtype](mx::array& a) {
    a = mx::astype(a, dtype);
    a.eval();
  };
  for (auto& [name, w] : model.weights) {
    if (w.quantized()) {
      cast(*w.scales);
      cast(*w.biases);
    } else {
      cast(w.data);
    }
  }
  for (auto& [name, v] : model.vectors) cast(v);
}

void dequantize_model(LoadedModel& model) {
  for (auto& [name, w] : model.weights) {
    if (!w.quantized()) continue;
    w = {mx::dequantize(w.data, *w.scales, w.biases, w.group_size, w.bits), std::nullopt,
         std::nullopt, 0, 0};
    w.data.eval();
  }
  model.quantization.reset();
}

SizeReport size_of(const LoadedModel& model) {
  SizeReport r;
  uint64_t weights = 0;
  for (const auto& [name, w] : model.weights) {
    r.bytes += w.data.nbytes();
    if (w.quantized()) r.bytes += w.scales->nbytes() + w.biases->nbytes();
    weights += static_cast<uint64_t>(w.out_features()) * static_cast<uint64_t>(w.in_features());
  }
  for (const auto& [name, v] : model.vectors) {
    r.bytes += v.nbytes();
    weights += v.size();
  }
  r.bits_per_weight = static_cast<double>(r.bytes) * 8.0 / static_cast<double>(weights);
  return r;
}

double perplexity(const LoadedModel& loaded, const std::string& text, int window) {
  if (!loaded.tokenizer) fail("{} has no tokenizer", loaded.path.string());
  const std::vector<int> ids = loaded.tokenizer->encode(text, true);
  if (ids.size() < 2) fail("the text has {} tokens; a perplexity needs 2 at least", ids.size());
  const Model model = make_model(loaded);
  double sum = 0.0;
  int64_t count = 0;
  for (size_t begin = 0; begin + 1 < ids.size(); begin += static_cast<size_t>(window)) {
    // One token of the next window is the last one's target.
    const size_t end = std::min(ids.size(), begin + static_cast<size_t>(window) + 1);
    const auto rows = static_cast<int32_t>(end - begin - 1);
    const mx::array inputs(ids.data() + begin, {rows}, mx::int32);
    const mx::array targets(ids.data() + begin + 1, {rows}, mx::int32);
    const mx::array hidden = hidden_states(model, inputs, make_segments({rows}), nullptr);
    const mx::array normed = rms_norm(model.backend, hidden, model.norm, model.config.rms_norm_eps);
    const mx::array ones = mx::ones({rows}, mx::float32);
    mx::array total =
        cross_entropy(model.backend, normed, model.lm_head, targets, ones, false).at(0);
    total.eval();
    sum += static_cast<double>(total.item<float>());
    count += rows;
  }
  return std::exp(sum / static_cast<double>(count));
}

}  // namespace gavel
