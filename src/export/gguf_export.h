// A model as a GGUF file that llama.cpp loads, and an adapter as one that it applies.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "adapter/lora.h"
#include "model/weights.h"

namespace gavel {

// "auto" keeps every matrix as it is: dense ones in their own type, quantized ones in the blocks
// that say the same. A block type applies to matrices whose rows divide into blocks; norms, biases
// and what is quantized finer (embeddings of 8 bits in a Q4 file) keep their own.
enum class GgufKind { automatic, f32, f16, bf16, q8_0, q4_0, q4_1 };
std::optional<GgufKind> parse_gguf_kind(const std::string& text);  // "auto", "F16", ...

struct GgufExportReport {
  std::vector<std::filesystem::path> files;  // one, or the parts of a split model
  uint64_t bytes = 0;                        // of all of them
  int64_t weights = 0;                       // values in matrices
  int lossless = 0;     // matrices whose quantized groups were carried over exactly
  int requantized = 0;  // quantized matrices that are now other blocks, or dense
};

// Writes `model` with its tokenizer, chat template and everything llama.cpp asks for; split into
// parts where part_bytes is not 0 (see GgufWriter::write). Throws Error where the tokenizer or the
// shape of a matrix has no place in GGUF, or a file to write is one of those that `model` is read
// from.
GgufExportReport export_gguf(const LoadedModel& model, GgufKind kind,
                             const std::filesystem::path& path, uint64_t part_bytes = 0);

// "2G", "500M" (powers of 1000, as llama.cpp's gguf-split takes them), or bytes.
std::optional<uint64_t> parse_part_size(const std::string& text);

// Writes the adapter alone, in F32, for llama.cpp's --lora beside the base model's GGUF.
void export_gguf_lora(const ModelConfig& config, const Adapter& adapter,
                      const std::filesystem::path& path);

}  // namespace gavel
