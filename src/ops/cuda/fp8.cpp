#include "ops/cuda/fp8.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <map>
#include <mutex>
#include <tuple>

#include "base/error.h"
#include "mlx/primitives.h"
#include "ops/cuda/blas_lt.h"
#include "ops/cuda/find_function.h"
#include "ops/cuda/program.h"
#include "ops/cuda/queue.h"

namespace gavel::cuda {
namespace {

// Of MLX's CUDA library (mlx/backend/cuda/device.h), found in the process: the CPU's libmlx, which
// gavel is linked with, comes without them.
struct MlxEncoder {
  void* (*get)(mx::Stream);  // a reference to the stream's encoder
  void (*set_input)(void* encoder, const mx::array&);
  void (*set_output)(void* encoder, const mx::array&);
  void (*add_graph)(void* encoder, void* graph);
};

const MlxEncoder& mlx_encoder() {
  static const MlxEncoder found = [] {
    const auto get = [&](auto& function, const char* name) {
      find_function(RTLD_DEFAULT, "this version of MLX's CUDA library", function, name);
    };
    MlxEncoder e;
    get(e.get, "_ZN3mlx4core2cu19get_command_encoderENS0_6StreamE");
    get(e.set_input, "_ZN3mlx4core2cu14CommandEncoder15set_input_arrayERKNS0_5arrayE");
    get(e.set_output, "_ZN3mlx4core2cu14CommandEncoder16set_output_arrayERKNS0_5arrayE");
    get(e.add_graph, "_ZN3mlx4core2cu14CommandEncoder14add_graph_nodeEP10CUgraph_st");
    return e;
  }();
  return found;
}

// cuBLASLt's side, once in a process: products are captured on a stream of their own and given to
// MLX as a graph. Sums are float32's throughout: the tensor cores' own, of 14 bits, are 7% faster
// and move the loss ten times as far from bfloat16's.
class Products {
 public:
  Products() {
    address(device_memory(1));  // so that it is known how MLX keeps arrays
    check_blas(blas_lt().create(&handle_), "to start");
  }

  // y[m, n] (+)= x[m, k] w[n, k]^T; the caller frees the graph.
  void* graph_of(const void* x, const void* x_scales, const void* w, const void* w_scales, void* y,
                 int m, int n, int k, bool add) {
    const std::lock_guard lock(mutex_);
    const auto set_scales = [&](void* product) {
      constexpr int kScaleOfA = 17, kScaleOfB = 18, kModeOfA = 31, kModeOfB = 32;
      constexpr int kScaleOfEachRow = 3;  // CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F
      for (const auto& [attribute, pointer] :
           {std::pair(kScaleOfA, w_scales), {kScaleOfB, x_scales}})
        check_blas(blas_lt().set_product(product, attribute, &pointer, sizeof(pointer)),
                   "to take scales");
      for (const int attribute : {kModeOfA, kModeOfB})
        check_blas(blas_lt().set_product(product, attribute, &kScaleOfEachRow, sizeof(int)),
                   "to take a scale for each row");
    };
    constexpr size_t kKept = 4096;  // the numbers of rows vary
    if (plans_.size() >= kKept) plans_.clear();
    auto& plan = plans_[{m, n, k}];
    if (!plan)
      plan = std::make_unique<BlasLtPlan>(handle_, BlasLtPlan::Shape{.n = n,
                                                                     .m = m,
                                                                     .k = k,
                                                                     .a_stride = k,
                                                                     .b_stride = k,
                                                                     .y_stride = n,
                                                                     .in = kBlasE4m3,
                                                                     .out = kBlasBfloat16,
                                                                     .a = w,
                                                                     .b = x,
                                                                     .y = y,
                                                                     .workspace = 0,
                                                                     .attributes = set_scales});
    set_scales(plan->product());
    return queue_.captured([&] { plan->run(handle_, w, x, y, add, nullptr, 0, queue_.stream()); });
  }

 private:
  std::mutex mutex_;
  Queue queue_;
  void* handle_ = nullptr;
  std::map<std::tuple<int, int, int>, std::unique_ptr<BlasLtPlan>> plans_;
};

Products& products() {
  static auto* made = new Products;  // not destroyed: the card may be gone by then
  return *made;
}

// {x, its scales, w, its scales, y as it is before}: y takes over the last one's memory, which MLX
// gives to a kernel's result alone.
class Fp8Product : public mx::Primitive {
 public:
  Fp8Product(mx::Stream stream, bool add) : Primitive(stream), add_(add) {}

