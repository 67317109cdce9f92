// How much there is to compute in a training run: rows, and the floating-point operations that
// follow from them. Nothing is computed on the device.
#pragma once

#include <cstdint>
#include <vector>

#include "train/loss.h"
#include "train/trainer.h"

namespace gavel {

// A model and its adapter as sizes.
struct TrainShape {
  ModelConfig config;
  struct Adapted {
    size_t layer = 0;
    Projection projection = Projection::q;
    int64_t rank = 0;
  };
  std::vector<Adapted> adapted;
  // The layers from here on have gradients; those before are run forward alone.
  size_t first_layer = 0;

  int64_t out_features(Projection p) const;
  int64_t in_features(Projection p) const;
  bool adapts(size_t layer, Projection p) const;
  int64_t parameters() const;  // of the adapter
};
TrainShape train_shape(const ModelConfig& config, const Adapter& adapter);

// A part of a batch, as it runs at once.
struct PartSize {
  int64_t tokens = 0;     // of the examples
  int64_t rows = 0;       // after what they share stands once
  int64_t loss_rows = 0;  // those that carry loss
  double pairs = 0.0;     // of a row and a row that it sees
};
PartSize part_size(std::span<const Example* const> part, bool share);

// Of every batch of one epoch (the first), each batch's parts; parts without loss are left out.
std::vector<std::vector<PartSize>> epoch_parts(const Dataset& train_set, const TrainConfig& config,
                                               int64_t micro_batch_tokens);

// Floating-point operations of a part: forward alone, or with the gradient.
double forward_flop(const TrainShape& shape, const PartSize& part);
double training_flop(const TrainShape& shape, const PartSize& part, Recompute recompute);

}  // namespace gavel
