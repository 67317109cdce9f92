// The commands fuse, convert, export and models, as the command line calls them. Results are
// printed on stdout, progress on stderr.
#pragma once

#include <string>
#include <vector>

#include "export/quantize.h"

namespace gavel {

struct FuseRequest {
  std::string model;
  // Directories, each with an optional weight: "judge", "judge=0.7".
  std::vector<std::string> adapters;
  std::string save_path = "fused_model";
  bool dequantize = false;
  std::string dtype;  // "" (as it is), "float32", "float16", "bfloat16"
  std::string text;   // that the logits of fused and unfused are compared on; "": a built-in one
  bool json = false;
};
void run_fuse(const FuseRequest& request);

struct ConvertRequest {
  std::string model;
  std::string mlx_path = "mlx_model";
  bool quantize = false;
  bool dequantize = false;
  QuantizeOptions options;
  std::vector<std::string> rules;  // see parse_quantize_rule
  std::string dtype;               // as in FuseRequest
  std::string text_file;           // whose perplexity is measured before and after; "": none
  bool json = false;
};
void run_convert(ConvertRequest request);

struct ExportRequest {
  std::string model;
  std::vector<std::string> adapters;  // fused for `gguf`; alone for `gguf_lora` and `peft`
  std::string gguf;                   // file to write, or ""
  std::string split_max_size;         // of its parts, see parse_part_size; "": one file
  std::string type = "auto";          // see parse_gguf_kind
  std::string gguf_lora;
  std::string peft;
};
void run_export(const ExportRequest& request);

// Lists the models in the Hugging Face cache.
void run_models(bool json);

}  // namespace gavel
