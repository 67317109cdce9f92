#include "train/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "train/checkpoint.h"

namespace gavel {
namespace {

// Values kept of a layer for the backward pass, and those of the widest moment of its backward
// pass.
struct LayerMemory {
  size_t attention = 0;  // from the layer's input to the attention's result
  size_t between = 0;    // the MLP's input
  size_t mlp = 0;        // after it
  size_t backward = 0;   // gradients and results at once while the MLP's are made
};

// Bytes; `after`: rows from the attention's result on.
LayerMemory layer_memory(const MemoryModel& m, size_t layer, size_t rows, size_t after) {
  const ModelConfig& c = m.shape.config;
  const auto h = static_cast<size_t>(c.hidden_size), f = static_cast<size_t>(c.intermediate_size);
  const auto q = static_cast<size_t>(m.shape.out_features(Projection::q)),
             k = static_cast<size_t>(m.shape.out_features(Projection::k));
  const auto adapts = [&](std::initializer_list<Projection> of) {
    return std::any_of(of.begin(), of.end(),
                       [&](Projection p) { return m.shape.adapts(layer, p); });
  };
  const bool cuda = m.kernels == Kernels::cuda, composed = m.kernels == Kernels::composed;
  const size_t value = cuda || composed ? 2 : 4;
  size_t ranks = 0;
  for (const auto& a : m.shape.adapted)
    if (a.layer == layer) ranks += static_cast<size_t>(a.rank);
  size_t attention = h + q + 2 * k;   // x; q, k, v
  if (c.qk_norm) attention += q + k;  // before their norms
  if (composed) attention += q + k;   // before their rotation
  if (!cuda && adapts({Projection::q, Projection::k, Projection::v})) attention += h;
  size_t mlp = 2 * f;          // gate and up
  if (composed) mlp += 2 * f;  // sigmoid and silu
  if (!cuda && adapts({Projection::gate, Projection::up})) mlp += h;
  if (!cuda && adapts({Projection::down})) mlp += f;
  LayerMemory memory;
  memory.attention =
      rows * (value * (attention + ranks) + 4 * static_cast<size_t>(c.num_attention_heads)) +
      after * value * q;
  memory.between = after * value * h;
  memory.mlp = after * value * mlp;
  // Gradients of gate, up and their product, of x and the layer's result.
  memory.backward = after * value * (3 * f + 2 * h);
  return memory;
}

// What the products need beside activations, whatever the rows: a few whole matrices on a card.
size_t matrices_in_flight(const MemoryModel& m) {
  if (m.kernels == Kernels::cpu) return 0;
  const ModelConfig& c = m.shape.config;
  return 3 * 2 * static_cast<size_t>(c.hidden_size) * static_cast<size_t>(c.intermediate_size);
}

// What a card may still hold of work that is under way or just done, so that the host, which runs
// ahead, need not wait: less is slower. MLX hands over work by the batch, of so many operations or
// so many bytes, which bounds it where arrays are large.
size_t under_way(const MemoryModel& m, const PartSize& part) {
  if (m.kernels == Kernels::cpu) return 0;
  const size_t array =
      2 * static_cast<size_t>(m.shape.config.intermediate_size) * static_cast<size_t>(part.rows);
  return std::min(16 * array, std::max(6 * array, size_t{3'500'000'000}));
}

// While the loss is made: a chunk's logits (with their gradient), the head, hidden rows.
size_t loss_memory(const MemoryModel& m, const PartSize& part) {
  const ModelConfig& c = m.shape.config;
  const auto v = static_cast<size_t>(c.vocab_size), h = static_cast<size_t>(c.hidden_size),
             rows = static_cast<size_t>(part.loss_rows);
  if (m.kernels != Kernels::cpu) {
    const size_t logit = m.kernels == Kernels::cuda ? 2 * 2 : 2 + 4 + 4 + 4 + 2;
    return 2 * v * h + std::clamp<size_t>(rows / 4 + 63, 256, 1024) * v * logit + rows * h * 2 * 4;
  }
  return std::min<size_t>(rows * v * 4, size_t{32} << 20) + rows * h * 4 * 3;
}

struct Held {
  size_t kept = 0, widest = 0;
};

// Activations that are kept until the backward pass begins, and the most that its first layers need
// besides, the kept ones freed on the way counted against it.
Held hold(const MemoryModel& m, const PartSize& part, const Passes& passes) {
  const auto count = static_cast<size_t>(m.shape.config.num_hidden_layers);
  const auto rows = static_cast<size_t>(part.rows), wanted = static_cast<size_t>(part.loss_rows);
  // Of the residual path, which is float32 on a card.
  const size_t value = m.kernels == Kernels::composed ? 2 : 4;
  const auto h = static_cast<size_t>(m.shape.config.hidden_size);
  const auto group = static_cast<size_t>(
      passes.recompute == Recompute::layer ? std::max(passes.recompute_group, 1) : 1);
  std::vector<size_t> kept(count), again(count), backward(count);
  for (size_t i = m.shape.first_layer; i < count; ++i) {
    const size_t after = i + 1 == count ? wanted : rows;
    const LayerMemory l = layer_memory(m, i, rows, after);
    backward[i] = l.backward;
    const size_t all = l.attention + l.between + l.mlp;
    kept[i] = all;
    if (passes.recompute == Recompute::mlp) {
      kept[i] = l.attention + after * value * h;
      again[i] = l.mlp;
    } else if (passes.recompute == Recompute::layer) {
      kept[i] = i % group == 0 ? rows * value * h : 0;
      again[i] = all;
    }
  }
  Held held;
  for (const size_t k : kept) held.kept += k;
  size_t left = held.kept;
  for (size_t end = count; end > m.shape.first_layer;) {
    const size_t first = std::max(m.shape.first_layer, (end - 1) / group * group);
    size_t worked = 0, most = 0;
    for (size_t i = first; i < end; ++i) worked += again[i], most = std::max(most, backward[i]);
    const size_t now = left + worked + most;
    held.widest = std::max(held.widest, now > held.kept ? now - held.kept : 0);
    for (size_t i = first; i < end; ++i) left -= kept[i];
    end = first;
  }
  return held;
}

MemoryNeed largest_need(const MemoryModel& model, const std::vector<std::vector<PartSize>>& batches,
                        const Passes& passes, PartSize& largest) {
  MemoryNeed most;
  for (const auto& parts : batches)
    for (const auto& part : parts)
      if (const MemoryNeed need = memory_need(model, part, passes); need.total() > most.total())
        most = need, largest = part;
  return most;
}

// What would be tried, the fastest first: parts of `tokens` and fractions of it, with ever more
// computed again. What the settings fix stays. `least`: the fraction from which on computing again
// is faster than smaller parts (on a card, parts of 16,384 tokens dequantize the weights a quarter
// as often as those of 4,096, but little is gained where that costs computing gate and up again).
std::vector<Passes> candidates(const TrainConfig& config, int64_t tokens, int least) {
  using enum Recompute;
  std::vector<Passes> all;
  const auto add = [&](int divisor, Recompute recompute) {
    if (config.micro_batch_tokens > 0 && divisor > 1) return;
    if (config.recompute && recompute != *config.recompute) return;
    all.push_back({tokens / divisor, recompute, config.recompute_group});
  };
  for (int divisor = 1; divisor <= 2 * least; divisor *= 2) add(divisor, none);
  for (const int divisor : {least, 2 * least}) add(divisor, mlp);
  for (const int divisor : {least, 2 * least, 4 * least, 8 * least}) add(divisor, layer);
  if (config.recompute && config.micro_batch_tokens == 0 && *config.recompute != layer)
    all.push_back({tokens / (4 * least), *config.recompute, config.recompute_group});
  return all;
}

std::string gigabytes(size_t bytes) {
  return fmt::format("{:.2f} GB", static_cast<double>(bytes) / 1e9);
}

// The most tokens that an example may have for it to fit alone, in steps of 64; 0: none.
int64_t longest_that_fits(const MemoryModel& model, const PartSize& largest, const Passes& passes,
                          size_t limit) {
  int64_t fits = 0;
  for (int64_t rows = 64; rows <= largest.rows; rows += 64) {
    const PartSize part{rows, rows, std::min(rows, largest.loss_rows), 0.0};
    if (memory_need(model, part, passes).total() <= limit) fits = rows;
  }
  return fits;
}

}  // namespace

Kernels kernels_of(const Backend& backend) {
  if (on_cpu_memory(backend)) return Kernels::cpu;
  return on_card(backend) ? Kernels::cuda : Kernels::composed;
}

int64_t usual_micro_batch_tokens(Kernels kernels) {
  return kernels == Kernels::cpu ? 512 : kernels == Kernels::cuda ? 16384 : 4096;
}

MemoryNeed memory_need(const MemoryModel& m, const PartSize& part, const Passes& passes) {
  const auto parameters = static_cast<size_t>(m.shape.parameters());
  const Held held = hold(m, part, passes);
  return {.program = m.fixed.program,
          .weights = m.fixed.weights,
          .lora = 4 * parameters,
          .optimizer = 4 * static_cast<size_t>(m.moments) * parameters,
          .gradients = 2 * 4 * parameters,  // of this part, and the sum
          .activations = held.kept,
          .workspace = std::max(held.widest + matrices_in_flight(m), loss_memory(m, part))};
}

MemoryPlan plan_memory(const MemoryModel& model, const Dataset& train_set,
                       const TrainConfig& config, size_t limit) {
  const int64_t usual = config.micro_batch_tokens > 0 ? config.micro_batch_tokens
                                                      : usual_micro_batch_tokens(model.kernels);
  MemoryPlan best;
  int64_t tokens = 0;
  std::vector<std::vector<PartSize>> batches;
  const int least = model.kernels == Kernels::cuda && config.micro_batch_tokens == 0 ? 4 : 1;
  for (const Passes& passes : candidates(config, usual, least)) {
    if (passes.micro_batch_tokens != tokens) {
      tokens = passes.micro_batch_tokens;
      batches = epoch_parts(train_set, config, tokens);
    }
    MemoryPlan plan{.passes = passes, .limit = limit};
    plan.need = largest_need(model, batches, passes, plan.largest);
    plan.fits = plan.need.total() <= limit;
    if (plan.fits) {
      if (model.kernels == Kernels::cuda)
        plan.largest_array = 2 * static_cast<size_t>(model.shape.config.vocab_size) *
                             static_cast<size_t>(model.shape.config.hidden_size);
      plan.need.workspace += std::min(limit - plan.need.total(), under_way(model, plan.largest));
      return plan;
    }
    if (best.limit == 0 || plan.need.total() < best.need.total()) best = plan;
  }
  return best;
}

std::string refusal(const MemoryModel& model, const MemoryPlan& plan) {
  const int64_t fits = longest_that_fits(model, plan.largest, plan.passes, plan.limit);
  const auto least = memory_need(model, {1, 1, 1, 1.0}, plan.passes).total();
  return fmt::format(
      "training needs {} of memory even with {} tokens at a time{}, and {} may be used:\n{}\n{}",
      gigabytes(plan.need.total()), plan.passes.micro_batch_tokens,
      plan.passes.recompute == Recompute::layer ? " and every layer computed again" : "",
      gigabytes(plan.limit), describe(plan),
      fits > 0 ? fmt::format("Its longest part has {} tokens; --max-seq-length {} would fit",
                             plan.largest.rows, fits)
               : fmt::format("Whatever the data, {} are needed", gigabytes(least)));
}

std::string describe(const MemoryPlan& plan) {
  const MemoryNeed& n = plan.need;
  std::string table;
  const auto line = [&](const char* name, size_t bytes) {
    if (bytes > 0)
      table += fmt::format("  {:<12}{:>9.3f} GB\n", name, static_cast<double>(bytes) / 1e9);
  };
  line("program", n.program);
  line("weights", n.weights);
  line("LoRA", n.lora);
  line("optimizer", n.optimizer);
  line("gradients", n.gradients);
  line("activations", n.activations);
  line("workspace", n.workspace);
  line("in all", n.total());
  return table + fmt::format("  of {}; parts of at most {} tokens, computed again: {}",
                             gigabytes(plan.limit), plan.passes.micro_batch_tokens,
                             plan.passes.recompute == Recompute::none  ? "nothing"
                             : plan.passes.recompute == Recompute::mlp ? "gate and up (mlp)"
                                                                       : "layers (layer)");
}

TrainConfig with_passes(const Model& model, const Adapter& adapter, const Dataset& train_set,
                        const TrainConfig& config, const std::filesystem::path& checkpoint,
                        MemoryPlan& plan) {
  TrainConfig c = config;
  std::error_code ignored;
  if (std::filesystem::exists(checkpoint, ignored))
    if (const auto before = read_passes(checkpoint)) {
      if (c.micro_batch_tokens <= 0) c.micro_batch_tokens = before->micro_batch_tokens;
      if (!c.recompute) {
        c.recompute = before->recompute;
        c.recompute_group = before->recompute_group;
      }
    }
  const size_t limit = c.memory_limit > 0 ? c.memory_limit : available_memory(model.backend);
  const MemoryModel memory = memory_model(model, adapter, c);
  plan = plan_memory(memory, train_set, c, limit);
  if (!plan.fits) throw Error(refusal(memory, plan));
  c.micro_batch_tokens = plan.passes.micro_batch_tokens;
  c.recompute = plan.passes.recompute;
  return c;
}

}  // namespace gavel
