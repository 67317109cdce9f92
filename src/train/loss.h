// The loss of a batch and its gradient: (parameters, batch) -> (loss, gradients).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "adapter/lora.h"
#include "data/dataset.h"

namespace gavel {

// Pairs whose answers are scored one by one: a row's score is the log-odds of its target over its
// other token.
struct RankedRows {
  mx::array others;  // [rows] int32
  mx::array places;  // [pairs, 2] int32: the rows of the two answers
  mx::array wins;    // [pairs] float32: how far the first one beats the second
};

// Examples one after another without padding. Row i's target is the token after it. Rows before the
// first that carries loss are computed once for all examples that begin with the same tokens: the
// loss and its gradient are the same, since a row depends on nothing after it.
struct PackedBatch {
  mx::array ids;         // [T] int32
  SegmentsPtr segments;  // of one example, or of the beginning that several share
  // The rows whose target carries loss, ascending, and these targets and their weights (all 1).
  std::shared_ptr<const std::vector<int32_t>> rows;
  mx::array targets;        // [rows] int32
  mx::array weights;        // [rows] float32
  int64_t tokens = 0;       // of the examples: T and what was shared
  int64_t loss_tokens = 0;  // what the loss is a sum over: rows, or ranked pairs
  std::optional<RankedRows> ranked;
};

// The same as numbers, without a device's arrays.
struct PackedRows {
  std::vector<int32_t> ids, rows, targets;
  std::vector<int32_t> others, places;  // of ranked pairs, as in RankedRows; else empty
  std::vector<float> wins;
  SegmentsPtr segments;
  int64_t tokens = 0;
};
PackedRows pack_rows(std::span<const Example* const> examples, bool share);

// Packs these examples. Those without a loss-carrying token are left out; with none left,
// `loss_tokens` is 0 and the batch must not be run. Ranked pairs must be whole and alone: else that
// is an Error. `share`: beginnings are computed once (not with
// dropout, which falls differently on each example).
PackedBatch pack(std::span<const Example* const> examples, bool share = true);

// Divides a batch into runs of examples of at most `max_tokens` tokens each (an example longer than
// that stands alone; the two of a ranked pair stay together). The loss is a sum over tokens or
// pairs, so running them one by one and adding up gives
// the same loss and gradient with less memory.
std::vector<std::vector<const Example*>> split_batch(std::span<const Example* const> examples,
                                                     int64_t max_tokens);

// The adapter's parameters in one flat float32 array: a, b of each matrix in order.
mx::array flatten(const Adapter& adapter);
// Views of the flat array in the adapter's shapes, and the adapter made of them.
Arrays unflatten(const Adapter& adapter, const mx::array& flat);
Adapter with_parameters(const Adapter& adapter, const mx::array& flat);

struct ForwardOptions {
  Recompute recompute = Recompute::none;
  int recompute_group = 1;    // layers computed again together, with Recompute::layer
  float dropout = 0.0f;       // of the LoRA branches' input
  uint64_t dropout_seed = 0;  // of this batch
  float label_smoothing = 0;  // of ranked pairs: this share of the outcome is one half
};

// The sum of the batch's token losses (natural log), a float32 scalar, and its gradient, flat. Both
// are yet to be evaluated. Of ranked pairs: the sum of -w log sigmoid(d) - (1 - w) log sigmoid(-d),
// d being the first answer's score less the second's and w how far it wins (Bradley-Terry).
struct LossAndGradient {
  mx::array loss, gradient;
};
LossAndGradient loss_and_gradient(const Model& model, const Adapter& adapter,
                                  const mx::array& params, const PackedBatch& batch,
                                  const ForwardOptions& options);

// The parameters as the passes over a batch's parts take them: made once for all of them.
struct PassParameters {
  Arrays arrays;  // a, b of each matrix, in the activations' type
  // a and b are multiplied by it where all matrices have one LoRA scale, its square.
  std::optional<float> root_of_scale;
};
PassParameters pass_parameters(const Model& model, const Adapter& adapter, const mx::array& params);
// As above, the gradient that of the flat float32 parameters.
LossAndGradient loss_and_gradient(const Model& model, const Adapter& adapter,
                                  const PassParameters& params, const PackedBatch& batch,
                                  const ForwardOptions& options);

// The same sum without a gradient. `lora` may be null: the base model.
double loss_sum(const Model& model, const ModelLora* lora, const PackedBatch& batch);

}  // namespace gavel
