// Blocked attention: scores of a block of queries against a block of keys in the tiles of matrix
// products, an online softmax, and the gradients of both.
#pragma once

#include "base/half.h"
#include "ops/cpu/packing.inl.h"
#include "ops/cpu/tiles.inl.h"

namespace gavel::kernels {
namespace {

inline int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

inline float dot(const float* a, const float* b, int64_t n) {
  vf sums{};
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) sums += load(a + i) * load(b + i);
  float sum = sum_lanes(sums);
  for (; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

// c [rows][panel] += a b by tiles.
inline void multiply(int64_t rows, const float* a, int64_t a_row, int64_t a_step, const float* b,
                     int64_t b_row, int64_t depth, float* c) {
  for (int64_t i = 0; i < rows; i += kTileRows)
    tile_f32(static_cast<int>(smaller(kTileRows, rows - i)), a + i * a_row, a_row, a_step, b, b_row,
             depth, c + i * kPanel);
}

// out[rows][padded] = factor * from, zeros past d.
inline void copy_rows(const float* from, int64_t stride, int64_t rows, int64_t d, int64_t padded,
                      float factor, float* out) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < d; ++j) out[i * padded + j] = factor * from[i * stride + j];
    for (int64_t j = d; j < padded; ++j) out[i * padded + j] = 0.0f;
  }
}

// out[0, d) = factor * a row that lies by panels, `next` floats apart.
inline void unpack_row(const float* from, int64_t next, int64_t d, float factor, float* out) {
  for (int64_t c = 0; c < d; c += kPanel) {
    const int64_t count = smaller(kPanel, d - c);
    for (int64_t j = 0; j < count; ++j) out[c + j] = factor * from[c / kPanel * next + j];
  }
}

// A vector of keys or values.
inline vf load_number(const float* p) { return load(p); }
inline vf load_number(const uint16_t* p) { return load_f16(p); }
inline float number_at(const float* p) { return *p; }
#if defined(__AVX2__)
inline float number_at(const uint16_t* p) { return _cvtsh_ss(*p); }
#else
inline float number_at(const uint16_t* p) { return f16_to_float(*p); }
#endif

// out[rows][padded] = from, zeros past d.
template <typename T>
void widen_rows(const T* from, int64_t stride, int64_t rows, int64_t d, int64_t padded,
                float* out) {
  const int64_t whole = d / kWidth * kWidth;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < whole; j += kWidth)
      store(out + i * padded + j, load_number(from + i * stride + j));
    for (int64_t j = whole; j < d; ++j) out[i * padded + j] = number_at(from + i * stride + j);
    for (int64_t j = d; j < padded; ++j) out[i * padded + j] = 0.0f;
  }
}

// Keys or values [first, first + count) of both runs, one after another.
inline void gather_rows(const KeyRows& keys, const void* const (&runs)[2], int64_t first,
                        int64_t count, int64_t d, int64_t padded, float* out) {
  const int64_t early = larger(0, smaller(count, keys.length[0] - first));
  const auto copy = [&](const auto* early_rows, const auto* late_rows) {
    if (early > 0) widen_rows(early_rows + first * keys.stride, keys.stride, early, d, padded, out);
    if (count > early)
      widen_rows(late_rows + (first + early - keys.length[0]) * keys.stride, keys.stride,
                 count - early, d, padded, out + early * padded);
  };
  if (keys.type == ScalarType::f16)
    copy(static_cast<const uint16_t*>(runs[0]), static_cast<const uint16_t*>(runs[1]));
  else
    copy(static_cast<const float*>(runs[0]), static_cast<const float*>(runs[1]));
}

void to_halves_range(const float* from, int64_t count, uint16_t* to) {
#if defined(__AVX2__)
  constexpr int kRound = _MM_FROUND_TO_NEAREST_INT;
  int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(from + i), kRound));
  for (; i < count; ++i) to[i] = static_cast<uint16_t>(_cvtss_sh(from[i], kRound));
#else
  for (int64_t i = 0; i < count; ++i) to[i] = f32_to_f16(from[i]);
#endif
}

// The first row of a block that sees any key from `key` on, where row 0 sees `visible` keys.
inline int64_t first_row(int64_t key, int64_t visible) { return larger(0, key - visible + 1); }

