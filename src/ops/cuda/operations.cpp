// The operations on an NVIDIA card beside the linear layers (ops/cuda/linears.cpp): bfloat16
// activations, kernels of ours. Each is one node of MLX's graph with its gradient.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "mlx/transforms.h"
#include "ops/cuda/attention_plan.h"
#include "ops/cuda/linears.h"
#include "ops/cuda/program.h"
#include "ops/implementations.h"

namespace gavel {
namespace {

using cuda::Launch;
using cuda::Source;

Launch attention_launch(int heads, const mx::array& tiles, int head_dim, int tiles_in_memory) {
  return {.blocks_x = heads,
          .blocks_y = tiles.shape(0),
          .threads = 128,
          .shared_bytes = tiles_in_memory * cuda::kAttentionTile * head_dim * 2 +
                          4 * cuda::kAttentionTile * static_cast<int>(sizeof(float))};
}

mx::array rope_launch(const mx::array& x, const mx::array& positions, const mx::array& inv_freq,
                      int head_dim, bool inverse) {
  const int rows = x.shape(0);
  return cuda::launch(cuda::kernel(Source::elementwise, "rope"),
                      {.blocks_x = cuda::blocks_for(rows, 4)}, {x, positions, inv_freq},
                      {x.shape()}, {x.dtype()},
                      {rows, x.shape(1) / head_dim, head_dim, inverse ? 1 : 0})[0];
}

}  // namespace

// (MLX's gather and scatter would be compiled on the first step, for three seconds each.)
mx::array cuda::embedding(const Backend& backend, const Weight& table, const mx::array& ids) {
  const int width = table.in_features(), rows = ids.shape(0);
  const Launch shape{.blocks_x = rows, .threads = 128};
  if (!table.quantized())
    return cuda::launch(cuda::kernel(Source::rows, fmt::format("embed_dense<{}, float>",
                                                               type_name(table.data.dtype()))),
                        shape, {table.data, ids}, {{rows, width}}, {mx::float32}, {width})[0];
  if (table.group_size % 8 != 0)
    return mx::astype(composed::embedding(backend, table, ids), mx::float32);
  return cuda::launch(
      cuda::kernel(Source::rows, fmt::format("embed_quantized<{}, {}, float>", table.bits,
                                             type_name(table.scales->dtype()))),
      shape, {table.data, *table.scales, *table.biases, ids}, {{rows, width}}, {mx::float32},
      {width / 8, table.group_size / 8})[0];
}

mx::array cuda::rope(const Backend& backend, const mx::array& x, const SegmentsPtr& segments,
                     const mx::array& inv_freq, int head_dim) {
  if (head_dim % 16 != 0 || head_dim > 256)
    return composed::rope(backend, x, segments, inv_freq, head_dim);
  const auto positions = segments->arrays->positions;
  return mx::custom_vjp(
      [=](const Arrays& in) {
        return Arrays{rope_launch(in[0], positions, inv_freq, head_dim, false)};
      },
      [=](const Arrays&, const Arrays& dy, const Arrays&) {
        return Arrays{rope_launch(dy[0], positions, inv_freq, head_dim, true)};
      })({x})[0];
}

mx::array cuda::attention(const Backend& backend, const mx::array& q, const mx::array& k,
                          const mx::array& v, const SegmentsPtr& segments, int head_dim) {
  if (head_dim != 64 && head_dim != 128)
    return composed::attention(backend, q, k, v, segments, head_dim);
  const int heads = q.shape(1) / head_dim, kv_heads = k.shape(1) / head_dim;
  const float scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
  const auto named = [head_dim](const char* name) -> const cuda::Kernel& {
    return cuda::kernel(Source::attention, fmt::format("{}<{}>", name, head_dim));
  };
  const auto forward = [=](const Arrays& in) {
    const SegmentArrays& s = *segments->arrays;
    return cuda::launch(named("attention"), attention_launch(heads, s.query_tiles, head_dim, 4),
                        {in[0], in[1], in[2], s.query_tiles, s.query_ranges},
                        {in[0].shape(), {in[0].shape(0), heads}}, {in[0].dtype(), mx::float32},
                        {heads, kv_heads, scale});
  };
  const auto backward = [=](const Arrays& in, const Arrays& dy, const Arrays& out) {
    const SegmentArrays& s = *segments->arrays;
    const auto dq = cuda::launch(
        named("attention_backward_queries"), attention_launch(heads, s.query_tiles, head_dim, 4),
        {in[0], in[1], in[2], out[0], dy[0], out[1], s.query_tiles, s.query_ranges},
        {in[0].shape(), {in[0].shape(0), heads}}, {in[0].dtype(), mx::float32},
        {heads, kv_heads, scale});
    const auto parts = cuda::launch(
        named("attention_backward_keys"), attention_launch(heads, s.key_tiles, head_dim, 6),
        {in[0], in[1], in[2], dy[0], out[1], dq[1], s.key_tiles, s.key_ranges},
        {in[0].shape(), in[0].shape()}, {mx::float32, mx::float32}, {heads, kv_heads, scale});
    const int quads = static_cast<int>(in[1].size() / 4);
    const auto dkv = cuda::launch(cuda::kernel(Source::attention, "sum_heads"),
                                  {.blocks_x = cuda::blocks_for(quads, 256), .blocks_y = 2}, parts,
                                  {in[1].shape(), in[2].shape()}, {in[1].dtype(), in[2].dtype()},
                                  {quads, heads / kv_heads, head_dim / 4});
    return Arrays{dq[0], dkv[0], dkv[1]};
  };
  return mx::custom_vjp(forward, backward)({q, k, v})[0];
}

mx::array cuda::select_rows(const Backend& backend, const mx::array& x, const Rows& rows) {
  const int all = x.shape(0), width = x.shape(1), count = static_cast<int>(rows->size());
  if (width % 8 != 0) return composed::select_rows(backend, x, rows);
  std::vector<int32_t> places(static_cast<size_t>(all), -1);
  for (int i = 0; i < count; ++i) places[static_cast<size_t>((*rows)[static_cast<size_t>(i)])] = i;
  const mx::array from(rows->begin(), {count}), to(places.begin(), {all});
  const auto moved = [width](const char* name, const mx::array& a, const mx::array& where) {
    return cuda::launch(
        cuda::kernel(Source::rows, name), {.blocks_x = where.shape(0), .threads = 128}, {a, where},
        {{where.shape(0), width}}, {a.dtype()}, {width * static_cast<int>(a.itemsize()) / 16});
  };
  return mx::custom_vjp([=](const Arrays& in) { return moved("gather_rows", in[0], from); },
                        [=](const Arrays&, const Arrays& dy, const Arrays&) {
                          return moved("scatter_rows", dy[0], to);
                        })({x})[0];
}

Arrays cuda::cross_entropy(const Backend& backend, const mx::array& h, const Weight& head,
                           const mx::array& targets, const mx::array& weights, bool with_grad) {
  const int vocab = head.out_features();
  if (vocab % 8 != 0) return composed::cross_entropy(backend, h, head, targets, weights, with_grad);
  const auto dense = [w = std::make_shared<const Weight>(head)] { return cuda::dequantized(*w); };
  const auto of_rows = [vocab](const mx::array& logits, const mx::array& rows_targets,
                               const mx::array& rows_weights, bool gradient) {
    return cuda::launch(cuda::kernel(Source::cross_entropy, "cross_entropy"),
                        {.blocks_x = logits.shape(0), .threads = 512},
                        {logits, rows_targets, rows_weights},
                        {{logits.shape(0)}, gradient ? logits.shape() : mx::Shape{1}},
                        {mx::float32, logits.dtype()}, {vocab, gradient ? 1 : 0});
  };
  return chunked_cross_entropy(h, dense, targets, weights, with_grad, of_rows);
}

Arrays cuda::adamw(const Backend& backend, const Arrays& state,
                   const kernels::AdamWParams& params) {
  return composed::adamw(backend, state, params);
}

mx::array cuda::l2_norm(const Backend& backend, const mx::array& x) {
  return composed::l2_norm(backend, x);
}

// What was read from a file lies in memory that host and card share, and is slow to reach; a result
// of an operation lies in the card's own.
mx::array cuda::place(const mx::array& loaded) {
  const auto type = loaded.itemsize() == 4   ? mx::uint32
                    : loaded.itemsize() == 2 ? mx::uint16
                                             : mx::uint8;
  return mx::view(mx::bitwise_or(mx::view(loaded, type), mx::array(0, type)), loaded.dtype());
}

SegmentsPtr cuda::prepare(const SegmentsPtr& segments) {
  if (segments->arrays) return segments;
  auto prepared = std::make_shared<Segments>(*segments);
  const auto table = [](const std::vector<int32_t>& values, int columns) {
    return mx::array(values.begin(), {static_cast<int>(values.size()) / columns, columns},
                     mx::int32);
  };
  const auto queries = query_tiles(*segments), keys = key_tiles(*segments);
  prepared->arrays = std::make_shared<const SegmentArrays>(
      SegmentArrays{.positions = table(segments->positions, 1),
                    .query_tiles = table(queries.tiles, 4),
                    .query_ranges = table(queries.ranges, 2),
                    .key_tiles = table(keys.tiles, 4),
                    .key_ranges = table(keys.ranges, 2)});
  return prepared;
}

}  // namespace gavel
