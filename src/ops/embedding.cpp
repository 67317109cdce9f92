// Rows of the embedding table, dequantized.
#include "base/error.h"
#include "ops/fused.h"
#include "ops/implementations.h"
#include "ops/ops.h"

namespace gavel {

mx::array cpu::embedding(const Backend&, const Weight& table, const mx::array& ids) {
  const auto look_up = [table](const Arrays& in, Arrays& out) {
    kernels::embedding(view(table), in[0].data<int32_t>(), in[0].shape(0), out[0].data<float>());
  };
  return fused({.name = "Embedding", .cpu = look_up, .vjp = nullptr}, {ids},
               {ids.shape(0), table.in_features()});
}

mx::array composed::embedding(const Backend& backend, const Weight& table, const mx::array& ids) {
  const auto rows = [&](const mx::array& a) { return mx::take(a, ids, 0); };
  if (!table.quantized()) return mx::astype(rows(table.data), backend.dtype);
  // In float32, so that the result is rounded once.
  const auto wide = [&](const mx::array& a) { return mx::astype(rows(a), mx::float32); };
  return mx::astype(mx::dequantize(rows(table.data), wide(*table.scales), wide(*table.biases),
                                   table.group_size, table.bits),
                    backend.dtype);
}

mx::array embedding(const Backend& backend, const Weight& table, const mx::array& ids) {
  return backend.operations->embedding(backend, table, ids);
}

}  // namespace gavel
