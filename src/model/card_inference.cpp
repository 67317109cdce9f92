#include "model/card_inference.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "model/block.h"
#include "model/card_ops.h"

namespace gavel {
namespace {

cuda::PageSizes page_sizes(const ModelConfig& c) {
  return {c.num_hidden_layers, c.num_key_value_heads, c.head_dim};
}

// The matrices of an adapter, in a fixed order.
Arrays matrices_of(const ModelLora& lora) {
  Arrays all;
  for (const auto& layer : lora)
    for (const auto& l : layer.of)
      if (l) all.insert(all.end(), {l->a, l->b});
  return all;
}

bool same(const Arrays& a, const Arrays& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const mx::array& x, const mx::array& y) { return x.id() == y.id(); });
}

// [m, n] -> [m + filling, n], bfloat16.
mx::array filled(const mx::array& rows, int filling) {
  const auto low = mx::astype(rows, mx::bfloat16);
  return mx::contiguous(filling > 0 ? mx::pad(low, {{0, filling}, {0, 0}}) : low);
}

constexpr size_t kInputs[kProjections] = {0, 0, 0, 1, 2, 2, 3};

CardLora prepare_lora(const ModelLora& lora, Arrays matrices) {
  CardLora made{.made_from = std::move(matrices), .memory = {}, .layers = {}};
  struct Place {
    size_t layer, projection, array;
  };
  std::vector<Place> a_of, b_of;  // a: of the group of inputs
  made.layers.resize(lora.size());
  for (size_t l = 0; l < lora.size(); ++l) {
    auto& layer = made.layers[l];
    std::array<Arrays, 4> below;
    for (size_t p = 0; p < kProjections; ++p) {
      const auto& branch = lora[l].of[p];
      if (!branch) continue;
      const int rank = branch->a.shape(1), filling = (8 - rank % 8) % 8;
      auto& inputs = layer.inputs[kInputs[p]];
      layer.parts[p] = {.b = nullptr, .rank = rank + filling, .first = inputs.ranks};
      inputs.ranks += rank + filling;
      below[kInputs[p]].push_back(filled(mx::transpose(branch->a), filling));
      b_of.push_back({l, p, made.memory.size()});
      made.memory.push_back(mx::contiguous(
          mx::transpose(filled(mx::multiply(branch->b, mx::array(branch->scale)), filling))));
    }
    for (size_t i = 0; i < below.size(); ++i)
      if (!below[i].empty()) {
        a_of.push_back({l, i, made.memory.size()});
        made.memory.push_back(mx::contiguous(mx::concatenate(below[i], 0)));
      }
  }
  mx::eval(made.memory);
  mx::synchronize();
  for (const auto& [l, i, at] : a_of) made.layers[l].inputs[i].a = cuda::address(made.memory[at]);
  for (const auto& [l, p, at] : b_of) made.layers[l].parts[p].b = cuda::address(made.memory[at]);
  return made;
}

}  // namespace

// A step's tables on the card.
struct CardInference::Tables {
  const int32_t *ids = nullptr, *wanted = nullptr;
  cuda::Inference::Attention attention;
};

class CardLogits final : public Logits {
 public:
  CardLogits(CardInference& card, float* all, int rows, int vocab)
      : card_(card), all_(all), rows_(rows), vocab_(vocab) {}
  size_t rows() const override { return static_cast<size_t>(rows_); }
  std::span<float> row(size_t i) override {
    auto& host = fetched_.emplace_back(static_cast<size_t>(vocab_));
    fetch(all_ + static_cast<int64_t>(i) * vocab_, host.data(), host.size());
    return host;
  }
  bool has_largest() const override { return true; }
  std::vector<LargestLogits> largest(int count) override {
    return card_.run_.largest(card_.workspace_, all_, rows_, vocab_, count);
  }
  std::vector<double> log_probabilities(std::span<const int32_t> rows,
                                        std::span<const int32_t> ids) override {
    const auto sums = largest(1);
    const auto picked = card_.run_.pick(card_.workspace_, all_, vocab_, rows, ids);
    std::vector<double> result;
    for (size_t i = 0; i < picked.size(); ++i)
      result.push_back(double{picked[i]} - double{sums[static_cast<size_t>(rows[i])].log_sum_exp});
    return result;
  }
  mx::array whole() override {
    mx::array host(mx::Shape{rows_, vocab_}, mx::float32, nullptr, {});
    host.set_data(mx::allocator::malloc(host.nbytes()));
    host.set_status(mx::array::Status::available);
    if (rows_ > 0) fetch(all_, host.data<float>(), host.size());
    return host;
  }