// Turns row i's scores of a key block into exp(score - max), the online way. `seen` of the block's
// keys are visible to it; scores lie by panels, `next` floats apart.
inline void softmax_row(float* scores, int64_t next, int64_t seen, float& top, float& sum,
                        float* out, int64_t out_next, int64_t out_panels) {
  const vi lanes = kLanes;
  vf best = splat(top);
  for (int64_t key = 0; key < seen; key += kPanel)
    for (int half = 0; half < 2; ++half) {
      float* at = scores + key / kPanel * next + half * kWidth;
      const int32_t left = static_cast<int32_t>(seen - key - half * kWidth);
      const vf masked = lanes < left ? load(at) : splat(-1e30f);
      store(at, masked);
      best = vmax(best, masked);
    }
  const float now = max_lanes(best);
  if (now > top) {
    const float shrink = vexp(splat(top - now))[0];
    sum *= shrink;
    for (int64_t p = 0; p < out_panels; ++p)
      for (int half = 0; half < 2; ++half) {
        float* at = out + p * out_next + half * kWidth;
        store(at, load(at) * shrink);
      }
    top = now;
  }
  vf sums{};
  for (int64_t key = 0; key < seen; key += kPanel)
    for (int half = 0; half < 2; ++half) {
      float* at = scores + key / kPanel * next + half * kWidth;
      const vf e = vexp(load(at) - top);
      store(at, e);
      sums += e;
    }
  sum += sum_lanes(sums);
}

int64_t attention_scratch(int64_t heads, int64_t d) {
  const int64_t padded = round_up(d, kPanel);
  return kKeyBlock * (d + padded + kQueryBlock) + heads * kQueryBlock * (d + padded + 2);
}

void attention_block(const AttentionBlock& b, float* scratch) {
  const int64_t d = b.d, padded = round_up(d, kPanel), out_next = kQueryBlock * kPanel;
  float* keys = scratch;                              // [key panel][d][panel]
  float* values = keys + kKeyBlock * d;               // [key][padded]
  float* scores = values + kKeyBlock * padded;        // [key panel][row][panel]
  float* queries = scores + kKeyBlock * kQueryBlock;  // [head][row][d]
  float* sums = queries + b.heads * kQueryBlock * d;  // [head][d panel][row][panel]
  float* top = sums + b.heads * kQueryBlock * padded;
  float* weight = top + b.heads * kQueryBlock;
  for (int64_t h = 0; h < b.heads; ++h)
    copy_rows(b.q + h * d, b.q_stride, b.rows, d, d, b.scale, queries + h * kQueryBlock * d);
  for (int64_t i = 0; i < b.heads * kQueryBlock * padded; ++i) sums[i] = 0.0f;
  for (int64_t i = 0; i < b.heads * kQueryBlock; ++i) top[i] = -1e30f, weight[i] = 0.0f;

  const int64_t end = b.visible + b.rows - 1;
  for (int64_t k0 = 0; k0 < end; k0 += kKeyBlock) {
    const int64_t count = smaller(kKeyBlock, end - k0);
    gather_rows(b.keys, b.keys.k, k0, count, d, d, values);
    for (int64_t key = 0; key < count; key += kPanel)
      transpose(values + key * d, d, smaller(kPanel, count - key), d, keys + key * d);
    gather_rows(b.keys, b.keys.v, k0, count, d, padded, values);
    for (int64_t h = 0; h < b.heads; ++h) {
      const float* q = queries + h * kQueryBlock * d;
      float* out = sums + h * kQueryBlock * padded;
      for (int64_t key = 0; key < count; key += kPanel) {
        const int64_t row = first_row(k0 + key, b.visible);
        if (row >= b.rows) break;
        float* at = scores + (key / kPanel * kQueryBlock + row) * kPanel;
        for (int64_t i = 0; i < (b.rows - row) * kPanel; ++i) at[i] = 0.0f;
        multiply(b.rows - row, q + row * d, d, 1, keys + key * d, kPanel, d, at);
      }
      for (int64_t i = first_row(k0, b.visible); i < b.rows; ++i)
        softmax_row(scores + i * kPanel, kQueryBlock * kPanel, smaller(count, b.visible + i - k0),
                    top[h * kQueryBlock + i], weight[h * kQueryBlock + i], out + i * kPanel,
                    out_next, padded / kPanel);
      for (int64_t key = 0; key < count; key += kPanel) {
        const int64_t row = first_row(k0 + key, b.visible);
        if (row >= b.rows) break;
        for (int64_t p = 0; p < padded / kPanel; ++p)
          multiply(b.rows - row, scores + (key / kPanel * kQueryBlock + row) * kPanel, kPanel, 1,
                   values + key * padded + p * kPanel, padded, smaller(kPanel, count - key),
                   out + p * out_next + row * kPanel);
      }
    }
  }
  for (int64_t h = 0; h < b.heads; ++h)
    for (int64_t i = 0; i < b.rows; ++i) {
      const float* from = sums + h * kQueryBlock * padded + i * kPanel;
      float* to = b.out + i * b.q_stride + h * d;
      const float inverse = 1.0f / weight[h * kQueryBlock + i];
      unpack_row(from, out_next, d, inverse, to);
      if (b.lse)
        b.lse[i * b.lse_stride + h] =
            top[h * kQueryBlock + i] + __builtin_logf(weight[h * kQueryBlock + i]);
    }
}

