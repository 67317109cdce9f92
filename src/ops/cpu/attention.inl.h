// Blocked attention: scores of a block of queries against a block of keys in the tiles of matrix
// products, an online softmax, and the gradients of both.
#pragma once

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

// Keys or values [first, first + count) of both runs, one after another.
inline void gather_rows(const float* const (&runs)[2], const int64_t (&length)[2], int64_t stride,
                        int64_t first, int64_t count, int64_t d, int64_t padded, float* out) {
  const int64_t early = larger(0, smaller(count, length[0] - first));
  copy_rows(runs[0] + first * stride, stride, early, d, padded, 1.0f, out);
  copy_rows(runs[1] + (first + early - length[0]) * stride, stride, count - early, d, padded, 1.0f,
            out + early * padded);
}

// The first row of a block that sees any key from `key` on, where row 0 sees `visible` keys.
inline int64_t first_row(int64_t key, int64_t visible) { return larger(0, key - visible + 1); }

// Turns row i's scores of a key block into exp(score - max), the online way. `seen` of the block's
// keys are visible to it; scores lie by panels, `next` floats apart.
inline void softmax_row(float* scores, int64_t next, int64_t seen, float& top, float& sum,
                        float* out, int64_t out_next, int64_t out_panels) {
  const vi lanes = lane_numbers();
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
    gather_rows(b.keys.k, b.keys.length, b.keys.stride, k0, count, d, d, values);
    for (int64_t key = 0; key < count; key += kPanel)
      transpose(values + key * d, d, smaller(kPanel, count - key), d, keys + key * d);
    gather_rows(b.keys.v, b.keys.length, b.keys.stride, k0, count, d, padded, values);
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

// One query row against its keys by dot products, for which nothing is packed.
// scores: room for the keys of one head.
void attention_row(const AttentionBlock& b, float* scores) {
  const int64_t d = b.d, early = smaller(b.keys.length[0], b.visible), whole = d / kWidth * kWidth;
  for (int64_t h = 0; h < b.heads; ++h) {
    const float* q = b.q + h * d;
    float* out = b.out + h * d;
    float top = -1e30f;
    for (int64_t run = 0; run < 2; ++run) {
      const int64_t first = run == 0 ? 0 : early, last = run == 0 ? early : b.visible;
      for (int64_t j = first; j < last; ++j) {
        const float score = b.scale * dot(q, b.keys.k[run] + (j - first) * b.keys.stride, d);
        scores[j] = score;
        top = score > top ? score : top;
      }
    }
    vf sums{};
    for (int64_t j = 0; j < b.visible; j += kWidth) {
      const int32_t left = static_cast<int32_t>(smaller(kWidth, b.visible - j));
      vf e{};
      if (left == kWidth) {
        e = vexp(load(scores + j) - top);
        store(scores + j, e);
      } else {
        for (int i = 0; i < left; ++i) scores[j + i] = e[i] = vexp(splat(scores[j + i] - top))[0];
      }
      sums += e;
    }
    const float inverse = 1.0f / sum_lanes(sums);
    for (int64_t c = 0; c < d; ++c) out[c] = 0.0f;
    for (int64_t run = 0; run < 2; ++run) {
      const int64_t first = run == 0 ? 0 : early, last = run == 0 ? early : b.visible;
      const float* v = b.keys.v[run];
      for (int64_t c = 0; c < whole;) {
        constexpr int kWide = 4;  // vectors at a time
        if (c + kWide * kWidth <= whole) {
          vf acc[kWide] = {};
          for (int64_t j = first; j < last; ++j)
            for (int i = 0; i < kWide; ++i)
              acc[i] += load(v + (j - first) * b.keys.stride + c + i * kWidth) * scores[j];
          for (int i = 0; i < kWide; ++i)
            store(out + c + i * kWidth, load(out + c + i * kWidth) + acc[i] * inverse);
          c += kWide * kWidth;
        } else {
          vf acc{};
          for (int64_t j = first; j < last; ++j)
            acc += load(v + (j - first) * b.keys.stride + c) * scores[j];
          store(out + c, load(out + c) + acc * inverse);
          c += kWidth;
        }
      }
      for (int64_t c = whole; c < d; ++c) {
        float sum = 0;
        for (int64_t j = first; j < last; ++j)
          sum += v[(j - first) * b.keys.stride + c] * scores[j];
        out[c] += sum * inverse;
      }
    }
  }
}

int64_t attention_gradient_scratch(int64_t keys, int64_t d) {
  const int64_t padded = round_up(d, kPanel);
  return round_up(keys, kPanel) * (2 * d + padded) + kQueryBlock * (3 * padded + 2 * kKeyBlock + 1);
}

// p = exp(s - lse) and ds = p (dp - delta) of one row of a panel, in place; `seen` keys count.
inline void gradient_row(float* s, float* dp, int64_t seen, float lse, float delta) {
  const vi lanes = lane_numbers();
  for (int half = 0; half < 2; ++half) {
    const int32_t left = static_cast<int32_t>(seen) - half * kWidth;
    const vf p = lanes < left ? vexp(load(s + half * kWidth) - lse) : vf{};
    store(s + half * kWidth, p);
    store(dp + half * kWidth, p * (load(dp + half * kWidth) - delta));
  }
}

// Both runs of keys or values, and where they go.
struct Runs {
  const float* const (&rows)[2];
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
    gather_rows(runs, g.keys.length, g.keys.stride, 0, total, d, padded, k);
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
