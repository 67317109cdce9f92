#include "model/transformer.h"

#include <functional>
#include <utility>

#include "base/error.h"
#include "model/block.h"
#include "model/card_inference.h"
#include "model/graph_ops.h"

namespace gavel {
namespace {

constexpr size_t at(Projection p) { return static_cast<size_t>(p); }

const std::array<std::string, kProjections> kPaths = {
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj"};

Weight weight_of(const LoadedModel& loaded, const std::string& name, int n, int k) {
  const auto it = loaded.weights.find(name);
  if (it == loaded.weights.end())
    fail("{}: the tensor {}.weight is missing", loaded.path.string(), name);
  const Weight& w = it->second;
  if (w.out_features() != n || w.in_features() != k)
    fail("{}: {}.weight is {} x {}, but the configuration says {} x {}", loaded.path.string(), name,
         w.out_features(), w.in_features(), n, k);
  return w;
}

std::optional<mx::array> find_vector(const LoadedModel& loaded, const std::string& name, int n) {
  const auto it = loaded.vectors.find(name);
  if (it == loaded.vectors.end()) return std::nullopt;
  if (static_cast<int>(it->second.size()) != n)
    fail("{}: {} has {} values, but the configuration says {}", loaded.path.string(), name,
         it->second.size(), n);
  return mx::contiguous(mx::astype(mx::reshape(it->second, {n}), mx::float32));
}

mx::array vector_of(const LoadedModel& loaded, const std::string& name, int n) {
  auto found = find_vector(loaded, name, n);
  if (!found) fail("{}: the tensor {} is missing", loaded.path.string(), name);
  return *found;
}

DecoderLayer make_layer(const LoadedModel& loaded, int index) {
  const ModelConfig& c = loaded.config;
  const std::string prefix = fmt::format("model.layers.{}.", index);
  const int q = c.num_attention_heads * c.head_dim, kv = c.num_key_value_heads * c.head_dim;
  const int h = c.hidden_size, f = c.intermediate_size;
  const std::array<std::pair<int, int>, kProjections> shapes = {
      {{q, h}, {kv, h}, {kv, h}, {h, q}, {f, h}, {f, h}, {h, f}}};
  DecoderLayer layer{
      .input_layernorm = vector_of(loaded, prefix + "input_layernorm.weight", h),
      .post_attention_layernorm = vector_of(loaded, prefix + "post_attention_layernorm.weight", h),
      .q_norm = {},
      .k_norm = {},
      .weights = {},
      .biases = {}};
  for (size_t p = 0; p < kProjections; ++p) {
    const auto [n, k] = shapes[p];
    layer.weights.push_back(weight_of(loaded, prefix + kPaths[p], n, k));
    const bool attention_in = p <= at(Projection::v);
    const bool wanted = attention_in             ? c.attention_bias
                        : p == at(Projection::o) ? c.attention_out_bias
                                                 : c.mlp_bias;
    const std::string name = prefix + kPaths[p] + ".bias";
    if (wanted) layer.biases[p] = vector_of(loaded, name, n);
  }
  if (c.qk_norm) {
    layer.q_norm = vector_of(loaded, prefix + "self_attn.q_norm.weight", c.head_dim);
    layer.k_norm = vector_of(loaded, prefix + "self_attn.k_norm.weight", c.head_dim);
  }
  return layer;
}

// Moves what was loaded into the device's memory, small vectors in the activations' type.
void place_weights(Model& model) {
  const auto place_one = [&](Weight& w) {
    w.data = place(model.backend, w.data);
    Arrays moved{w.data};
    for (auto* part : {&w.scales, &w.biases})
      if (*part) moved.push_back(*(*part = place(model.backend, **part)));
    mx::eval(moved);
  };
  const auto cast = [&](mx::array& a) {
    a = place(model.backend, mx::astype(a, model.backend.dtype));
    a.eval();
  };
  const bool tied = model.config.tie_word_embeddings;
  place_one(model.embed_tokens);
  if (tied)
    model.lm_head = model.embed_tokens;
  else
    place_one(model.lm_head);
  cast(model.norm);
  model.inv_freq = place(model.backend, model.inv_freq);
  model.inv_freq.eval();
  for (auto& layer : model.layers) {
    for (auto& w : layer.weights) place_one(w);
    for (auto& b : layer.biases)
      if (b) cast(*b);
    cast(layer.input_layernorm);
    cast(layer.post_attention_layernorm);
    for (auto* norm : {&layer.q_norm, &layer.k_norm})
      if (*norm) cast(**norm);
  }
}

// The arrays of a layer's LoRA, and the LoRA made again of other arrays of the same shapes: a
// function that is computed again must get everything that needs a gradient as an argument.
void flatten(const LayerLora& lora, Arrays& flat) {
  for (const auto& l : lora.of)
    if (l) flat.insert(flat.end(), {l->a, l->b});
}

LayerLora unflatten(const LayerLora& like, const Arrays& flat, size_t& next) {
  LayerLora lora = like;
  for (auto& l : lora.of) {
    if (!l) continue;
    l->a = flat[next++];
    l->b = flat[next++];
  }
  return lora;
}

// f, of whose work only the inputs are kept for the backward pass: it is done again once the
// gradient of its result is there, and not before.
std::function<Arrays(const Arrays&)> computed_again(std::function<Arrays(const Arrays&)> f) {
  return mx::custom_vjp(f, [f](const Arrays& in, const Arrays& dy, const Arrays&) {
    return mx::vjp(f, mx::depends(in, dy), dy).second;
  });
}

// A step of the forward pass: some layers, or half of one, with the LoRA of layers [first, last).
struct Step {
  size_t first = 0, last = 0;
  bool again = false;  // computed again for the backward pass
  std::function<mx::array(const mx::array& x, const ModelLora& lora)> run;
};

mx::array run(const Step& step, const mx::array& x, const ModelLora& lora) {
  const ModelLora part(lora.begin() + static_cast<int64_t>(step.first),
                       lora.begin() + static_cast<int64_t>(step.last));
  if (!step.again) return step.run(x, part);
  Arrays inputs{x};
  for (const LayerLora& l : part) flatten(l, inputs);
  return computed_again([part, run = step.run](const Arrays& in) {
    ModelLora own;
    size_t next = 1;
    for (const LayerLora& like : part) own.push_back(unflatten(like, in, next));
    return Arrays{run(in[0], own)};
  })(inputs)[0];
}

}  // namespace

const std::string& projection_path(Projection p) { return kPaths[at(p)]; }

std::optional<Projection> projection_by_name(const std::string& name) {
  for (size_t i = 0; i < kProjections; ++i) {
    const auto& path = kPaths[i];
    if (path == name || path.substr(path.find('.') + 1) == name) return static_cast<Projection>(i);
  }
  return std::nullopt;
}

Model make_model(const LoadedModel& loaded, const Backend& backend) {
  const ModelConfig& c = loaded.config;
  auto embed = weight_of(loaded, "model.embed_tokens", c.vocab_size, c.hidden_size);
  auto head =
      c.tie_word_embeddings ? embed : weight_of(loaded, "lm_head", c.vocab_size, c.hidden_size);
  const auto inv_freq = rope_inv_freq(c);
  Model model{.backend = backend,
              .config = c,
              .embed_tokens = std::move(embed),
              .lm_head = std::move(head),
              .layers = {},
              .norm = vector_of(loaded, "model.norm.weight", c.hidden_size),
              .inv_freq = mx::array(inv_freq.begin(), {c.head_dim / 2}, mx::float32),
              .card = nullptr};
  Arrays small{model.norm, model.inv_freq};
  for (int i = 0; i < c.num_hidden_layers; ++i) {
    model.layers.push_back(make_layer(loaded, i));
    const auto& layer = model.layers.back();
    small.insert(small.end(), {layer.input_layernorm, layer.post_attention_layernorm});
    for (const auto& b : layer.biases)
      if (b) small.push_back(*b);
    for (const auto& n : {layer.q_norm, layer.k_norm})
      if (n) small.push_back(*n);
  }
  mx::eval(small);
  if (!on_cpu_memory(backend)) place_weights(model);
  model.card = make_card_inference(model);
  return model;
}

void release_weights(LoadedModel& loaded, const Backend& backend) {
  if (on_cpu_memory(backend)) return;
  loaded.weights.clear();
  loaded.vectors.clear();
}

Model with_precision(Model model, kernels::Precision precision) {
  model.backend.precision = precision;
  return model;
}

mx::array hidden_states(const Model& model, const mx::array& ids, const SegmentsPtr& packed,
                        const ModelLora* given, Recompute recompute, int group, const Rows& rows) {
  const SegmentsPtr segments = prepare(model.backend, packed);
  const size_t count = model.layers.size();
  const ModelLora none(given == nullptr ? count : 0);
  const ModelLora& lora = given == nullptr ? none : *given;
  const Attend attend = [&model, segments](const mx::array& q, const mx::array& k,
                                           const mx::array& v) {
    return attention(model.backend, q, k, v, segments, model.config.head_dim);
  };
  // Of the last layer only `rows` are needed.
  const auto on_layer = [=, &model](size_t i, const LayerLora& layer_lora, const auto& f) {
    const Rows wanted = i + 1 == count ? rows : nullptr;
    GraphOps ops{model, model.layers[i], &layer_lora, segments, attend, wanted};
    return f(ops, model.layers[i]);
  };
  auto x = embedding(model.backend, model.embed_tokens, ids);
  if (recompute == Recompute::mlp) {
    for (size_t i = 0; i < count; ++i) {
      x = on_layer(i, lora[i], [&](GraphOps& ops, const DecoderLayer& l) {
        return llama_attention(ops, model.config, l, x);
      });
      const auto mlp = [=](const mx::array& in, const ModelLora& part) {
        return on_layer(i, part[0], [&](GraphOps& ops, const DecoderLayer& l) {
          return llama_mlp(ops, l, in);
        });
      };
      x = run({i, i + 1, true, mlp}, x, lora);
    }
    return x;
  }
  const size_t together =
      recompute == Recompute::layer ? static_cast<size_t>(std::max(group, 1)) : 1;
  for (size_t first = 0; first < count; first += together) {
    const size_t last = std::min(count, first + together);
    const auto layers = [=, &model](const mx::array& in, const ModelLora& part) {
      auto y = in;
      for (size_t i = first; i < last; ++i)
        y = on_layer(i, part[i - first], [&](GraphOps& ops, const DecoderLayer& l) {
          return llama_layer(ops, model.config, l, y);
        });
      return y;
    };
    x = run({first, last, recompute == Recompute::layer, layers}, x, lora);
  }
  return x;
}

mx::array logits(const Model& model, const mx::array& hidden) {
  return linear(model.backend,
                rms_norm(model.backend, hidden, model.norm, model.config.rms_norm_eps),
                {.weight = model.lm_head, .bias = {}, .lora = {}});
}

int64_t parameter_count(const Model& model) {
  const auto size = [](const Weight& w) { return int64_t{w.out_features()} * w.in_features(); };
  int64_t count = size(model.embed_tokens) + static_cast<int64_t>(model.norm.size());
  if (!model.config.tie_word_embeddings) count += size(model.lm_head);
  for (const auto& layer : model.layers) {
    for (const auto& w : layer.weights) count += size(w);
    for (const auto& b : layer.biases)
      if (b) count += static_cast<int64_t>(b->size());
    count +=
        static_cast<int64_t>(layer.input_layernorm.size() + layer.post_attention_layernorm.size());
    for (const auto& n : {layer.q_norm, layer.k_norm})
      if (n) count += static_cast<int64_t>(n->size());
  }
  return count;
}

}  // namespace gavel
