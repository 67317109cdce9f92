// The table of one instruction set: the including file defines GAVEL_SIMD_TABLE and _NAME.
#include "ops/cpu/attention.inl.h"
#include "ops/cpu/dot_rows.inl.h"
#include "ops/cpu/elementwise.inl.h"
#include "ops/cpu/few_rows.inl.h"
#include "ops/cpu/packing.inl.h"
#include "ops/cpu/tiles.inl.h"
#include "ops/cpu/tiles_integer.inl.h"

namespace gavel::kernels {

const Simd GAVEL_SIMD_TABLE = {
    .name = GAVEL_SIMD_NAME,
    .panel = kPanel,
    .tile_rows = kTileRows,
    .tile_f32 = tile_f32,
    .tile_f32_half = tile_f32_half,
#if defined(__AVX2__)
    .max_strips = kMaxStrips,
    .tile_i16 = tile_i16,
    .quantize_i16 = quantize_i16,
    .most_i8_bits = kWidth == 16 ? 8 : 4,
    .tile_i8 = tile_i8,
    .quantize_i8 = quantize_i8,
    .multiply_i16 = multiply_i16,
#endif
    .pack_forward = pack_forward,
    .pack_forward_i8 = pack_forward_i8,
    .pack_forward_f32 = pack_forward_f32,
    .pack_backward = pack_backward,
    .pack_backward_f32 = pack_backward_f32,
    .transpose = transpose,
    .convert_scalars = convert_scalars,
    .store_tile = store_tile,
#if defined(__AVX2__)
    .few_sizes = few_sizes,
    .few_quantize = few_quantize,
    .few_scratch = few_scratch,
    .few_multiply = few_multiply,
#endif
    .dot_rows = dot_rows,
    .attention_scratch = attention_scratch,
    .attention_block = attention_block,
    .attention_few = attention_few,
    .attention_gradient_scratch = attention_gradient_scratch,
    .attention_gradient = attention_gradient,
    .rms_norm_rows = rms_norm_rows,
    .rms_norm_backward_rows = rms_norm_backward_rows,
    .rope_row = rope_row,
    .swiglu_range = swiglu_range,
    .swiglu_backward_range = swiglu_backward_range,
    .adamw_range = adamw_range,
    .to_halves_range = to_halves_range,
    .scale_range = scale_range,
    .softmax_terms = softmax_terms,
};

}  // namespace gavel::kernels
