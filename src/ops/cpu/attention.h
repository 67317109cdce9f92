// Attention of one block of queries, as the kernels of an instruction set see it.
#pragma once

#include <cstdint>

#include "ops/kernels.h"

namespace gavel::kernels {

constexpr int64_t kQueryBlock = 60;  // whole tiles of 12, 6 and 4 rows
constexpr int64_t kKeyBlock = 128;

// Keys and values in up to two runs of rows, `stride` numbers apart, of one key-value head.
struct KeyRows {
  const void* k[2];
  const void* v[2];
  int64_t length[2];
  int64_t stride;
  ScalarType type = ScalarType::f32;  // or f16
};

// Queries [0, rows) of `heads` neighbouring heads that share the keys. Row i sees the first
// visible + i keys. Rows of q and out are `q_stride` floats apart, those of lse (may be null)
// lse_stride; a head is d floats further.
struct AttentionBlock {
  const float* q;
  float* out;
  float* lse;
  int64_t q_stride, lse_stride, rows, heads;
  KeyRows keys;
  int64_t visible, d;
  float scale;
};

constexpr int64_t kFewKeyBlock = 128;

// One row of queries, of `heads` neighbouring heads that share the keys, against at most
// kFewKeyBlock of them, [begin, end) of both runs. For each head out gets the sum of exp(score -
// top) v [d], then top and the sum of exp(score - top); such parts are put together afterwards.
struct AttentionFew {
  const float* q;
  float* out;
  int64_t heads;
  KeyRows keys;
  int64_t begin, end, d;
  float scale;
};

// One head of one whole segment of `rows` queries; keys are those of its ancestors, then its own:
// query i sees the first keys.length[0] + i + 1. dq is written with q's stride; dk and dv are sums
// [padded d / panel][padded keys][panel], both rounded up to panels.
struct AttentionGradient {
  const float *q, *out, *lse, *dout;
  KeyRows keys;
  int64_t q_stride, lse_stride, rows, d;
  float scale;
  float *dq, *dk, *dv;
};

}  // namespace gavel::kernels
