// The products of inference: which kernel takes which.
#include <algorithm>

#include "base/error.h"
#include "ops/cuda/inference.h"

namespace gavel::cuda {
namespace {

constexpr int kFewRows = 64;

// As the kernel has them (ops/cuda/products.cu).
struct ProductPart {
  const void *weights, *scales, *biases, *bias, *lora_b, *lora_xa, *residual;
  void* y;
  int n, y_stride, rank, first_block;
};
struct ProductArgs {
  ProductPart parts[3];
  const void* x;
  const void* norm;
  void* sums;
  void* counters;
  int rows, k, x_stride, xa_stride, part_count, chunk_steps, chunk_stride, x_bytes;
  float eps;
};

bool has_kernel(const Weight& w) {
  return w.quantized() && (w.bits == 4 || w.bits == 8) &&
         (w.group_size == 32 || w.group_size == 64 || w.group_size == 128) &&
         w.in_features() % w.group_size == 0;
}

bool alike(const Weight& a, const Weight& b) {
  return a.bits == b.bits && a.group_size == b.group_size && a.scales->dtype() == b.scales->dtype();
}

// How a product is shared out among blocks: template arguments of the kernel.
struct Tiles {
  int m, n, warps_m;
  int warps_k() const { return 8 / warps_m; }
  int columns(bool gated) const { return warps_m * 16 * (gated ? 1 : m); }  // of y, a block's
  int step(int bits) const { return warps_k() * 1024 / bits; }              // values of k
  int steps_ahead() const { return m == 2 ? 1 : 2; }
  // Shared memory of the weights and of the warps' sums.
  int ring_bytes(const Weight& w) const {
    const int words = w.group_size * w.bits / 128;
    return 8 * (steps_ahead() + 1) * m * 16 * (128 + (words == 8 ? 16 : 16 * words));
  }
  int sum_bytes() const { return warps_k() * 8 * n * (warps_m * m * 16 + 4) * 4; }
};
// Of the kernel for 17 to 64 rows (ops/cuda/wide_products.cu).
struct WideArgs {
  ProductArgs product;
  const void* x;
  int tiles, steps;
};

constexpr int kRoomForRows = 64 << 10;  // of shared memory, for x as a whole
Tiles tiles_for(int rows, int k, bool gated) {
  if (rows <= 8) return {gated ? 2 : 1, 1, rows * (k + 8) * 2 <= kRoomForRows ? 1 : 2};
  if (rows <= 16) return {gated ? 2 : 1, 2, 4};
  return {2, rows <= 32 ? 4 : 8, 4};
}

// x in shared memory: all of it where there is room, else two chunks of some steps.
struct Chunks {
  int steps, stride, bytes;
  bool whole;
};
Chunks chunks_for(int rows, int k, int step, int steps_ahead) {
  if (rows * (k + 8) * 2 <= kRoomForRows)
    return {blocks_for(k, step) + 1, k + 8, rows * (k + 8) * 2, true};
  const int stride = steps_ahead * step + 8;
  return {steps_ahead, stride, 2 * rows * stride * 2, false};
}

ProductArgs arguments(const Input& in, std::span<const Product> products, const Rows* gated_out,
                      float* float_out, const float* xa, int xa_stride) {
  ProductArgs args{.parts = {},
                   .x = in.x.data,
                   .norm = in.norm != nullptr ? address(*in.norm) : nullptr,
                   .sums = nullptr,
                   .counters = nullptr,
                   .rows = in.x.rows,
                   .k = in.x.width,
                   .x_stride = in.x.stride,
                   .xa_stride = xa_stride,
                   .part_count = static_cast<int>(products.size()),
                   .chunk_steps = 0,
                   .chunk_stride = 0,
                   .x_bytes = 0,
                   .eps = in.eps};
  for (size_t i = 0; i < products.size(); ++i) {
    const Product& p = products[i];
    const Rows& y = gated_out != nullptr ? *gated_out : p.y;
    args.parts[i] = {.weights = address(p.weight->data),
                     .scales = address(*p.weight->scales),
                     .biases = address(*p.weight->biases),
                     .bias = p.bias != nullptr ? address(*p.bias) : nullptr,
                     .lora_b = p.lora.b,
                     .lora_xa = xa + p.lora.first,
                     .residual = p.residual ? y.data : nullptr,
                     .y = float_out != nullptr ? float_out : y.data,
                     .n = p.weight->out_features(),
                     .y_stride = y.stride,
                     .rank = p.lora.rank,
                     .first_block = 0};
  }
  return args;
}

// Says which blocks have which matrix, of which each takes so many rows. How many there are.
int place_blocks(ProductArgs& args, int rows_of_block, bool gated) {
  int blocks = 0;
  for (int i = 0; i < args.part_count; ++i) {
    args.parts[i].first_block = blocks;
    if (!gated || i == 0) blocks += blocks_for(args.parts[i].n, rows_of_block);
  }
  return blocks;
}

}  // namespace

// False where these need another way.
bool Inference::multiply_wide(Workspace& workspace, const Input& in,
                              std::span<const Product> products, const Few& how) {
  constexpr int kThreads = 512, kStages = 3, kTileRows = 256;  // as the kernel has them
  const Weight& first = *products[0].weight;
  const int k = in.x.width, depth = 1024 / first.bits;  // depth: values of k in a step
  if (in.x.rows <= 16 || k % depth != 0 || !wide_) return false;
  const bool gated = how.out != nullptr;
  const int eights = in.x.rows <= 32 ? 4 : 8;
  void* arranged = workspace.scratch(Workspace::Scratch::arranged,
                                     static_cast<size_t>(8 * eights) * static_cast<size_t>(k) * 2);
  WideArgs args{.product = arguments(in, products, how.out, how.float_out, how.xa, how.xa_stride),
                .x = arranged,
                .tiles = 0,
                .steps = k / depth};
  args.tiles = place_blocks(args.product, gated ? kTileRows / 2 : kTileRows, gated);
  if (args.tiles > kCounters) fail("a product of {} tiles has too many", args.tiles);
  const int blocks = std::min(queue_.multiprocessors(), args.tiles * args.steps);
  args.product.counters = address(counters_);
  args.product.sums =
      workspace.scratch(Workspace::Scratch::sums, static_cast<size_t>(blocks) * 2 *
                                                      static_cast<size_t>(eights) * kThreads * 16);
  queue_.launch(queue_.function(Source::wide_products, fmt::format("arrange_rows<{}>", first.bits)),
                {.blocks_x = 8 * eights,
                 .blocks_y = in.norm != nullptr ? 1 : blocks_for(k, 2048),
                 .early = true},
                in.x.data, args.product.norm, arranged, in.x.rows, 8 * eights, k, in.x.stride,
                in.eps);
  const int shared = kStages * (8 * eights * depth * 2 + kTileRows * (128 + 8 * first.bits));
  const auto f = queue_.function(
      Source::wide_products,
      fmt::format("wide_product<{}, {}, {}, {}, {}, {}>", first.bits, first.group_size,
                  type_name(first.scales->dtype()), how.float_out != nullptr ? "float" : "bf16",
                  eights, gated ? "true" : "false"),
      shared);
  queue_.launch(f, {.blocks_x = blocks, .threads = kThreads, .shared_bytes = shared, .early = true},
                args);
  return true;
}

// False where these need another way.
bool Inference::multiply_few(Workspace& workspace, Input& in, std::span<const Product> products,
                             const Few& how) {
  const Weight& first = *products[0].weight;
  for (const Product& p : products)
    if (!has_kernel(*p.weight) || !alike(first, *p.weight)) return false;
  if (multiply_wide(workspace, in, products, how)) return true;
  const bool gated = how.out != nullptr;
  const Tiles t = tiles_for(in.x.rows, in.x.width, gated);
  const int step = t.step(first.bits);
  const Chunks chunks = chunks_for(in.x.rows, in.x.width, step, t.steps_ahead());
  if (t.n > 1 || !chunks.whole) make_normed(in);  // the kernel does it otherwise
  const Rows& x = in.x;
  ProductArgs args = arguments(in, products, how.out, how.float_out, how.xa, how.xa_stride);
  args.chunk_steps = chunks.steps;
  args.chunk_stride = chunks.stride;
  args.x_bytes = (chunks.bytes + 127) / 128 * 128;
  const int blocks = place_blocks(args, t.columns(gated), gated);
  constexpr int kBlocks = 132;  // that a large card runs at once, of the larger tiles
  const int steps = blocks_for(x.width, step);
  const int splits =
      t.warps_m == 1 ? 1 : std::clamp((kBlocks + blocks / 2) / blocks, 1, std::max(1, steps / 2));
  if (splits > 1) {
    const auto tile = static_cast<size_t>(8 * t.n * t.warps_m * t.m * 16);
    args.sums = workspace.scratch(Workspace::Scratch::sums,
                                  static_cast<size_t>(blocks * splits) * tile * sizeof(float));
    if (blocks > kCounters) fail("a product of {} blocks has too many splits", blocks);
    args.counters = address(counters_);
  }
  const int shared = std::max(args.x_bytes + t.ring_bytes(first), t.sum_bytes());
  const auto f = queue_.function(
      Source::products,
      fmt::format("quantized_product<{}, {}, {}, {}, {}, {}, {}, {}>", first.bits, first.group_size,
                  type_name(first.scales->dtype()), how.float_out != nullptr ? "float" : "bf16",
                  t.m, t.n, t.warps_m, gated ? "true" : "false"),
      shared);
  queue_.launch(f,
                {.blocks_x = blocks,
                 .blocks_y = splits,
                 .threads = 256,
                 .shared_bytes = shared,
                 .early = true},
                args);
  return true;
}

// The weight is made bfloat16, at most kSlice values of it at a time.
void Inference::multiply_dense(Workspace& workspace, const Rows& x, const Weight& w, void* y,
                               int y_stride, bool add, bool float_out) {
  constexpr int64_t kSlice = int64_t{72} << 20;
  const int n = w.out_features(), k = w.in_features();
  const int step = static_cast<int>(std::clamp<int64_t>(kSlice / k / 8 * 8, 8, n));
  const bool as_it_is = !w.quantized() && w.data.dtype() == mx::bfloat16;
  void* made = as_it_is ? nullptr
                        : workspace.scratch(Workspace::Scratch::weights,
                                            static_cast<size_t>(step) * static_cast<size_t>(k) * 2);
  for (int begin = 0; begin < n; begin += step) {
    const int count = std::min(step, n - begin);
    const int64_t values = int64_t{count} * k, before = int64_t{begin} * k;
    const auto part = [&](const mx::array& a, int64_t bytes) {
      return static_cast<char*>(address(a)) + bytes;
    };
    void* dense = made;
    if (as_it_is) {
      dense = part(w.data, before * 2);
    } else if (!w.quantized()) {
      const auto f =
          queue_.function(Source::inference, fmt::format("convert<{}>", type_name(w.data.dtype())));
      const auto* from = part(w.data, before * static_cast<int64_t>(w.data.itemsize()));
      queue_.launch(f, {.blocks_x = blocks_for(values, 256)}, from, dense, values);
    } else {
      const auto f = queue_.function(
          Source::dequantize,
          fmt::format("dequantize<{}, {}, bf16>", w.bits, type_name(w.scales->dtype())));
      const int64_t scale_bytes =
          before / w.group_size * static_cast<int64_t>(w.scales->itemsize());
      const auto eights = static_cast<int>(values / 8);
      queue_.launch(f, {.blocks_x = blocks_for(eights, 4 * 256)}, part(w.data, before * w.bits / 8),
                    part(*w.scales, scale_bytes), part(*w.biases, scale_bytes), dense, eights,
                    w.group_size / 8);
    }
    blas_.multiply({.x = x.data,
                    .w = dense,
                    .y = static_cast<char*>(y) + int64_t{begin} * (float_out ? 4 : 2),
                    .rows = x.rows,
                    .n = count,
                    .k = k,
                    .x_stride = x.stride,
                    .w_stride = k,
                    .y_stride = y_stride,
                    .add = add,
                    .float_out = float_out});
  }
}

void Inference::multiply_many(Workspace& workspace, const Rows& x, const Product& p, const void* xa,
                              int xa_stride) {
  // LoRA's part comes first and the frozen product is added to it, as in training; onto a residual,
  // beside it.
  Rows y = p.y;
  const bool beside = p.residual && p.lora.b != nullptr;
  if (beside) {
    y.stride = y.width;
    y.data = workspace.scratch(Workspace::Scratch::beside,
                               static_cast<size_t>(x.rows) * static_cast<size_t>(y.width) * 2);
  }
  bool add = p.residual && !beside;
  if (p.bias != nullptr) {
    const auto f = queue_.function(Source::inference, add ? "add_to_rows" : "fill_rows");
    queue_.launch(f, {.blocks_x = x.rows}, address(*p.bias), y.data, y.width, y.stride);
    add = true;
  }
  if (p.lora.b != nullptr) {
    blas_.multiply({.x = static_cast<const char*>(xa) + p.lora.first * 2,
                    .w = p.lora.b,
                    .y = y.data,
                    .rows = x.rows,
                    .n = y.width,
                    .k = p.lora.rank,
                    .x_stride = xa_stride,
                    .w_stride = p.lora.rank,
                    .y_stride = y.stride,
                    .add = add});
    add = true;
  }
  multiply_dense(workspace, x, *p.weight, y.data, y.stride, add, false);
  if (beside)
    queue_.launch(queue_.function(Source::inference, "add_rows"), {.blocks_x = x.rows}, y.data,
                  p.y.data, y.width, p.y.stride);
}

void Inference::make_normed(Input& in) {
  if (in.norm == nullptr) return;
  norm(in.x, *in.norm, in.eps, in.normed);
  in = {.x = in.normed};
}

// x A [rows, ranks], in float32 for the kernel of few rows, else in bfloat16.
void* Inference::lora_inner(Workspace& workspace, Input& in, const LoraInputs& lora, bool few) {
  if (lora.a == nullptr) return nullptr;
  make_normed(in);
  const Rows& x = in.x;
  void* xa = workspace.scratch(Workspace::Scratch::lora,
                               static_cast<size_t>(x.rows) * static_cast<size_t>(lora.ranks) * 4);
  if (few)
    queue_.launch(queue_.function(Source::products, "lora_inner"),
                  {.blocks_x = blocks_for(int64_t{x.rows} * lora.ranks, 8), .early = true}, x.data,
                  lora.a, xa, x.rows, x.width, x.stride, lora.ranks);
  else
    blas_.multiply({.x = x.data,
                    .w = lora.a,
                    .y = xa,
                    .rows = x.rows,
                    .n = lora.ranks,
                    .k = x.width,
                    .x_stride = x.stride,
                    .w_stride = x.width,
                    .y_stride = lora.ranks});
  return xa;
}

void Inference::products(Workspace& workspace, Input in, std::span<const Product> products,
                         const LoraInputs& lora) {
  std::vector<const Product*> rest;
  for (const Product& p : products) rest.push_back(&p);
  if (in.x.rows <= kFewRows && std::any_of(products.begin(), products.end(), [](const Product& p) {
        return has_kernel(*p.weight);
      })) {
    const auto* xa = static_cast<float*>(lora_inner(workspace, in, lora, true));
    const Few how{.xa = xa, .xa_stride = lora.ranks};
    if (multiply_few(workspace, in, products, how)) return;
    std::erase_if(rest, [&](const Product* p) { return multiply_few(workspace, in, {p, 1}, how); });
    if (rest.empty()) return;
  }
  make_normed(in);
  const void* xa = lora_inner(workspace, in, lora, false);
  for (const Product* p : rest) multiply_many(workspace, in.x, *p, xa, lora.ranks);
}

void Inference::gated(Workspace& workspace, Input in, const Product& gate, const Product& up,
                      const LoraInputs& lora, const Rows& out) {
  const Product both[] = {gate, up};
  if (in.x.rows <= kFewRows && has_kernel(*gate.weight) && has_kernel(*up.weight) &&
      alike(*gate.weight, *up.weight)) {
    const auto* xa = static_cast<float*>(lora_inner(workspace, in, lora, true));
    multiply_few(workspace, in, both, {.xa = xa, .xa_stride = lora.ranks, .out = &out});
    return;
  }
  products(workspace, in, both, lora);
  swiglu(gate.y, up.y, out);
}

void Inference::logits(Workspace& workspace, Input in, const Weight& head, float* logits) {
  const int vocab = head.out_features(), rows = in.x.rows;
  if (!has_kernel(head)) {
    make_normed(in);
    return multiply_dense(workspace, in.x, head, logits, vocab, false, true);
  }
  if (rows > kFewRows) make_normed(in);
  for (int begin = 0; begin < rows; begin += kFewRows) {
    Input part = in;
    part.x.rows = std::min(kFewRows, rows - begin);
    part.x.data = static_cast<char*>(in.x.data) + int64_t{begin} * in.x.stride * 2;
    const Product p{.weight = &head, .y = {nullptr, part.x.rows, vocab, vocab}};
    multiply_few(workspace, part, {&p, 1}, {.float_out = logits + int64_t{begin} * vocab});
  }
}

}  // namespace gavel::cuda
