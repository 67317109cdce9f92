#include "ops/fused.h"

#include <atomic>
#include <cstring>
#include <exception>
#include <memory>
#include <utility>

#include "base/error.h"
#include "mlx/backend/cpu/encoder.h"
#include "mlx/primitives.h"

namespace gavel {
namespace {

// Above this size an operation is waited for before the next one is prepared. MLX frees a buffer
// only when its last reader has been prepared, so running far ahead would raise the peak of memory.
constexpr size_t kWaitBytes = size_t{1} << 20;

// Copies `from`, of any strides, to the row-contiguous memory of `to`.
void strided_copy(const mx::array& from, mx::array& to) {
  const size_t item = from.itemsize();
  const int ndim = static_cast<int>(from.ndim());
  const char* source = from.data<char>();
  char* target = to.data<char>();
  std::vector<int> index(static_cast<size_t>(ndim), 0);
  int64_t offset = 0;
  for (size_t i = 0; i < from.size(); ++i) {
    std::memcpy(target + i * item, source + offset * static_cast<int64_t>(item), item);
    for (int d = ndim - 1; d >= 0; --d) {
      offset += from.strides()[d];
      if (++index[static_cast<size_t>(d)] < from.shape(d)) break;
      offset -= from.strides()[d] * from.shape(d);
      index[static_cast<size_t>(d)] = 0;
    }
  }
}

class Fused : public mx::Primitive {
 public:
  Fused(mx::Stream stream, FusedSpec spec) : Primitive(stream), spec_(std::move(spec)) {}

  void eval_cpu(const Arrays& inputs, Arrays& outputs) override {
    auto& encoder = mx::cpu::get_command_encoder(stream());
    Arrays in, out;
    size_t bytes = 0;
    for (size_t i = 0; i < outputs.size(); ++i) {
      auto& o = outputs[i];
      const bool take = i == 0 && spec_.donate >= 0;
      if (take && can_take(inputs[static_cast<size_t>(spec_.donate)], o))
        o.copy_shared_buffer(inputs[static_cast<size_t>(spec_.donate)]);
      else
        o.set_data(mx::allocator::malloc(o.nbytes()));
      bytes += o.nbytes();
      out.push_back(mx::array::unsafe_weak_copy(o));
    }
    for (const auto& a : inputs) {
      if (a.flags().row_contiguous) {
        in.push_back(mx::array::unsafe_weak_copy(a));
        continue;
      }
      mx::array copy(a.shape(), a.dtype(), nullptr, {});
      copy.set_data(mx::allocator::malloc(copy.nbytes()));
      in.push_back(mx::array::unsafe_weak_copy(copy));
      encoder.add_temporary(copy);
      encoder.dispatch([from = mx::array::unsafe_weak_copy(a), to = in.back()]() mutable {
        strided_copy(from, to);
      });
    }
    auto work = [cpu = spec_.cpu, in = std::move(in), out = std::move(out)]() mutable {
      cpu(in, out);
    };
    if (bytes < kWaitBytes) {
      encoder.dispatch(std::move(work));
      return;
    }
    auto done = std::make_shared<std::atomic<int>>(0);
    std::exception_ptr error;
    encoder.dispatch([work = std::move(work), done, &error]() mutable {
      try {
        work();
      } catch (...) {
        error = std::current_exception();
      }
      done->store(1, std::memory_order_release);
      done->notify_one();
    });
    done->wait(0, std::memory_order_acquire);
    if (error) std::rethrow_exception(error);
  }

  void eval_gpu(const Arrays&, Arrays&) override {
    fail("[{}] is an operation of the CPU and was asked for on the GPU", spec_.name);
  }

  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const std::vector<int>& argnums,
             const Arrays& outputs) override {
    if (!spec_.vjp) fail("[{}] has no gradient", spec_.name);
    return spec_.vjp(primals, cotangents, argnums, outputs);
  }

  const char* name() const override { return spec_.name; }

 private:
  static bool can_take(const mx::array& in, const mx::array& out) {
    return in.is_donatable() && in.flags().row_contiguous && in.nbytes() == out.nbytes() &&
           in.itemsize() == out.itemsize();
  }

  FusedSpec spec_;
};

}  // namespace

Arrays fused(FusedSpec spec, Arrays inputs, std::vector<mx::Shape> shapes,
             const std::vector<mx::Dtype>& dtypes) {
  auto primitive = std::make_shared<Fused>(mx::default_stream(mx::Device::cpu), std::move(spec));
  return mx::array::make_arrays(std::move(shapes), dtypes, primitive, inputs);
}

mx::array fused(FusedSpec spec, Arrays inputs, mx::Shape shape) {
  return fused(std::move(spec), std::move(inputs), {std::move(shape)}, {mx::float32})[0];
}

}  // namespace gavel