// Lane i of the result is the sum of v[i]'s lanes.
inline vf sum_each(vf (&v)[kWidth]) {
#pragma GCC unroll 4
  for (int count = kWidth; count > 1; count /= 2)
#pragma GCC unroll 8
    for (int i = 0; i < count / 2; ++i)
      v[i] = shuffle<even>(v[2 * i], v[2 * i + 1]) + shuffle<odd>(v[2 * i], v[2 * i + 1]);
  return v[0];
}

constexpr int kFewHeads = 4;                  // at a time
constexpr int kFewKeys = kWidth / kFewHeads;  // at a time, so that their scores fill a vector
constexpr int64_t kFewAhead = 16;             // keys that are fetched before they are needed

// scores[j][kFewHeads] of G heads for keys j < count, rows of `stride`; the rest are zeros.
template <int G, typename T>
void few_scores(const float* q, const T* k, int64_t stride, int64_t count, int64_t d, float scale,
                float* scores) {
  const int64_t whole = d / kWidth * kWidth;
  for (int64_t j = 0; j < count; j += kFewKeys) {
    const T* row[kFewKeys];  // past the last key: the last again, whose scores nobody reads
    for (int i = 0; i < kFewKeys; ++i) row[i] = k + smaller(j + i, count - 1) * stride;
    vf acc[kWidth] = {};
    for (int i = 0; i < kFewKeys; ++i)
      for (int64_t c = 0; c < whole; c += 16)
        __builtin_prefetch(k + (j + i + kFewAhead) * stride + c);
    for (int64_t c = 0; c < whole; c += kWidth) {
      vf query[G];
#pragma GCC unroll 4
      for (int g = 0; g < G; ++g) query[g] = load(q + g * d + c);
#pragma GCC unroll 4
      for (int i = 0; i < kFewKeys; ++i) {
        const vf key = load_number(row[i] + c);
#pragma GCC unroll 4
        for (int g = 0; g < G; ++g) acc[i * kFewHeads + g] += query[g] * key;
      }
    }
    for (int64_t c = whole; c < d; ++c)
      for (int i = 0; i < kFewKeys; ++i)
        for (int g = 0; g < G; ++g)
          acc[i * kFewHeads + g][0] += q[g * d + c] * number_at(row[i] + c);
    store(scores + j * kFewHeads, sum_each(acc) * scale);
  }
}

// out[g][0, d) += sum over keys of scores[j][g] v[j]; heads lie `next` floats apart.
template <int G, typename T>
void few_values(const float* scores, const T* v, int64_t stride, int64_t count, int64_t d,
                float* out, int64_t next) {
  constexpr int kWide = kWidth == 16 ? 4 : 2;  // vectors at a time
  const int64_t whole = d / kWidth * kWidth;
  int64_t c = 0;
  for (; c + kWide * kWidth <= whole; c += kWide * kWidth) {
    vf acc[G][kWide];
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g)
#pragma GCC unroll 4
      for (int w = 0; w < kWide; ++w) acc[g][w] = load(out + g * next + c + w * kWidth);
    for (int64_t j = 0; j < count; ++j) {
      for (int w = 0; w < kWide; ++w)
        __builtin_prefetch(v + (j + kFewAhead) * stride + c + w * kWidth);
#pragma GCC unroll 4
      for (int w = 0; w < kWide; ++w) {
        const vf value = load_number(v + j * stride + c + w * kWidth);
#pragma GCC unroll 4
        for (int g = 0; g < G; ++g) acc[g][w] += value * scores[j * kFewHeads + g];
      }
    }
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g)
#pragma GCC unroll 4
      for (int w = 0; w < kWide; ++w) store(out + g * next + c + w * kWidth, acc[g][w]);
  }
  for (; c < d; ++c)
    for (int g = 0; g < G; ++g) {
      float sum = 0;
      for (int64_t j = 0; j < count; ++j)
        sum += number_at(v + j * stride + c) * scores[j * kFewHeads + g];
      out[g * next + c] += sum;
    }
}

