#include "model/cached_forward.h"

#include "base/error.h"
#include "model/block.h"
#include "model/buffer_ops.h"
#include "model/card_inference.h"
#include "model/graph_ops.h"

namespace gavel {
namespace {

// The inputs of a pass, packed; extends their caches.
PackedInputs pack(const Model& model, std::span<const CachedInput> inputs) {
  PackedInputs p;
  p.segments->starts.push_back(0);
  for (const auto& input : inputs) {
    const auto count = static_cast<int32_t>(input.tokens.size());
    if (!input.extended) input.cache->extend(count);
    const auto first = static_cast<int32_t>(input.cache->length()) - count;
    const auto base = static_cast<int32_t>(p.ids.size());
    for (const int id : input.tokens)
      if (id < 0 || id >= model.config.vocab_size)
        fail("token {} is outside the vocabulary of {}", id, model.config.vocab_size);
    p.ids.insert(p.ids.end(), input.tokens.begin(), input.tokens.end());
    for (int32_t i = 0; i < count; ++i) {
      p.segments->positions.push_back(first + i);
      const bool wanted = input.want == CachedInput::Want::all ||
                          (input.want == CachedInput::Want::last && i + 1 == count);
      if (wanted) p.rows.push_back(base + i);
    }
    p.segments->starts.push_back(base + count);
    p.caches.push_back(input.cache);
  }
  return p;
}

// LoRA matrices may come from a computation that has not run yet.
void evaluate(const ModelLora& lora) {
  Arrays waiting;
  for (const auto& layer : lora)
    for (const auto& b : layer.of)
      if (b)
        for (const auto* a : {&b->a, &b->b})
          if (!a->is_available()) waiting.push_back(*a);
  if (!waiting.empty()) mx::eval(waiting);
}

mx::array on_buffers(const Model& model, const ModelLora* lora, const PackedInputs& in) {
  if (lora != nullptr) evaluate(*lora);
  static thread_local BufferPool pool;
  Buffer x(pool, std::ssize(in.ids), model.config.hidden_size);
  kernels::embedding(view(model.embed_tokens), in.ids.data(), x.rows, x.data());
  const size_t count = model.layers.size();
  for (size_t i = 0; i < count; ++i) {
    BufferOps ops{model, i,   lora != nullptr ? &(*lora)[i] : nullptr, *in.segments, in.caches,
                  {},    pool};
    if (i + 1 == count) ops.wanted = in.rows;
    x = llama_layer(ops, model.config, model.layers[i], std::move(x));
  }
  mx::array logits(mx::Shape{static_cast<int>(in.rows.size()), model.config.vocab_size},
                   mx::float32, nullptr, {});
  logits.set_data(mx::allocator::malloc(logits.nbytes()));
  logits.set_status(mx::array::Status::available);
  if (in.rows.empty()) return logits;
  Buffer normed(pool, x.rows, x.width);
  kernels::rms_norm(x.data(), model.norm.data<float>(), x.rows, x.width, model.config.rms_norm_eps,
                    normed.data(), nullptr);
  const kernels::LinearTask head{.weight = view(model.lm_head), .y = logits.data<float>()};
  kernels::linear_forward(normed.data(), x.rows, {&head, 1}, model.backend.precision);
  return logits;
}

mx::array as_graph(const Model& model, const ModelLora* lora, const PackedInputs& in) {
  auto x = embedding(model.backend, model.embed_tokens,
                     mx::array(in.ids.begin(), {static_cast<int>(in.ids.size())}, mx::int32));
  const SegmentsPtr segments = prepare(model.backend, in.segments);
  // A pass that only fills caches computes one row of the last layer as well, so that there is
  // something to evaluate.
  const auto rows = std::make_shared<const std::vector<int32_t>>(
      in.rows.empty() ? std::vector<int32_t>{0} : in.rows);
  const size_t count = model.layers.size();
  for (size_t i = 0; i < count; ++i) {
    const Attend attend = [&](const mx::array& q, const mx::array& k, const mx::array& v) {
      return cached_attention(q, k, v, in.caches, *segments, i, model.config.head_dim);
    };
    const Rows wanted = i + 1 == count ? rows : nullptr;
    GraphOps ops{model,    model.layers[i], lora != nullptr ? &(*lora)[i] : nullptr,
                 segments, attend,          wanted};
    x = llama_layer(ops, model.config, model.layers[i], x);
  }
  if (in.rows.empty()) {
    mx::array none = mx::zeros({0, model.config.vocab_size});
    mx::eval(x, none);
    return none;
  }
  auto result = mx::astype(logits(model, x), mx::float32);
  mx::eval(result);
  return result;
}

}  // namespace

std::shared_ptr<KvCache> make_cache(const Model& model, Prefix prefix) {
  if (model.card)
    return std::make_shared<KvCache>(model.card->make_storage(), std::move(prefix.cache),
                                     prefix.rows);
  return std::make_shared<KvCache>(model.backend, model.layers.size(),
                                   model.config.num_key_value_heads * model.config.head_dim,
                                   std::move(prefix.cache), prefix.rows);
}

std::unique_ptr<Logits> cached_forward(const Model& model, const ModelLora* lora,
                                       std::span<const CachedInput> inputs) {
  const PackedInputs in = pack(model, inputs);
  if (model.card) return model.card->forward(model, lora, in);
  return std::make_unique<HostLogits>(on_cpu_memory(model.backend) ? on_buffers(model, lora, in)
                                                                   : as_graph(model, lora, in));
}

}  // namespace gavel
