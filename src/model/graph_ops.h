// The operations of a decoder layer as a graph of MLX arrays.
#pragma once

#include <array>
#include <functional>

#include "model/transformer.h"
#include "ops/ops.h"

namespace gavel {

// Attention of one layer: (q, k, v) after rotary embedding -> [T, heads * head_dim].
using Attend = std::function<mx::array(const mx::array&, const mx::array&, const mx::array&)>;

// For one layer; the things pointed to must outlive it.
struct GraphOps {
  using Tensor = mx::array;

  const Model& model;
  const DecoderLayer& layer;
  const LayerLora* lora;  // null: none
  const SegmentsPtr& segments;
  const Attend& attend;
  const Rows& wanted;  // null: all rows

  mx::array rms_norm(const mx::array& x, const mx::array& weight, float eps) const {
    return gavel::rms_norm(model.backend, x, weight, eps);
  }
  // x becomes the same values on their way along the residual path (ops/ops.h).
  template <size_t N>
  std::array<mx::array, N> normed_linears(mx::array& x, const mx::array& norm,
                                          const std::array<Projection, N>& projections) const {
    std::vector<LinearBranch> branches;
    for (const Projection p : projections) branches.push_back(branch(p));
    const auto out =
        gavel::normed_linears(model.backend, x, norm, model.config.rms_norm_eps, branches);
    return [&]<size_t... I>(std::index_sequence<I...>) {
      return std::array<mx::array, N>{out[I]...};
    }
    (std::make_index_sequence<N>());
  }
  mx::array linear(const mx::array& x, Projection p, const mx::array& residual) const {
    return gavel::linear(model.backend, x, branch(p), residual);
  }
  mx::array rope(const mx::array& x) const {
    return gavel::rope(model.backend, x, segments, model.inv_freq, model.config.head_dim);
  }
  mx::array attention(const mx::array& q, const mx::array& k, const mx::array& v) const {
    return attend(q, k, v);
  }
  mx::array swiglu_linear(const mx::array& gate, const mx::array& up, Projection p,
                          const mx::array& residual) const {
    return gavel::swiglu_linear(model.backend, gate, up, branch(p), residual);
  }
  void keep_wanted_rows(mx::array& attended, mx::array& x) const {
    if (!wanted) return;
    attended = select_rows(model.backend, attended, wanted);
    x = select_rows(model.backend, x, wanted);
  }

 private:
  LinearBranch branch(Projection p) const {
    const auto at = static_cast<size_t>(p);
    return {layer.weights[at], layer.biases[at],
            lora != nullptr ? lora->of[at] : std::optional<LoraBranch>{}};
  }
};

}  // namespace gavel