// G heads from `head` on; T: of keys and values.
template <int G, typename T>
void attention_few_heads(const AttentionFew& a, int64_t head) {
  alignas(64) float scores[kFewKeyBlock * kFewHeads + kWidth];
  const float* q = a.q + head * a.d;
  const int64_t stride = a.keys.stride;
  const int64_t early = larger(0, smaller(a.end, a.keys.length[0]) - a.begin);
  const int64_t late = a.end - a.begin - early;
  const int64_t first[2] = {a.begin, a.begin + early - a.keys.length[0]};
  const int64_t count[2] = {early, late};
  const int64_t total = early + late;
  for (int run = 0; run < 2; ++run)
    if (count[run] > 0)
      few_scores<G>(q, static_cast<const T*>(a.keys.k[run]) + first[run] * stride, stride,
                    count[run], a.d, a.scale, scores + run * early * kFewHeads);
  const int64_t next = a.d + 2;
  float* state = a.out + head * next;
  float top[kFewHeads], sum[kFewHeads];
  for (int g = 0; g < kFewHeads; ++g) top[g] = -1e30f, sum[g] = 0.0f;
  for (int64_t j = 0; j < total; ++j)
    for (int g = 0; g < G; ++g) {
      const float score = scores[j * kFewHeads + g];
      top[g] = score > top[g] ? score : top[g];
    }
  vf shift, sums{};
  for (int i = 0; i < kWidth; ++i) shift[i] = top[i % kFewHeads];
  for (int64_t i = 0; i < total * kFewHeads; i += kWidth) {
    vf e = vexp(load(scores + i) - shift);
    const int32_t left = static_cast<int32_t>(total * kFewHeads - i);
    if (left < kWidth) e = kLanes < left ? e : vf{};
    store(scores + i, e);
    sums += e;
  }
  for (int i = 0; i < kWidth; ++i) sum[i % kFewHeads] += sums[i];
  for (int g = 0; g < G; ++g) {
    float* own = state + g * next;
    for (int64_t c = 0; c < a.d; ++c) own[c] = 0.0f;
    own[a.d] = top[g];
    own[a.d + 1] = sum[g];
  }
  for (int run = 0; run < 2; ++run)
    if (count[run] > 0)
      few_values<G>(scores + run * early * kFewHeads,
                    static_cast<const T*>(a.keys.v[run]) + first[run] * stride, stride, count[run],
                    a.d, state, next);
}

template <typename T>
void attention_few_of(const AttentionFew& a) {
  for (int64_t head = 0; head < a.heads; head += kFewHeads) {
    switch (smaller(kFewHeads, a.heads - head)) {
      case 1:
        attention_few_heads<1, T>(a, head);
        break;
      case 2:
        attention_few_heads<2, T>(a, head);
        break;
      case 3:
        attention_few_heads<3, T>(a, head);
        break;
      default:
        attention_few_heads<4, T>(a, head);
    }
  }
}

void attention_few(const AttentionFew& a) {
  if (a.keys.type == ScalarType::f16)
    attention_few_of<uint16_t>(a);
  else
    attention_few_of<float>(a);
}

int64_t attention_gradient_scratch(int64_t keys, int64_t d) {
  const int64_t padded = round_up(d, kPanel);
  return round_up(keys, kPanel) * (2 * d + padded) + kQueryBlock * (3 * padded + 2 * kKeyBlock + 1);
}

// p = exp(s - lse) and ds = p (dp - delta) of one row of a panel, in place; `seen` keys count.
inline void gradient_row(float* s, float* dp, int64_t seen, float lse, float delta) {
  const vi lanes = kLanes;
  for (int half = 0; half < 2; ++half) {
    const int32_t left = static_cast<int32_t>(seen) - half * kWidth;
    const vf p = lanes < left ? vexp(load(s + half * kWidth) - lse) : vf{};
    store(s + half * kWidth, p);
    store(dp + half * kWidth, p * (load(dp + half * kWidth) - delta));
  }
}

