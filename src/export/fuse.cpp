#include "export/fuse.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "mlx/ops.h"
#include "mlx/transforms.h"

namespace gavel {
namespace mx = mlx::core;

void fuse_adapter(LoadedModel& model, const Adapter& adapter, bool dense) {
  for (const LoraMatrix& m : adapter.matrices) {
    const std::string path = module_path(m);
    const auto it = model.weights.find(path);
    if (it == model.weights.end()) fail("the adapter has {}, which the model has not", path);
    Weight& w = it->second;
    if (m.a.shape(0) != w.in_features() || m.b.shape(1) != w.out_features())
      fail("the adapter's {} is {} x {}, the model's {} x {}", path, m.b.shape(1), m.a.shape(0),
           w.out_features(), w.in_features());
    const mx::array delta = mx::transpose(mx::matmul(m.a, m.b)) * m.scale;
    const mx::array sum = dequantize(w) + delta;
    if (!w.quantized() || dense) {
      const mx::Dtype dtype = w.quantized() ? w.scales->dtype() : w.data.dtype();
      w = {mx::astype(sum, dtype), std::nullopt, std::nullopt, 0, 0};
      w.data.eval();
      continue;
    }
    const auto parts = mx::quantize(mx::astype(sum, w.scales->dtype()), w.group_size, w.bits);
    w = {parts.at(0), parts.at(1), parts.at(2), w.group_size, w.bits};
    mx::eval({w.data, *w.scales, *w.biases});
  }
}

LogitComparison compare_logits(const Model& first, const ModelLora* lora, const Model& second,
                               const std::vector<int>& ids) {
  if (ids.empty()) fail("there is no text to compare logits on");
  const auto rows = static_cast<int32_t>(ids.size());
  const mx::array input(ids.data(), {rows}, mx::int32);
  const auto segments = make_segments({rows});
  const mx::array a = logits(first, hidden_states(first, input, segments, lora));
  const mx::array b = logits(second, hidden_states(second, input, segments, nullptr));
  const mx::array difference = mx::abs(a - b);
  const mx::array log_a = a - mx::logsumexp(a, -1, true), log_b = b - mx::logsumexp(b, -1, true);
  const mx::array kl = mx::mean(mx::sum(mx::exp(log_a) * (log_a - log_b), -1));
  mx::array largest = mx::max(difference), square = mx::mean(mx::square(difference));
  mx::array top =
      mx::mean(mx::astype(mx::equal(mx::argmax(a, -1), mx::argmax(b, -1)), mx::float32));
  mx::array kl_value = kl;
  mx::eval({largest, square, top, kl_value});
  LogitComparison r;
  r.tokens = rows;
  r.largest = static_cast<double>(largest.item<float>());
  r.root_mean_square = std::sqrt(static_cast<double>(square.item<float>()));
  r.same_top = static_cast<double>(top.item<float>());
  r.kl = std::max(0.0, static_cast<double>(kl_value.item<float>()));  // below 0 by rounding only
  return r;
}

}  // namespace gavel
