#include "train/work.h"

#include <algorithm>

#include "data/batches.h"

namespace gavel {
namespace {

// Multiplications and additions of a layer's products and attention, in one direction.
struct LayerFlop {
  double attention = 0.0;  // q, k, v and the attention itself
  double output = 0.0;     // o
  double gate_up = 0.0, down = 0.0;
  double all() const { return attention + output + gate_up + down; }
};

LayerFlop layer_flop(const TrainShape& s, const PartSize& part, bool last) {
  const auto product = [&](Projection p, int64_t rows) {
    return 2.0 * static_cast<double>(s.out_features(p)) * static_cast<double>(s.in_features(p)) *
           static_cast<double>(rows);
  };
  const int64_t after = last ? part.loss_rows : part.rows;
  const double heads =
      static_cast<double>(s.config.num_attention_heads) * static_cast<double>(s.config.head_dim);
  return {.attention = product(Projection::q, part.rows) + product(Projection::k, part.rows) +
                       product(Projection::v, part.rows) + 4.0 * part.pairs * heads,
          .output = product(Projection::o, after),
          .gate_up = product(Projection::gate, after) + product(Projection::up, after),
          .down = product(Projection::down, after)};
}

double head_flop(const TrainShape& s, const PartSize& part) {
  return 2.0 * static_cast<double>(s.config.vocab_size) *
         static_cast<double>(s.config.hidden_size) * static_cast<double>(part.loss_rows);
}

}  // namespace

int64_t TrainShape::out_features(Projection p) const {
  const ModelConfig& c = config;
  switch (p) {
    case Projection::q:
      return int64_t{c.num_attention_heads} * c.head_dim;
    case Projection::k:
    case Projection::v:
      return int64_t{c.num_key_value_heads} * c.head_dim;
    case Projection::o:
    case Projection::down:
      return c.hidden_size;
    case Projection::gate:
    case Projection::up:
      return c.intermediate_size;
  }
  return 0;
}

int64_t TrainShape::in_features(Projection p) const {
  if (p == Projection::o) return int64_t{config.num_attention_heads} * config.head_dim;
  return p == Projection::down ? config.intermediate_size : config.hidden_size;
}

bool TrainShape::adapts(size_t layer, Projection p) const {
  return std::any_of(adapted.begin(), adapted.end(),
                     [&](const Adapted& a) { return a.layer == layer && a.projection == p; });
}

int64_t TrainShape::parameters() const {
  int64_t count = 0;
  for (const Adapted& a : adapted)
    count += a.rank * (in_features(a.projection) + out_features(a.projection));
  return count;
}

TrainShape train_shape(const ModelConfig& config, const Adapter& adapter) {
  TrainShape shape{.config = config,
                   .adapted = {},
                   .first_layer = static_cast<size_t>(config.num_hidden_layers)};
  for (const LoraMatrix& m : adapter.matrices) {
    shape.adapted.push_back({m.layer, m.projection, m.a.shape(1)});
    shape.first_layer = std::min(shape.first_layer, m.layer);
  }
  return shape;
}

PartSize part_size(std::span<const Example* const> part, bool share) {
  const PackedRows packed = pack_rows(part, share);
  const Segments& s = *packed.segments;
  PartSize size{.tokens = packed.tokens,
                .rows = s.rows(),
                .loss_rows = static_cast<int64_t>(packed.targets.size()),
                .pairs = 0.0};
  for (const int32_t position : s.positions) size.pairs += position + 1.0;
  return size;
}

std::vector<std::vector<PartSize>> epoch_parts(const Dataset& train_set, const TrainConfig& config,
                                               int64_t micro_batch_tokens) {
  BatchPlan plan(train_set.examples, config.batch_size, config.seed, config.order);
  const int64_t batches = std::min(plan.batches_per_epoch(), config.iters);
  std::vector<std::vector<PartSize>> all;
  for (int64_t i = 0; i < batches; ++i) {
    std::vector<const Example*> batch;
    for (const int32_t index : plan.next_batch())
      batch.push_back(&train_set.examples[static_cast<size_t>(index)]);
    std::vector<PartSize> parts;
    for (const auto& part : split_batch(batch, micro_batch_tokens)) {
      const PartSize size = part_size(part, config.lora_dropout == 0.0f);
      if (size.loss_rows > 0) parts.push_back(size);
    }
    all.push_back(std::move(parts));
    if ((static_cast<size_t>(i) + 1) % (kExamplesAtOnce / 8) == 0) train_set.let_go();
  }
  return all;
}

double forward_flop(const TrainShape& s, const PartSize& part) {
  const auto layers = static_cast<size_t>(s.config.num_hidden_layers);
  double flop = head_flop(s, part);
  for (size_t i = 0; i < layers; ++i) flop += layer_flop(s, part, i + 1 == layers).all();
  return flop;
}

double training_flop(const TrainShape& s, const PartSize& part, Recompute recompute) {
  const auto layers = static_cast<size_t>(s.config.num_hidden_layers);
  const double heads =
      static_cast<double>(s.config.num_attention_heads) * static_cast<double>(s.config.head_dim);
  double flop = 2.0 * head_flop(s, part);
  for (size_t i = 0; i < layers; ++i) {
    const LayerFlop f = layer_flop(s, part, i + 1 == layers);
    flop += f.all();
    if (i < s.first_layer) continue;
    // Attention's gradient multiplies its scores once more: 10 of its 4.
    flop += f.all() + 6.0 * part.pairs * heads;
    if (recompute == Recompute::mlp) flop += f.gate_up;
    if (recompute == Recompute::layer) flop += f.all() - f.down;
  }
  for (const auto& a : s.adapted)
    flop += 6.0 * static_cast<double>(a.rank) * static_cast<double>(part.rows) *
            static_cast<double>(s.in_features(a.projection) + s.out_features(a.projection));
  return flop;
}

}  // namespace gavel
