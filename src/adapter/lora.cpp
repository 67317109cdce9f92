#include "adapter/lora.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace gavel {

std::vector<Projection> parse_targets(const std::vector<std::string>& names) {
  std::vector<Projection> targets;
  for (const std::string& name : names) {
    const auto p = projection_by_name(name);
    if (!p)
      fail(
          "{} is no matrix that can be adapted: use q_proj, k_proj, v_proj, o_proj, gate_proj, "
          "up_proj, down_proj",
          name);
    if (std::find(targets.begin(), targets.end(), *p) != targets.end())
      fail("the matrix {} is named twice", name);
    targets.push_back(*p);
  }
  return targets;
}

std::string module_path(const LoraMatrix& m) {
  return fmt::format("model.layers.{}.{}", m.layer, projection_path(m.projection));
}

Adapter make_adapter(const Model& model, const LoraConfig& config, LoraInit init, uint64_t seed) {
  const int layers = static_cast<int>(model.layers.size());
  if (config.rank < 1) fail("the LoRA rank is {}; it must be at least 1", config.rank);
  if (config.targets.empty()) fail("no LoRA targets are given: name some, such as q_proj,v_proj");
  if (config.num_layers > layers || config.num_layers < -1 || config.num_layers == 0)
    fail("asked to train {} layers, but the model has {} (-1 means all)", config.num_layers,
         layers);
  const int first = config.num_layers < 0 ? 0 : layers - config.num_layers;

  Adapter adapter{.config = config, .matrices = {}};
  Arrays all;
  auto key = mx::random::key(seed);
  for (int layer = first; layer < layers; ++layer) {
    for (const Projection p : config.targets) {
      const Weight& w = model.layers[static_cast<size_t>(layer)].weights[static_cast<size_t>(p)];
      const auto [next, use] = mx::random::split(key);
      key = next;
      const mx::Shape shape{w.in_features(), config.rank};
      const float bound = 1.0f / std::sqrt(static_cast<float>(w.in_features()));
      auto a =
          init == LoraInit::kaiming
              ? mx::random::uniform(mx::array(-bound), mx::array(bound), shape, mx::float32, use)
              : mx::random::normal(shape, mx::float32, 0.0f, 1.0f / static_cast<float>(config.rank),
                                   use);
      auto b = mx::zeros({config.rank, w.out_features()}, mx::float32);
      all.insert(all.end(), {a, b});
      adapter.matrices.push_back({static_cast<size_t>(layer), p, a, b, config.scale});
    }
  }
  mx::eval(all);
  return adapter;
}

int64_t parameter_count(const Adapter& adapter) {
  int64_t count = 0;
  for (const auto& m : adapter.matrices)
    count += static_cast<int64_t>(m.a.size()) + static_cast<int64_t>(m.b.size());
  return count;
}

ModelLora bind(const Model& model, const Adapter& adapter, const Arrays* arrays) {
  ModelLora lora(model.layers.size());
  for (size_t i = 0; i < adapter.matrices.size(); ++i) {
    const auto& m = adapter.matrices[i];
    lora[m.layer].of[static_cast<size_t>(m.projection)] =
        LoraBranch{.a = arrays != nullptr ? (*arrays)[2 * i] : m.a,
                   .b = arrays != nullptr ? (*arrays)[2 * i + 1] : m.b,
                   .scale = m.scale,
                   .dropout = 0.0f,
                   .key = {}};
  }
  return lora;
}

Adapter stack(const std::vector<WeightedAdapter>& adapters) {
  if (adapters.empty()) fail("no adapters to stack");
  Adapter result{.config = adapters[0].adapter.config, .matrices = {}};
  if (adapters.size() == 1 && adapters[0].weight == 1.0f) return adapters[0].adapter;
  result.config.scale = 1.0f;
  Arrays all;
  for (const auto& [adapter, weight] : adapters) {
    for (const auto& m : adapter.matrices) {
      auto b = mx::multiply(m.b, mx::array(m.scale * weight));
      LoraMatrix* same = nullptr;
      for (auto& r : result.matrices)
        if (r.layer == m.layer && r.projection == m.projection) same = &r;
      if (same == nullptr) {
        result.matrices.push_back({m.layer, m.projection, m.a, b, 1.0f});
      } else {
        same->a = mx::concatenate({same->a, m.a}, 1);
        same->b = mx::concatenate({same->b, b}, 0);
      }
    }
  }
  for (auto& m : result.matrices) {
    m.a = mx::contiguous(m.a);
    all.insert(all.end(), {m.a, m.b});
    result.config.rank = std::max(result.config.rank, m.a.shape(1));
  }
  mx::eval(all);
  return result;
}

Adapter uniform(const Adapter& adapter) {
  Adapter out = adapter;
  int rank = 0;
  float scale = 0.0f;
  for (const LoraMatrix& m : adapter.matrices) {
    rank = std::max(rank, m.a.shape(1));
    if (std::abs(m.scale) > std::abs(scale)) scale = m.scale;
  }
  out.config.rank = rank;
  out.config.scale = scale;
  Arrays all;
  for (LoraMatrix& m : out.matrices) {
    if (m.scale != scale) m.b = mx::multiply(m.b, mx::array(m.scale / scale));
    m.scale = scale;
    if (const int missing = rank - m.a.shape(1); missing > 0) {
      m.a = mx::contiguous(mx::pad(m.a, {{0, 0}, {0, missing}}));
      m.b = mx::contiguous(mx::pad(m.b, {{0, missing}, {0, 0}}));
    }
    all.insert(all.end(), {m.a, m.b});
  }
  mx::eval(all);
  return out;
}

}  // namespace gavel
