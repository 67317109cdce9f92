// Causal grouped-query attention over packed segments, and over a cache: how the work is divided.
#include "ops/cpu/attention.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <utility>
#include <vector>

#include "base/threads.h"
#include "ops/cpu/scratch.h"
#include "ops/cpu/simd.h"
#include "ops/cpu/weight_rows.h"

namespace gavel::kernels {
namespace {

// Few enough new rows that packing the keys for them would cost more than it saves.
constexpr int64_t kFewRows = 3;

int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// Blocks of queries of one segment or sequence and key-value head.
struct Item {
  int64_t sequence, row, rows, kv_head;
};

// out[j] += sum over heads of from[head * next + j]
void add_heads(const float* from, int64_t next, int64_t heads, int64_t count, float* out) {
  for (int64_t h = 0; h < heads; ++h)
    for (int64_t j = 0; j < count; ++j) out[j] += from[h * next + j];
}

// The packed segments, and for each the keys and values of its ancestors one after another.
class Ancestors {
 public:
  Ancestors(const float* k, const float* v, const Packing& packing, int64_t width)
      : packing_(packing), width_(width), segments_(std::ssize(packing.starts) - 1) {
    before_.assign(std::max<int64_t>(segments_, 0), 0);
    offset_ = before_;
    int64_t total = 0;
    for (int64_t s = 0; s < segments_; ++s) {
      const int64_t p = parent(s);
      before_[s] = p < 0 ? 0 : before_[p] + length(p);
      offset_[s] = total;
      total += before_[s];
    }
    if (total == 0) return;
    k_.resize(total * width);
    v_.resize(total * width);
    for (int64_t s = 0; s < segments_; ++s) {
      const int64_t p = parent(s);
      if (p < 0) continue;
      for (auto& [from, to] : {std::pair(k, k_.data()), std::pair(v, v_.data())}) {
        float* out = to + offset_[s] * width;
        std::copy_n(to + offset_[p] * width, before_[p] * width, out);
        std::copy_n(from + packing.starts[p] * width, length(p) * width, out + before_[p] * width);
      }
    }
  }

  int64_t segments() const { return segments_; }
  int64_t start(int64_t s) const { return packing_.starts[s]; }
  int64_t length(int64_t s) const { return packing_.starts[s + 1] - packing_.starts[s]; }
  int64_t parent(int64_t s) const { return packing_.parents.empty() ? -1 : packing_.parents[s]; }
  int64_t before(int64_t s) const { return before_[s]; }  // rows of ancestors
  bool descends(int64_t s, int64_t from) const {
    while (s > from) s = parent(s);
    return s == from;
  }

  // The ancestors' keys and values, then the first `rows` of the segment's own, of one head.
  KeyRows keys(const float* k, const float* v, int64_t s, int64_t rows, int64_t column) const {
    const int64_t own = start(s) * width_ + column, other = offset_[s] * width_ + column;
    const bool some = before_[s] > 0;
    return {{some ? k_.data() + other : nullptr, k + own},
            {some ? v_.data() + other : nullptr, v + own},
            {before_[s], rows},
            width_};
  }