// Both runs of keys or values, and where they go.
struct Runs {
  const void* const (&rows)[2];
  float* packed;
};

void attention_gradient(const AttentionGradient& g, float* scratch) {
  const int64_t d = g.d, padded = round_up(d, kPanel), before = g.keys.length[0];
  const int64_t total = before + g.rows, keys = round_up(total, kPanel);
  const int64_t next = keys * kPanel;                    // from one panel of dk to the next
  float* kt = scratch;                                   // [key panel][d][panel]
  float* vt = kt + keys * d;                             // the same of v
  float* k = vt + keys * d;                              // [key][padded]
  float* q = k + keys * padded;                          // [row][padded], scaled
  float* dout = q + kQueryBlock * padded;                // [row][padded]
  float* dq = dout + kQueryBlock * padded;               // [d panel][row][panel]
  float* p = dq + kQueryBlock * padded;                  // [key panel][row][panel]
  float* ds = p + kQueryBlock * kKeyBlock;               // the same
  float* delta = ds + kQueryBlock * kKeyBlock;           // [row]
  const Runs both[] = {{g.keys.v, vt}, {g.keys.k, kt}};  // k last: its rows are needed below
  for (const auto& [runs, packed] : both) {
    gather_rows(g.keys, runs, 0, total, d, padded, k);
    for (int64_t key = 0; key < total; key += kPanel)
      transpose(k + key * padded, padded, smaller(kPanel, total - key), d, packed + key * d);
  }
  for (int64_t i = 0; i < keys * padded; ++i) g.dk[i] = g.dv[i] = 0.0f;

  for (int64_t i0 = 0; i0 < g.rows; i0 += kQueryBlock) {
    const int64_t rows = smaller(kQueryBlock, g.rows - i0);
    const float* lse = g.lse + i0 * g.lse_stride;
    copy_rows(g.q + i0 * g.q_stride, g.q_stride, rows, d, padded, g.scale, q);
    copy_rows(g.dout + i0 * g.q_stride, g.q_stride, rows, d, padded, 1.0f, dout);
    for (int64_t i = 0; i < rows; ++i)
      delta[i] = dot(g.dout + (i0 + i) * g.q_stride, g.out + (i0 + i) * g.q_stride, d);
    for (int64_t i = 0; i < kQueryBlock * padded; ++i) dq[i] = 0.0f;
    const int64_t visible = before + i0 + 1;  // to the block's first row
    for (int64_t k0 = 0; k0 < before + i0 + rows; k0 += kKeyBlock) {
      const int64_t end = smaller(k0 + kKeyBlock, before + i0 + rows);
      for (int64_t key = k0; key < end; key += kPanel) {
        const int64_t row = first_row(key, visible), count = rows - row;
        const int64_t depth = smaller(kPanel, total - key);
        const int64_t at = ((key - k0) / kPanel * kQueryBlock + row) * kPanel;
        for (int64_t i = 0; i < count * kPanel; ++i) p[at + i] = ds[at + i] = 0.0f;
        multiply(count, q + row * padded, padded, 1, kt + key * d, kPanel, d, p + at);
        multiply(count, dout + row * padded, padded, 1, vt + key * d, kPanel, d, ds + at);
        for (int64_t i = 0; i < count; ++i)
          gradient_row(p + at + i * kPanel, ds + at + i * kPanel, visible + row + i - key,
                       lse[(row + i) * g.lse_stride], delta[row + i]);
        for (int64_t c = 0; c < padded / kPanel; ++c) {
          multiply(depth, p + at, 1, kPanel, dout + row * padded + c * kPanel, padded, count,
                   g.dv + c * next + key * kPanel);
          multiply(depth, ds + at, 1, kPanel, q + row * padded + c * kPanel, padded, count,
                   g.dk + c * next + key * kPanel);
          multiply(count, ds + at, kPanel, 1, k + key * padded + c * kPanel, padded, depth,
                   dq + (c * kQueryBlock + row) * kPanel);
        }
      }
    }
    for (int64_t i = 0; i < rows; ++i)
      unpack_row(dq + i * kPanel, kQueryBlock * kPanel, d, g.scale, g.dq + (i0 + i) * g.q_stride);
  }
}

}  // namespace
}  // namespace gavel::kernels