  void eval_cpu(const Arrays&, Arrays&) override { fail("8-bit floating point needs a GPU"); }
  void eval_gpu(const Arrays& inputs, Arrays& outputs) override {
    for (const auto& a : inputs)
      if (!a.flags().row_contiguous) fail("a product in 8-bit floating point needs whole rows");
    outputs[0].copy_shared_buffer(inputs[4]);
    const MlxEncoder& mlx = mlx_encoder();
    void* encoder = mlx.get(stream());
    for (const auto& a : inputs) mlx.set_input(encoder, a);
    mlx.set_output(encoder, outputs[0]);
    void* graph = products().graph_of(address(inputs[0]), address(inputs[1]), address(inputs[2]),
                                      address(inputs[3]), address(outputs[0]), inputs[0].shape(0),
                                      inputs[2].shape(0), inputs[0].shape(1), add_);
    mlx.add_graph(encoder, graph);
    Queue::free_graph(graph);
  }
  const char* name() const override { return "Fp8Product"; }

 private:
  bool add_;
};

mx::array unwritten(const mx::Shape& shape) {
  return launch(kernel(Source::inference, "leave_as_it_is"), {.threads = 1}, {mx::array(0)},
                {shape}, {mx::bfloat16}, {})[0];
}

std::string of_weight(const char* name, const Weight& w) {
  return fmt::format("{}<{}, {}>", name, w.bits, type_name(w.scales->dtype()));
}

constexpr int kRowChunk = 2048;  // values of a row that a block takes at once
constexpr int kLongestRow = 16 * kRowChunk;

Fp8Rows rows_of(const char* name, const Arrays& inputs) {
  const int rows = inputs[0].shape(0), dim = inputs[0].shape(1);
  const auto made =
      launch(kernel(Source::fp8, fmt::format("{}<{}>", name, blocks_for(dim, kRowChunk))),
             {.blocks_x = rows}, inputs, {{rows, dim}, {rows}}, {mx::uint8, mx::float32}, {dim});
  return {made[0], made[1]};
}

}  // namespace

bool fits_fp8(const Weight& w) {
  const auto fits = [](int side) { return side % 64 == 0 && side <= kLongestRow; };
  return w.quantized() && w.group_size % 16 == 0 && fits(w.out_features()) && fits(w.in_features());
}

Fp8Scales fp8_scales(const Weight& w) {
  const int n = w.out_features(), k = w.in_features();
  const auto rows =
      launch(kernel(Source::fp8, of_weight("weight_scales", w)), {.blocks_x = blocks_for(n, 8)},
             {*w.scales, *w.biases}, {{n}}, {mx::float32}, {n, k / w.group_size})[0];
  const auto columns = mx::contiguous(mx::broadcast_to(mx::max(rows), {k}));
  mx::eval(rows, columns);
  return {rows, columns};
}

bool in_fp8(const Weight& w, int rows) { return w.fp8 && rows >= 16; }

Fp8Rows fp8_rows(const mx::array& x) { return rows_of("quantize_rows", {x}); }

Fp8Rows fp8_swiglu(const mx::array& gate, const mx::array& up) {
  return rows_of("quantize_swiglu", {gate, up});
}

Fp8Rows fp8_weight(const Weight& w) {
  const int n = w.out_features(), k = w.in_features();
  return {launch(kernel(Source::fp8, of_weight("weight_to_fp8", w)), {.blocks_x = blocks_for(n, 4)},
                 {w.data, *w.scales, *w.biases, w.fp8->rows}, {{n, k}}, {mx::uint8},
                 {n, k, w.group_size})[0],
          w.fp8->rows};
}

Fp8Rows fp8_weight_transposed(const Weight& w) {
  const int n = w.out_features(), k = w.in_features();
  return {launch(kernel(Source::fp8, of_weight("weight_to_fp8_transposed", w)),
                 {.blocks_x = blocks_for(k, 128), .blocks_y = blocks_for(n, 128)},
                 {w.data, *w.scales, *w.biases, w.fp8->columns}, {{k, n}}, {mx::uint8},
                 {n, k, w.group_size})[0],
          w.fp8->columns};
}

mx::array fp8_product(const Fp8Rows& x, const Fp8Rows& w, const std::optional<mx::array>& add) {
  const mx::Shape shape{x.values.shape(0), w.values.shape(0)};
  products();  // made now and not in the graph, since it evaluates arrays itself
  const auto before = add ? *add : unwritten(shape);
  const auto stream = mx::default_stream(mx::Device(mx::Device::gpu));
  return mx::array(shape, mx::bfloat16, std::make_shared<Fp8Product>(stream, add.has_value()),
                   Arrays{x.values, x.scales, w.values, w.scales, before});
}

}  // namespace gavel::cuda
