#include "train/loss.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "data/prefix_tree.h"

namespace gavel {

namespace {

// A shared beginning is worth a segment of its own from so many tokens on.
constexpr int32_t kLeastShared = 8;

// The first row of an example that carries loss; all rows before may be shared.
int32_t first_loss_row(const Example& e) { return std::max(e.prompt_length, 1) - 1; }

}  // namespace

namespace {

// `row_of`: the row of each example that is used.
void pair_up(const std::vector<const Example*>& used, const std::vector<int32_t>& row_of,
             PackedRows& packed) {
  packed.others.resize(packed.rows.size());
  for (size_t i = 0; i < used.size(); ++i)
    packed.others[static_cast<size_t>(row_of[i])] = used[i]->other_token;
  for (size_t i = 0; i < used.size(); i += 2) {
    if (i + 1 == used.size() || used[i]->group != used[i + 1]->group)
      fail("an answer of a ranked pair is without the other one");
    packed.places.insert(packed.places.end(), {row_of[i], row_of[i + 1]});
    packed.wins.push_back(used[i]->wins);
  }
}

}  // namespace

PackedRows pack_rows(std::span<const Example* const> examples, bool share) {
  std::vector<PrefixTreeInput> inputs;
  std::vector<const Example*> used;
  PackedRows packed;
  for (const Example* e : examples) {
    if (e->loss_tokens() == 0) continue;
    if (!used.empty() && e->ranked() != used[0]->ranked())
      fail("ranked pairs and other examples are in one batch");
    used.push_back(e);
    inputs.push_back({std::span(e->tokens).first(e->tokens.size() - 1),
                      share ? int64_t{first_loss_row(*e)} : 0});
    packed.tokens += std::ssize(inputs.back().tokens);
  }
  std::vector<int32_t> lengths, parents, row_of(used.size());
  for (const PrefixNode& node : prefix_tree(inputs, kLeastShared)) {
    const Example& e = *used[static_cast<size_t>(node.sequence)];
    const auto base = static_cast<int32_t>(packed.ids.size()) - node.first;
    packed.ids.insert(packed.ids.end(), e.tokens.begin() + node.first,
                      e.tokens.begin() + node.last);
    lengths.push_back(node.last - node.first);
    parents.push_back(node.parent);
    if (!node.leaf) continue;
    row_of[static_cast<size_t>(node.sequence)] = static_cast<int32_t>(packed.rows.size());
    for (int32_t i = first_loss_row(e); i < node.last; ++i) {
      packed.rows.push_back(base + i);
      packed.targets.push_back(e.tokens[static_cast<size_t>(i) + 1]);
    }
  }
  packed.segments = make_segments(lengths, std::move(parents));
  if (!used.empty() && used[0]->ranked()) pair_up(used, row_of, packed);
  return packed;
}

PackedBatch pack(std::span<const Example* const> examples, bool share) {
  PackedRows p = pack_rows(examples, share);
  const auto count = static_cast<int>(p.targets.size()), pairs = static_cast<int>(p.wins.size());
  std::optional<RankedRows> ranked;
  if (pairs > 0)
    ranked = RankedRows{mx::array(p.others.begin(), {count}, mx::int32),
                        mx::array(p.places.begin(), {pairs, 2}, mx::int32),
                        mx::array(p.wins.begin(), {pairs}, mx::float32)};
  return {.ids = mx::array(p.ids.begin(), {static_cast<int>(p.ids.size())}, mx::int32),
          .segments = p.segments,
          .rows = std::make_shared<const std::vector<int32_t>>(std::move(p.rows)),
          .targets = mx::array(p.targets.begin(), {count}, mx::int32),
          .weights = mx::ones({count}, mx::float32),
          .tokens = p.tokens,
          .loss_tokens = pairs > 0 ? pairs : count,
          .ranked = std::move(ranked)};
}

std::vector<std::vector<const Example*>> split_batch(std::span<const Example* const> examples,
                                                     int64_t max_tokens) {
  std::vector<std::vector<const Example*>> parts;
  int64_t tokens = 0;
  for (size_t i = 0; i < examples.size();) {
    const bool pair = examples[i]->ranked() && i + 1 < examples.size();
    const auto together = examples.subspan(i, pair ? 2 : 1);
    int64_t length = 0;
    for (const Example* e : together) length += static_cast<int64_t>(e->tokens.size());
    if (parts.empty() || tokens + length > max_tokens) {
      parts.emplace_back();
      tokens = 0;
    }
    parts.back().insert(parts.back().end(), together.begin(), together.end());
    tokens += length;
    i += together.size();
  }
  return parts;
}

mx::array flatten(const Adapter& adapter) {
  Arrays flat;
  for (const auto& m : adapter.matrices)
    for (const auto* array : {&m.a, &m.b}) flat.push_back(mx::reshape(*array, {-1}));
  auto all = mx::concatenate(flat, 0);
  all.eval();
  return all;
}

Arrays unflatten(const Adapter& adapter, const mx::array& flat) {
  Arrays arrays;
  int offset = 0;
  for (const auto& m : adapter.matrices) {
    for (const auto* array : {&m.a, &m.b}) {
      const int end = offset + static_cast<int>(array->size());
      if (end > flat.shape(0)) fail("the flat parameters end too early");
      arrays.push_back(mx::reshape(mx::slice(flat, {offset}, {end}), array->shape()));
      offset = end;
    }
  }
  return arrays;
}

Adapter with_parameters(const Adapter& adapter, const mx::array& flat) {
  Adapter result = adapter;
  const auto arrays = unflatten(adapter, flat);
  for (size_t i = 0; i < result.matrices.size(); ++i) {
    result.matrices[i].a = arrays[2 * i];
    result.matrices[i].b = arrays[2 * i + 1];
  }
  mx::eval(arrays);
  return result;
}

namespace {

void set_dropout(ModelLora& lora, const ForwardOptions& options) {
  if (options.dropout <= 0.0f) return;
  auto key = mx::random::key(options.dropout_seed);
  for (auto& layer : lora) {
    for (auto& l : layer.of) {
      if (!l) continue;
      const auto [next, use] = mx::random::split(key);
      key = next;
      l->dropout = options.dropout;
      l->key = use;
    }
  }
}

// The scores of rows h [rows, hidden]: logits of the targets less those of the other tokens.
mx::array log_odds(const Model& model, const mx::array& h, const mx::array& targets,
                   const mx::array& others) {
  const auto row = [&](const mx::array& ids) {
    return mx::astype(embedding(model.backend, model.lm_head, ids), mx::float32);
  };
  const auto direction = mx::subtract(row(targets), row(others));
  return mx::sum(mx::multiply(mx::astype(h, mx::float32), mx::stop_gradient(direction)), 1);
}

mx::array ranked_loss(const mx::array& scores, const RankedRows& ranked, float smoothing) {
  const auto both = mx::take(scores, ranked.places, 0);  // [pairs, 2]
  const auto column = [&](int k) {
    return mx::reshape(mx::slice(both, {0, k}, {both.shape(0), k + 1}), {-1});
  };
  const auto d = mx::subtract(column(0), column(1));
  const auto wins =
      mx::add(mx::multiply(ranked.wins, mx::array(1.0f - smoothing)), mx::array(smoothing / 2));
  // -log sigmoid(d) = log(1 + exp(-d)), and -log sigmoid(-d) is d more.
  const auto losses = mx::add(mx::logaddexp(mx::array(0.0f), mx::negative(d)),
                              mx::multiply(mx::subtract(mx::array(1.0f), wins), d));
  return mx::sum(losses);
}

mx::array batch_loss(const Model& model, const ModelLora* lora, const PackedBatch& batch,
                     const ForwardOptions& options, bool with_grad) {
  const bool all_rows = std::ssize(*batch.rows) == batch.segments->rows();
  const auto hidden = hidden_states(model, batch.ids, batch.segments, lora, options.recompute,
                                    options.recompute_group, all_rows ? nullptr : batch.rows);
  const auto normed = rms_norm(model.backend, hidden, model.norm, model.config.rms_norm_eps);
  if (batch.ranked)
    return ranked_loss(log_odds(model, normed, batch.targets, batch.ranked->others), *batch.ranked,
                       options.label_smoothing);
  return cross_entropy(model.backend, normed, model.lm_head, batch.targets, batch.weights,
                       with_grad)[0];
}

}  // namespace

PassParameters pass_parameters(const Model& model, const Adapter& adapter,
                               const mx::array& params) {
  PassParameters pass{unflatten(adapter, params), {}};
  if (model.backend.dtype == mx::float32) return pass;
  const float scale = adapter.matrices.empty() ? 1.0f : adapter.matrices.front().scale;
  const bool uniform = std::all_of(adapter.matrices.begin(), adapter.matrices.end(),
                                   [&](const LoraMatrix& m) { return m.scale == scale; });
  if (uniform && scale > 0.0f) pass.root_of_scale = std::sqrt(scale);
  for (auto& a : pass.arrays) {
    if (pass.root_of_scale) a = mx::multiply(a, mx::array(*pass.root_of_scale));
    a = mx::astype(a, model.backend.dtype);
  }
  return pass;
}

LossAndGradient loss_and_gradient(const Model& model, const Adapter& adapter,
                                  const PassParameters& params, const PackedBatch& batch,
                                  const ForwardOptions& options) {
  std::vector<int> all(params.arrays.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int>(i);
  const auto fun = [&](const Arrays& in) {
    auto lora = bind(model, adapter, &in);
    if (params.root_of_scale)
      for (auto& layer : lora)
        for (auto& l : layer.of)
          if (l) l->scale = 1.0f;
    set_dropout(lora, options);
    return batch_loss(model, &lora, batch, options, true);
  };
  auto [loss, gradients] =
      mx::value_and_grad(std::function<mx::array(const Arrays&)>(fun), all)(params.arrays);
  for (auto& g : gradients) g = mx::reshape(g, {-1});
  auto flat = mx::astype(mx::concatenate(gradients, 0), mx::float32);
  if (params.root_of_scale) flat = mx::multiply(flat, mx::array(*params.root_of_scale));
  return {loss, flat};
}

LossAndGradient loss_and_gradient(const Model& model, const Adapter& adapter,
                                  const mx::array& params, const PackedBatch& batch,
                                  const ForwardOptions& options) {
  return loss_and_gradient(model, adapter, pass_parameters(model, adapter, params), batch, options);
}

double loss_sum(const Model& model, const ModelLora* lora, const PackedBatch& batch) {
  auto loss = batch_loss(model, lora, batch, {}, false);
  return double{loss.item<float>()};
}

}  // namespace gavel