 private:
  const Packing packing_;
  int64_t width_, segments_;
  std::vector<int64_t> before_, offset_;
  std::vector<float> k_, v_;
};

}  // namespace

void attention_forward(const float* q, const float* k, const float* v, const Packing& packing,
                       int64_t heads, int64_t kv_heads, int64_t d, float scale, float* out,
                       float* lse) {
  const Ancestors ancestors(k, v, packing, kv_heads * d);
  static thread_local std::vector<Item> items;
  items.clear();
  for (int64_t s = 0; s < ancestors.segments(); ++s)
    for (int64_t row = 0; row < ancestors.length(s); row += kQueryBlock)
      for (int64_t h = 0; h < kv_heads; ++h)
        items.push_back({s, row, std::min<int64_t>(kQueryBlock, ancestors.length(s) - row), h});
  // The longest first, so that the threads end together.
  std::stable_sort(items.begin(), items.end(), [&](const Item& a, const Item& b) {
    return ancestors.before(a.sequence) + a.row > ancestors.before(b.sequence) + b.row;
  });
  const Item* item = items.data();
  const int64_t share = heads / kv_heads;
  parallel_for_dynamic(static_cast<int64_t>(items.size()), 1, [&](int64_t begin, int64_t end) {
    static thread_local Scratch<float> scratch;
    for (int64_t i = begin; i < end; ++i) {
      const auto [segment, row, rows, kv] = item[i];
      const int64_t first = (ancestors.start(segment) + row) * heads + kv * share;
      simd().attention_block(
          {q + first * d, out + first * d, lse ? lse + first : nullptr, heads * d, heads, rows,
           share, ancestors.keys(k, v, segment, row + rows, kv * d),
           ancestors.before(segment) + row + 1, d, scale},
          scratch.get(simd().attention_scratch(share, d)));
    }
  });
}

void attention_backward(const float* q, const float* k, const float* v, const float* out,
                        const float* lse, const float* dout, const Packing& packing, int64_t heads,
                        int64_t kv_heads, int64_t d, float scale, float* dq, float* dk, float* dv) {
  // Every query head of a segment sums its own gradients of keys and values, its ancestors' too;
  // those of the same keys are added up afterwards, always in the same order. So all run at once,
  // and the result does not depend on who ran first.
  const Simd& s = simd();
  const Ancestors ancestors(k, v, packing, kv_heads * d);
  const int64_t segments = ancestors.segments(), share = heads / kv_heads;
  const int64_t padded = round_up(d, s.panel);
  static thread_local std::vector<int64_t> order, offsets;
  static thread_local Scratch<float> partial;
  order.resize(std::max<int64_t>(segments, 0));
  offsets.assign(1, 0);
  std::iota(order.begin(), order.end(), int64_t{0});
  const auto keys_of = [&](int64_t i) { return ancestors.before(i) + ancestors.length(i); };
  for (int64_t i = 0; i < segments; ++i)
    offsets.push_back(offsets.back() + round_up(keys_of(i), s.panel));
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return keys_of(a) > keys_of(b); });
  const int64_t size = offsets.back() * padded;  // of one head's dk
  float* sums = partial.get(2 * heads * size);
  const int64_t *in_order = order.data(), *offset = offsets.data();
  parallel_for_dynamic(segments * heads, 1, [&](int64_t begin, int64_t end) {
    static thread_local Scratch<float> scratch;
    for (int64_t item = begin; item < end; ++item) {
      const int64_t segment = in_order[item / heads], h = item % heads;
      const int64_t rows = ancestors.length(segment);
      const int64_t first = ancestors.start(segment) * heads + h, at = first * d;
      float* dk_sum = sums + 2 * h * size + offset[segment] * padded;
      s.attention_gradient({q + at, out + at, lse + first, dout + at,
                            ancestors.keys(k, v, segment, rows, h / share * d), heads * d, heads,
                            rows, d, scale, dq + at, dk_sum, dk_sum + size},
                           scratch.get(s.attention_gradient_scratch(keys_of(segment), d)));
    }
  });
  for (int64_t segment = 0; segment < segments; ++segment) {
    std::vector<int64_t> sources;  // the segments that see this one's rows
    for (int64_t other = segment; other < segments; ++other)
      if (ancestors.descends(other, segment)) sources.push_back(other);
    parallel_for(ancestors.length(segment), 16, [&](int64_t begin, int64_t end) {
      const int64_t width = kv_heads * d, at = ancestors.start(segment) * width;
      std::fill(dk + at + begin * width, dk + at + end * width, 0.0f);
      std::fill(dv + at + begin * width, dv + at + end * width, 0.0f);
      for (const int64_t source : sources) {
        const int64_t next = round_up(keys_of(source), s.panel) * s.panel;
        for (int64_t row = begin; row < end; ++row)
          for (int64_t kv = 0; kv < kv_heads; ++kv)
            for (int64_t c = 0; c < d; c += s.panel) {
              const float* from = sums + 2 * kv * share * size + offset[source] * padded +
                                  c / s.panel * next + (ancestors.before(segment) + row) * s.panel;
              const int64_t to = at + row * width + kv * d + c;
              const int64_t count = std::min<int64_t>(s.panel, d - c);
              add_heads(from, 2 * size, share, count, dk + to);
              add_heads(from + size, 2 * size, share, count, dv + to);
            }
      }
    });
  }
}

