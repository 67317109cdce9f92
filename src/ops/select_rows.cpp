// Some rows of a matrix: what follows the last attention is needed only where a result is read.
#include <cstring>

#include "ops/fused.h"
#include "ops/implementations.h"
#include "ops/ops.h"

namespace gavel {

mx::array cpu::select_rows(const Backend&, const mx::array& x, const Rows& rows) {
  const int count = static_cast<int>(rows->size());
  const int n = x.shape(1);
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

mx::array composed::select_rows(const Backend&, const mx::array& x, const Rows& rows) {
  return mx::take(x, mx::array(rows->begin(), {static_cast<int>(rows->size())}), 0);
}

mx::array select_rows(const Backend& backend, const mx::array& x, const Rows& rows) {
  return backend.operations->select_rows(backend, x, rows);
}

}  // namespace gavel