 private:
  void fetch(const float* from, float* to, size_t count) {
    card_.run_.queue().download(to, from, count * sizeof(float));
    card_.run_.queue().wait();
  }
  CardInference& card_;
  float* all_;
  int rows_, vocab_;
  std::list<std::vector<float>> fetched_;
};

CardInference::CardInference(const Model& model)
    : pool_(std::make_shared<cuda::PagePool>(page_sizes(model.config))) {}

std::unique_ptr<KvStorage> CardInference::make_storage() const {
  return std::make_unique<cuda::PagedStorage>(pool_);
}

const CardLora* CardInference::prepared(const Model& model, const ModelLora* lora) {
  if (lora == nullptr) return nullptr;
  if (lora->size() != model.layers.size()) fail("an adapter of another model");
  Arrays matrices = matrices_of(*lora);
  if (matrices.empty()) return nullptr;
  const auto found = std::find_if(loras_.begin(), loras_.end(),
                                  [&](const CardLora& l) { return same(l.made_from, matrices); });
  if (found != loras_.end()) {
    loras_.splice(loras_.begin(), loras_, found);
  } else {
    constexpr size_t kKept = 16;
    if (loras_.size() >= kKept) loras_.pop_back();
    loras_.push_front(prepare_lora(*lora, std::move(matrices)));
  }
  return &loras_.front();
}

// One copy for all layers.
CardInference::Tables CardInference::upload(const PackedInputs& in, const ModelConfig& c) {
  const auto pages = cuda::page_tables(in.caches, in.segments->starts,
                                       c.num_attention_heads / c.num_key_value_heads,
                                       c.num_key_value_heads, c.head_dim);
  size_t bytes = 0;
  const auto place = [&](const auto& values) {
    const size_t at = bytes;
    bytes += (values.size() * sizeof(values[0]) + 15) / 16 * 16;
    return at;
  };
  const std::array at = {place(in.ids),     place(in.segments->positions),
                         place(pages.rows), place(pages.entries),
                         place(pages.few),  place(pages.many),
                         place(in.rows)};
  std::byte* host = tables_.reserve(bytes);
  size_t next = 0;
  const auto write = [&](const auto& values) {
    if (!values.empty())
      std::memcpy(host + at[next], values.data(), values.size() * sizeof(values[0]));
    ++next;
  };
  write(in.ids), write(in.segments->positions), write(pages.rows), write(pages.entries);
  write(pages.few), write(pages.many), write(in.rows);
  auto* memory = static_cast<char*>(workspace_.take(bytes));
  run_.queue().upload(memory, host, bytes);
  const auto sizes = page_sizes(c);
  const size_t slots = static_cast<size_t>(pages.slots) * static_cast<size_t>(sizes.kv_heads);
  Tables t{.ids = reinterpret_cast<const int32_t*>(memory + at[0]),
           .wanted = reinterpret_cast<const int32_t*>(memory + at[6]),
           .attention = {.sizes = sizes,
                         .heads = c.num_attention_heads,
                         .eps = c.rms_norm_eps,
                         .positions = reinterpret_cast<const int32_t*>(memory + at[1]),
                         .rows = reinterpret_cast<const uint64_t*>(memory + at[2]),
                         .entries = reinterpret_cast<const cuda::PageEntry*>(memory + at[3]),
                         .few = reinterpret_cast<const cuda::PageTask*>(memory + at[4]),
                         .many = reinterpret_cast<const cuda::PageTask*>(memory + at[5]),
                         .few_count = static_cast<int>(pages.few.size()),
                         .many_count = static_cast<int>(pages.many.size())}};
  if (slots > 0) {
    t.attention.parts = static_cast<float*>(
        workspace_.take(slots * cuda::Inference::part_floats(sizes) * sizeof(float)));
    t.attention.counters = static_cast<int32_t*>(workspace_.take(slots * sizeof(int32_t)));
    run_.queue().clear(t.attention.counters, slots * sizeof(int32_t));
  }
  return t;
}

