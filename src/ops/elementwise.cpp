// Embedding, RMSNorm, rotary embedding, SwiGLU and row selection.
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/threads.h"
#include "ops/ops.h"

namespace gavel {

SegmentsPtr make_segments(const std::vector<int32_t>& lengths, std::vector<int32_t> parents) {
  if (!parents.empty() && parents.size() != lengths.size())
    fail("{} parents for {} segments", parents.size(), lengths.size());
  auto s = std::make_shared<Segments>();
  std::vector<int32_t> ends;  // the position after each segment's last
  s->starts.push_back(0);
  for (size_t i = 0; i < lengths.size(); ++i) {
    const int32_t parent = parents.empty() ? -1 : parents[i];
    if (parent >= static_cast<int32_t>(i)) fail("segment {} goes on from a later one", i);
    const int32_t first = parent < 0 ? 0 : ends[static_cast<size_t>(parent)];
    ends.push_back(first + lengths[i]);
    for (int32_t p = first; p < ends.back(); ++p) s->positions.push_back(p);
    s->starts.push_back(s->starts.back() + lengths[i]);
  }
  s->parents = std::move(parents);
  return s;
}

mx::array embedding(const Weight& table, const mx::array& ids) {
  if (!use_cpu_kernels()) {
    if (!table.quantized()) return mx::astype(mx::take(table.data, ids, 0), mx::float32);
    return mx::dequantize(
        mx::take(table.data, ids, 0), mx::astype(mx::take(*table.scales, ids, 0), mx::float32),
        mx::astype(mx::take(*table.biases, ids, 0), mx::float32), table.group_size, table.bits);
  }
  return fused({.name = "Embedding",
                .cpu =
                    [table](const Arrays& in, Arrays& out) {
                      const auto* id = in[0].data<int32_t>();
                      for (int64_t i = 0; i < in[0].shape(0); ++i)
                        if (id[i] < 0 || id[i] >= table.out_features())
                          fail("[embedding] token {} is outside the vocabulary of {}", id[i],
                               table.out_features());
                      kernels::embedding(view(table), id, in[0].shape(0), out[0].data<float>());
                    },
                .vjp = nullptr},
               {ids}, {ids.shape(0), table.in_features()});
}

mx::array rms_norm(const mx::array& x, const mx::array& weight, float eps) {
  const int dim = weight.shape(0);
  if (x.shape(-1) % dim != 0) fail("[rms_norm] {} values do not divide into {}", x.shape(-1), dim);
  if (!use_cpu_kernels()) {
    const auto heads = mx::reshape(x, {-1, dim});
    return mx::reshape(mx::fast::rms_norm(heads, weight, eps), x.shape());
  }
  auto spec = FusedSpec{.name = "RMSNorm",
                        .cpu =
                            [eps, dim](const Arrays& in, Arrays& out) {
                              kernels::rms_norm(in[0].data<float>(), in[1].data<float>(),
                                                static_cast<int64_t>(in[0].size()) / dim, dim, eps,
                                                out[0].data<float>(), nullptr);
                            },
                        .vjp =
                            [eps, dim](const Arrays& in, const Arrays& cotangents,
                                       const std::vector<int>&, const Arrays&) {
                              auto dx = fused({.name = "RMSNormBackward",
                                               .cpu =
                                                   [eps, dim](const Arrays& i, Arrays& o) {
                                                     kernels::rms_norm_backward(
                                                         i[0].data<float>(), i[1].data<float>(),
                                                         nullptr, i[2].data<float>(),
                                                         static_cast<int64_t>(i[0].size()) / dim,
                                                         dim, eps, o[0].data<float>(), false);
                                                   },
                                               .vjp = nullptr},
                                              {in[0], in[1], cotangents[0]}, in[0].shape());
                              return Arrays{dx};
                            }};
  return fused(std::move(spec), {x, weight}, x.shape());
}

namespace {

mx::array rope_kernel(const mx::array& x, const SegmentsPtr& segments, const mx::array& inv_freq,
                      int head_dim, bool inverse) {
  return fused(
      {.name = inverse ? "RoPEBackward" : "RoPE",
       .cpu =
           [=](const Arrays& in, Arrays& out) {
             kernels::rope(in[0].data<float>(), segments->positions.data(), in[1].data<float>(),
                           in[0].shape(0), in[0].shape(1) / head_dim, head_dim, inverse,
                           out[0].data<float>());
           },
       .vjp =
           [=](const Arrays&, const Arrays& cotangents, const std::vector<int>&, const Arrays&) {
             return Arrays{rope_kernel(cotangents[0], segments, inv_freq, head_dim, !inverse)};
           },
       .donate = 0},
      {x, inv_freq}, x.shape());
}

}  // namespace

mx::array rope(const mx::array& x, const SegmentsPtr& segments, const mx::array& inv_freq,
               int head_dim) {
  if (x.shape(0) != segments->rows())
    fail("[rope] {} rows but segments of {}", x.shape(0), segments->rows());
  if (use_cpu_kernels()) return rope_kernel(x, segments, inv_freq, head_dim, false);
  const int rows = x.shape(0);
  const auto positions = mx::astype(mx::array(segments->positions.begin(), {rows, 1}), mx::float32);
  const auto angle = mx::reshape(mx::multiply(positions, inv_freq), {rows, 1, head_dim / 2});
  const auto c = mx::cos(angle), s = mx::sin(angle);
  const auto halves = mx::split(mx::reshape(x, {rows, -1, head_dim}), 2, -1);
  return mx::reshape(
      mx::concatenate({mx::subtract(mx::multiply(halves[0], c), mx::multiply(halves[1], s)),
                       mx::add(mx::multiply(halves[1], c), mx::multiply(halves[0], s))},
                      -1),
      x.shape());
}

mx::array swiglu(const mx::array& gate, const mx::array& up) {
  if (!use_cpu_kernels()) return mx::multiply(mx::multiply(gate, mx::sigmoid(gate)), up);
  auto spec = FusedSpec{
      .name = "SwiGLU",
      .cpu =
          [](const Arrays& in, Arrays& out) {
            kernels::swiglu(in[0].data<float>(), in[1].data<float>(),
                            static_cast<int64_t>(in[0].size()), out[0].data<float>());
          },
      .vjp =
          [](const Arrays& in, const Arrays& cotangents, const std::vector<int>& argnums,
             const Arrays&) {
            auto grads = fused({.name = "SwiGLUBackward",
                                .cpu =
                                    [](const Arrays& i, Arrays& o) {
                                      kernels::swiglu_backward(
                                          i[0].data<float>(), i[1].data<float>(),
                                          i[2].data<float>(), static_cast<int64_t>(i[0].size()),
                                          o[0].data<float>(), o[1].data<float>());
                                    },
                                .vjp = nullptr},
                               {in[0], in[1], cotangents[0]}, {in[0].shape(), in[1].shape()},
                               {mx::float32, mx::float32});
            Arrays result;
            for (int n : argnums) result.push_back(grads[static_cast<size_t>(n)]);
            return result;
          }};
  return fused(std::move(spec), {gate, up}, gate.shape());
}

mx::array select_rows(const mx::array& x, std::shared_ptr<const std::vector<int32_t>> rows) {
  const int count = static_cast<int>(rows->size());
  const int n = x.shape(1);
  if (!use_cpu_kernels()) return mx::take(x, mx::array(rows->begin(), {count}), 0);
  auto spec = FusedSpec{
      .name = "SelectRows",
      .cpu =
          [rows, n](const Arrays& in, Arrays& out) {
            for (size_t i = 0; i < rows->size(); ++i)
              std::memcpy(out[0].data<float>() + static_cast<int64_t>(i) * n,
                          in[0].data<float>() + int64_t{(*rows)[i]} * n, sizeof(float) * n);
          },
      .vjp =
          [rows, n](const Arrays& in, const Arrays& cotangents, const std::vector<int>&,
                    const Arrays&) {
            auto scatter = [rows, n](const Arrays& i, Arrays& o) {
              std::memset(o[0].data<float>(), 0, o[0].nbytes());
              for (size_t r = 0; r < rows->size(); ++r)
                std::memcpy(o[0].data<float>() + int64_t{(*rows)[r]} * n,
                            i[0].data<float>() + static_cast<int64_t>(r) * n, sizeof(float) * n);
            };
            return Arrays{fused({.name = "SelectRowsBackward", .cpu = scatter, .vjp = nullptr},
                                {cotangents[0]}, in[0].shape())};
          }};
  return fused(std::move(spec), {x}, {count, n});
}

}  // namespace gavel
