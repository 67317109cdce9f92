// Adapters merged into the weights they adapt.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "adapter/lora.h"
#include "model/weights.h"

namespace gavel {

// W += scale (A B)^T in float32 for every matrix of the adapter; the result has the type that the
// matrix had: dense, or quantized again with its own bits and groups (of 32, 64 or 128). With
// `dense`, quantized ones become dense, in their scales' type.
// Several adapters: see stack() of adapter/lora.h.
void fuse_adapter(LoadedModel& model, const Adapter& adapter, bool dense = false);

// How far two models' logits are apart on a text.
struct LogitComparison {
  int64_t tokens = 0;
  double largest = 0.0;  // largest absolute difference of logits
  double root_mean_square = 0.0;
  double same_top = 0.0;  // share of positions with the same most likely token
  double kl = 0.0;        // mean KL(first || second), nats
};
// `lora`, where given, applies to the first model.
LogitComparison compare_logits(const Model& first, const ModelLora* lora, const Model& second,
                               const std::vector<int>& ids);

}  // namespace gavel