std::unique_ptr<Logits> CardInference::forward(const Model& model, const ModelLora* lora,
                                               const PackedInputs& in) {
  const ModelConfig& c = model.config;
  const int rows = static_cast<int>(in.ids.size()), wanted = static_cast<int>(in.rows.size());
  run_.queue().enter();
  const CardLora* adapter = prepared(model, lora);
  run_.queue().wait();  // for what may still use the memory
  workspace_.reset();
  if (rows == 0) return std::make_unique<CardLogits>(*this, nullptr, 0, c.vocab_size);
  Tables tables = upload(in, c);
  tables.attention.inv_freq = &model.inv_freq;
  const int h = c.hidden_size, f = c.intermediate_size, q = c.num_attention_heads * c.head_dim;
  const CardActivations memory{
      .x = workspace_.rows(rows, h),
      .normed = workspace_.rows(rows, h),
      .qkv = workspace_.rows(rows, q + 2 * c.num_key_value_heads * c.head_dim),
      .attended = workspace_.rows(rows, q),
      .inner = workspace_.rows(rows, f),
      .gate = workspace_.rows(rows, f),
      .up = workspace_.rows(rows, f),
      .wanted_x = workspace_.rows(wanted, h),
      .wanted_attended = workspace_.rows(wanted, q)};
  run_.embed(model.embed_tokens, tables.ids, memory.x);
  CardOps::Tensor x{memory.x};
  for (size_t i = 0; i < model.layers.size(); ++i) {
    tables.attention.layer = i;
    const bool last = i + 1 == model.layers.size();
    CardOps ops{run_,
                workspace_,
                c,
                model.layers[i],
                adapter != nullptr ? &adapter->layers[i] : nullptr,
                memory,
                tables.attention,
                last ? tables.wanted : nullptr};
    if (last && wanted == 0) {  // only its keys and values are needed
      const auto normed = ops.rms_norm(x, model.layers[i].input_layernorm, c.rms_norm_eps);
      ops.linears(normed, std::array{Projection::q, Projection::k, Projection::v});
      if (model.layers[i].k_norm) tables.attention.k_norm = &*model.layers[i].k_norm;
      run_.rotate_and_store(memory.qkv, tables.attention);
      break;
    }
    x = llama_layer(ops, c, model.layers[i], x);
  }
  if (wanted == 0) {
    run_.queue().wait();
    return std::make_unique<CardLogits>(*this, nullptr, 0, c.vocab_size);
  }
  auto* logits = static_cast<float*>(workspace_.take(
      static_cast<size_t>(wanted) * static_cast<size_t>(c.vocab_size) * sizeof(float)));
  run_.logits(workspace_, {x.rows, &model.norm, c.rms_norm_eps, memory.normed.first(wanted)},
              model.lm_head, logits);
  return std::make_unique<CardLogits>(*this, logits, wanted, c.vocab_size);
}

std::shared_ptr<CardInference> make_card_inference(const Model& model) {
  const ModelConfig& c = model.config;
  const bool taken = on_card(model.backend) && (c.head_dim == 64 || c.head_dim == 128) &&
                     c.hidden_size % 8 == 0 && c.intermediate_size % 8 == 0;
  return taken ? std::make_shared<CardInference>(model) : nullptr;
}

}  // namespace gavel
