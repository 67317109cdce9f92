// Which settings the numbers of a training run follow from.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "train/trainer.h"

namespace gavel {

// Every setting of the loop, the optimizer and the schedule that changes what a step computes: two
// runs on the same model, adapter and data in which these are equal take the same steps. What only
// says when to report, validate, save or end is not in it.
nlohmann::ordered_json settings_json(const TrainConfig& config);

// All that a run follows from but its adapter: the base model (its weights by a hash, wherever they
// lie), the data by a hash, and the settings above.
nlohmann::ordered_json run_json(const Model& model, const Dataset& train_set,
                                const TrainConfig& config);

// Of the tokens of a data set, the masks, and the groups that stay together.
uint64_t hash_of(const Dataset& set);

}  // namespace gavel
