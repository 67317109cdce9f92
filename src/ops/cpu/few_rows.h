// Products with few activation rows, for generation.
#pragma once

#include "ops/kernels.h"

namespace gavel::kernels {

// Whether rows are so few that linear_few, which reads the weight in place, beats packing it.
bool few_rows_suffice(const WeightView& w, int64_t rows, Precision precision);

// How many of a weight's columns a thread takes at a time, of `columns` in all: so few that all
// threads end together, whatever memory each has to wait for.
int64_t few_columns_at_a_time(const WeightView& w, int64_t columns);

// As linear_forward, for weights of the same k; `fast` with 8-bit activations where the weight has
// 4 or 8 bits.
void linear_few(const float* x, int64_t rows, std::span<const LinearTask> tasks,
                Precision precision);

}  // namespace gavel::kernels
