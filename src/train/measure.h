// How fast training is here, by running some of it.
#pragma once

#include "train/passes.h"
#include "train/work.h"

namespace gavel {

struct MeasuredRate {
  double flop_per_second = 0.0;  // as work.h counts them
  double watts = 0.0;            // 0: this machine does not say
};

// Runs a few parts of the data's batches, forward and backward, with fewer layers where the whole
// model would take long: some seconds in all.
MeasuredRate measure_rate(const Model& model, const Adapter& adapter, const Dataset& train_set,
                          const TrainConfig& config, const Passes& passes);

}  // namespace gavel