namespace {

KeyRows rows_of(const CachedSequence& c, int64_t kv, int64_t kv_heads, int64_t d) {
  const auto at = [&](const void* rows) -> const void* {
    return rows ? static_cast<const uint8_t*>(rows) + kv * d * scalar_bytes(c.type) : nullptr;
  };
  return {{at(c.prefix_k), at(c.own_k)},
          {at(c.prefix_v), at(c.own_v)},
          {c.prefix_len, c.own_len},
          kv_heads * d,
          c.type};
}

// A row of one sequence, and where its parts lie.
struct FewRow {
  int64_t sequence, row, visible, first_part, parts;
};

// What a row's queries see of its keys is divided into parts of kFewKeyBlock or, so that there is
// work for all threads, fewer; the parts of a head are added up afterwards.
void attention_few(const float* q, std::span<const CachedSequence> sequences,
                   std::span<const FewRow> rows, int64_t parts, int64_t heads, int64_t kv_heads,
                   int64_t d, float scale, float* out) {
  static thread_local Scratch<float> memory;
  const int64_t share = heads / kv_heads, size = share * (d + 2);
  float* states = memory.get(parts * kv_heads * size);
  static thread_local std::vector<int32_t> row_of_part;
  row_of_part.clear();
  for (size_t i = 0; i < rows.size(); ++i)
    row_of_part.insert(row_of_part.end(), rows[i].parts, static_cast<int32_t>(i));
  const int32_t* row_of = row_of_part.data();
  parallel_for_dynamic(parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const FewRow& r = rows[row_of[part]];
      const CachedSequence& c = sequences[r.sequence];
      const int64_t n = part - r.first_part;
      for (int64_t kv = 0; kv < kv_heads; ++kv)
        simd().attention_few({q + (r.row * heads + kv * share) * d,
                              states + (part * kv_heads + kv) * size, share,
                              rows_of(c, kv, kv_heads, d), r.visible * n / r.parts,
                              r.visible * (n + 1) / r.parts, d, scale});
    }
  });
  parallel_for(std::ssize(rows), 4, [&](int64_t begin, int64_t end) {
    for (const FewRow& r : rows.subspan(begin, end - begin))
      for (int64_t h = 0; h < heads; ++h) {
        const float* state =
            states + (r.first_part * kv_heads + h / share) * size + h % share * (d + 2);
        const int64_t next = kv_heads * size;
        float* to = out + (r.row * heads + h) * d;
        float top = state[d], sum = 0;
        for (int64_t n = 1; n < r.parts; ++n) top = std::max(top, state[n * next + d]);
        std::fill_n(to, d, 0.0f);
        for (int64_t n = 0; n < r.parts; ++n) {
          const float* part = state + n * next;
          const float factor = std::exp(part[d] - top);
          sum += factor * part[d + 1];
          for (int64_t c = 0; c < d; ++c) to[c] += factor * part[c];
        }
        for (int64_t c = 0; c < d; ++c) to[c] /= sum;
      }
  });
}

}  // namespace

void attention_cached(const float* q, std::span<const int32_t> q_starts,
                      std::span<const CachedSequence> sequences, int64_t heads, int64_t kv_heads,
                      int64_t d, float scale, float* out) {
  static thread_local std::vector<Item> items;
  static thread_local std::vector<FewRow> few;
  items.clear();
  few.clear();
  const int64_t share = heads / kv_heads;
  int64_t parts = 0;
  for (size_t s = 0; s < sequences.size(); ++s) {
    const int64_t begin = q_starts[s], end = q_starts[s + 1];
    const int64_t keys = sequences[s].prefix_len + sequences[s].own_len;
    if (end - begin <= kFewRows) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t visible = keys - (end - row - 1);
        const int64_t count =
            std::min(visible, std::max<int64_t>(4, visible / (kFewKeyBlock / 2) + 1));
        few.push_back({static_cast<int64_t>(s), row, visible, parts, count});
        parts += count;
      }
      continue;
    }
    for (int64_t row = begin; row < end; row += kQueryBlock)
      for (int64_t h = 0; h < kv_heads; ++h)
        items.push_back(
            {static_cast<int64_t>(s), row, std::min<int64_t>(kQueryBlock, end - row), h});
  }
  if (!few.empty()) attention_few(q, sequences, few, parts, heads, kv_heads, d, scale, out);
  const Item* item = items.data();
  parallel_for_dynamic(static_cast<int64_t>(items.size()), 1, [&](int64_t begin, int64_t end) {
    static thread_local Scratch<float> scratch;
    for (int64_t i = begin; i < end; ++i) {
      const auto [sequence, row, rows, kv] = item[i];
      const CachedSequence& c = sequences[sequence];
      const int64_t later = q_starts[sequence + 1] - row - 1;  // rows after this one
      const int64_t at = (row * heads + kv * share) * d;
      simd().attention_block(
          {q + at, out + at, nullptr, heads * d, heads, rows, share, rows_of(c, kv, kv_heads, d),
           c.prefix_len + c.own_len - later, d, scale},
          scratch.get(simd().attention_scratch(share, d)));
    }
  });
}

void to_halves(const float* from, int64_t count, uint16_t* to) {
  parallel_for(count, 1 << 16, [&](int64_t begin, int64_t end) {
    simd().to_halves_range(from + begin, end - begin, to + begin);
  });
}

}  // namespace gavel::kernels
