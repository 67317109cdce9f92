#include "model/mx_formats.h"

#include <array>
#include <atomic>
#include <cmath>

#include "base/error.h"
#include "base/half.h"
#include "base/threads.h"
#include "mlx/allocator.h"
#include "model/packing.h"

namespace gavel {
namespace mx = mlx::core;
namespace {

constexpr int kAbsurd = 253;  // from here on 6 times the scale, 2^(byte - 127), is no float

// Twice the values of E2M1's codes.
constexpr std::array<int, 16> kTwiceE2m1{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

float e4m3(uint8_t code) {
  const int exponent = (code >> 3) & 15, mantissa = code & 7;
  if (exponent == 15 && mantissa == 7) return std::nanf("");
  const float magnitude = exponent == 0
                              ? std::ldexp(static_cast<float>(mantissa), -9)
                              : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
  return code & 0x80 ? -magnitude : magnitude;
}

mx::array new_array(mx::Shape shape, mx::Dtype dtype) {
  size_t bytes = mx::size_of(dtype);
  for (const auto n : shape) bytes *= static_cast<size_t>(n);
  return mx::array(mx::allocator::malloc(bytes), std::move(shape), dtype);
}

Weight affine_of_mxfp4(const mx::array& packed, const mx::array& scales) {
  const int rows = scales.shape(0), groups = scales.shape(1);
  Weight w{new_array({rows, groups * 5}, mx::uint32), new_array({rows, groups}, mx::bfloat16),
           new_array({rows, groups}, mx::bfloat16), 32, 5};
  const auto* from = reinterpret_cast<const uint8_t*>(packed.data<uint32_t>());
  const auto* codes = scales.data<uint8_t>();
  auto* to = reinterpret_cast<uint8_t*>(w.data.data<uint32_t>());
  auto* scale = reinterpret_cast<uint16_t*>(w.scales->data<mx::bfloat16_t>());
  auto* bias = reinterpret_cast<uint16_t*>(w.biases->data<mx::bfloat16_t>());
  parallel_for_dynamic(int64_t{rows} * groups, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      uint8_t values[32];
      for (int i = 0; i < 32; ++i) {
        const int code = (from[16 * g + i / 2] >> (4 * (i % 2))) & 15;
        values[i] = static_cast<uint8_t>(kTwiceE2m1[static_cast<size_t>(code)] + 12);
      }
      pack_five_bits(values, to + 20 * g);
      scale[g] = f32_to_bf16(std::ldexp(1.0f, codes[g] - 128));
      bias[g] = f32_to_bf16(-12.0f * std::ldexp(1.0f, codes[g] - 128));
    }
  });
  return w;
}

// scale_of: the 256 scales; value_of: the values of the codes, 16 or 256 of them.
mx::array dense(const mx::array& packed, const mx::array& scales, const Quantization& q,
                const std::array<float, 256>& scale_of, const std::array<float, 256>& value_of) {
  const int rows = scales.shape(0), groups = scales.shape(1);
  mx::array out = new_array({rows, groups * q.group_size}, mx::bfloat16);
  const auto* from = reinterpret_cast<const uint8_t*>(packed.data<uint32_t>());
  const auto* codes = scales.data<uint8_t>();
  auto* to = reinterpret_cast<uint16_t*>(out.data<mx::bfloat16_t>());
  parallel_for_dynamic(int64_t{rows} * groups, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      const float scale = scale_of[codes[g]];
      for (int64_t i = g * q.group_size; i < (g + 1) * q.group_size; ++i) {
        const int code = q.bits == 8 ? from[i] : (from[i / 2] >> (4 * (i % 2))) & 15;
        to[i] = f32_to_bf16(scale * value_of[static_cast<size_t>(code)]);
      }
    }
  });
  return out;
}

}  // namespace

Weight read_mx_weight(const mx::array& packed, const mx::array& scales, const Quantization& q,
                      const std::string& name) {
  const bool powers = q.mode != QuantizationMode::nvfp4;
  const auto* codes = scales.data<uint8_t>();
  for (size_t i = 0; i < scales.size(); ++i)
    if (powers ? codes[i] >= kAbsurd : (codes[i] & 0x7f) == 0x7f)
      fail("{}: a scale is {:#04x}, which is no number that makes sense", name, codes[i]);
  if (q.mode == QuantizationMode::mxfp4) return affine_of_mxfp4(packed, scales);
  std::array<float, 256> scale_of{}, value_of{};
  for (size_t c = 0; c < 256; ++c) {
    const auto code = static_cast<uint8_t>(c);
    scale_of[c] = powers ? std::ldexp(1.0f, static_cast<int>(c) - 127) : e4m3(code);
    value_of[c] = q.bits == 8 ? e4m3(code) : static_cast<float>(kTwiceE2m1[c % 16]) / 2;
  }
  return {dense(packed, scales, q, scale_of, value_of), std::nullopt, std::nullopt, 0, 0};
}

}  // namespace gavel
