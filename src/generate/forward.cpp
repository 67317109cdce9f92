#include "generate/forward.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "generate/cpu_forward.h"
#include "generate/prefix_cache.h"

namespace gavel {

std::shared_ptr<KvCache> make_cache(const Model& model, kernels::Precision precision,
                                    Prefix prefix) {
  return std::make_shared<KvCache>(
      model.layers.size(), model.config.num_key_value_heads * model.config.head_dim,
      precision == kernels::Precision::int8 ? kernels::ScalarType::f16 : kernels::ScalarType::f32,
      std::move(prefix.cache), prefix.rows);
}

namespace {

// On devices without kernels of ours.
mx::array composed_forward(const Model& model, const ModelLora* lora,
                           const std::vector<int32_t>& ids, const SegmentsPtr& segments,
                           const std::vector<std::shared_ptr<KvCache>>& caches, const Rows& rows,
                           kernels::Precision precision) {
  auto x = embedding(model.embed_tokens,
                     mx::array(ids.begin(), {static_cast<int>(ids.size())}, mx::int32));
  const Rows wanted = rows->size() == ids.size() ? nullptr : rows;
  const size_t count = model.layers.size();
  for (size_t i = 0; i < count; ++i) {
    const LayerLora* layer_lora = lora != nullptr ? &(*lora)[i] : nullptr;
    const Attend attend = [&](const mx::array& q, const mx::array& k, const mx::array& v) {
      return cached_attention(q, k, v, caches, segments, i, model.config.head_dim);
    };
    const bool last = i + 1 == count;
    if (last && rows->empty()) {
      // Only the keys and values of the last layer are needed: the residual stream ends here.
      layer_forward(
          model, i, x, segments, layer_lora,
          [&](const mx::array& q, const mx::array& k, const mx::array& v) {
            auto out = attend(q, k, v);
            mx::eval(out);
            return out;
          },
          nullptr, precision);
      return mx::zeros({0, model.config.vocab_size});
    }
    x = layer_forward(model, i, x, segments, layer_lora, attend, last ? wanted : nullptr,
                      precision);
  }
  auto result = logits(model, x, precision);
  mx::eval(result);
  return result;
}

}  // namespace

mx::array cached_forward(const Model& model, const ModelLora* lora,
                         std::span<const CachedInput> inputs, kernels::Precision precision) {
  std::vector<int32_t> ids;
  auto segments = std::make_shared<Segments>();
  auto rows = std::make_shared<std::vector<int32_t>>();
  std::vector<std::shared_ptr<KvCache>> caches;
  segments->starts.push_back(0);
  for (const auto& input : inputs) {
    const auto first = static_cast<int32_t>(input.cache->length());
    const auto count = static_cast<int32_t>(input.tokens.size());
    const auto base = static_cast<int32_t>(ids.size());
    ids.insert(ids.end(), input.tokens.begin(), input.tokens.end());
    for (int32_t i = 0; i < count; ++i) {
      segments->positions.push_back(first + i);
      const bool wanted = input.want == CachedInput::Want::all ||
                          (input.want == CachedInput::Want::last && i + 1 == count);
      if (wanted) rows->push_back(base + i);
    }
    segments->starts.push_back(base + count);
    input.cache->extend(count);
    caches.push_back(input.cache);
  }
  if (use_cpu_kernels()) {
    mx::array out(mx::Shape{static_cast<int>(rows->size()), model.config.vocab_size}, mx::float32,
                  nullptr, {});
    out.set_data(mx::allocator::malloc(out.nbytes()));
    out.set_status(mx::array::Status::available);
    cpu_forward(model, lora, ids, *segments, caches, *rows, precision, out.data<float>());
    return out;
  }
  return composed_forward(model, lora, ids, segments, caches, rows, precision);
}

namespace {

size_t common_prefix(const std::vector<int>& a, const std::vector<int>& b) {
  const auto [end, unused] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return static_cast<size_t>(end - a.begin());
}

struct PrefixBuilder {
  const Model& model;
  const ModelLora* lora;
  std::span<const std::vector<int>* const> prompts;
  kernels::Precision precision;
  PrefixCache* known;
  std::vector<size_t> order;   // prompts in lexicographic order
  std::vector<size_t> common;  // tokens that order[i] and order[i + 1] share
  std::vector<Prefix> result;

  // `parent`, or what is known already of these tokens where that is worth more.
  Prefix best_known(Prefix parent, std::span<const int> tokens) const {
    if (known == nullptr) return parent;
    auto found = known->find(lora, tokens);
    return found.rows >= parent.rows + static_cast<int64_t>(kMinPrefix) ? found : parent;
  }

  // Gives order[begin, end) the best prefix below `parent`, and goes on within it.
  void build(size_t begin, size_t end, Prefix parent) {
    if (end - begin < 2) {
      if (begin == end) return;
      const auto& prompt = *prompts[order[begin]];
      result[order[begin]] = best_known(parent, std::span(prompt).first(prompt.size() - 1));
      return;
    }
    size_t shared = *std::min_element(common.begin() + static_cast<int64_t>(begin),
                                      common.begin() + static_cast<int64_t>(end) - 1);
    size_t usable = shared;
    for (size_t i = begin; i < end; ++i) usable = std::min(usable, prompts[order[i]]->size() - 1);
    const auto tokens = std::span(*prompts[order[begin]]).first(usable);
    parent = best_known(parent, tokens);
    const auto have = static_cast<size_t>(parent.rows);
    if (usable >= have + kMinPrefix) {
      auto cache =
          have > 0 ? KvCache::copy_of(*parent.cache, parent.rows) : make_cache(model, precision);
      cached_forward(
          model, lora,
          std::vector<CachedInput>{{cache, tokens.subspan(have), CachedInput::Want::none}},
          precision);
      if (known != nullptr) known->insert(lora, tokens, cache);
      parent = {cache, cache->length()};
    }
    // Split where neighbours share no more than the whole run does.
    size_t from = begin;
    for (size_t i = begin; i + 1 < end; ++i) {
      if (common[i] > shared) continue;
      build(from, i + 1, parent);
      from = i + 1;
    }
    build(from, end, parent);
  }
};

}  // namespace

std::vector<Prefix> share_prefixes(const Model& model, const ModelLora* lora,
                                   std::span<const std::vector<int>* const> prompts,
                                   kernels::Precision precision, PrefixCache* known) {
  PrefixBuilder b{model, lora, prompts, precision, known, {}, {}, {}};
  b.order.resize(prompts.size());
  std::iota(b.order.begin(), b.order.end(), size_t{0});
  std::sort(b.order.begin(), b.order.end(),
            [&](size_t x, size_t y) { return *prompts[x] < *prompts[y]; });
  for (size_t i = 0; i + 1 < b.order.size(); ++i)
    b.common.push_back(common_prefix(*prompts[b.order[i]], *prompts[b.order[i + 1]]));
  b.result.resize(prompts.size());
  b.build(0, prompts.size(), {});
  return b.result;
}

}  // namespace gavel
