// gavel fuse, convert, export and models.
#include <memory>

#include "commands.h"
#include "export/run.h"
#include "options.h"

namespace gavel {
namespace {

constexpr const char* kDtypeHelp = "type of dense numbers: float32, float16 or bfloat16";

void add_adapters(CLI::App& c, std::vector<std::string>& adapters) {
  c.add_option("--adapter-path,--adapter", adapters,
               "adapter directory (mlx_lm's or PEFT's), with a weight where several are stacked: "
               "--adapter a=0.7 --adapter b=0.3");
}

}  // namespace

void add_fuse_command(CLI::App& app) {
  auto* c = app.add_subcommand("fuse", "merge adapters into the weights of a model");
  auto r = std::make_shared<FuseRequest>();
  add_model_option(*c, r->model);
  add_adapters(*c, r->adapters);
  c->add_option("--save-path", r->save_path,
                "directory to write: new, empty, or written by gavel before")
      ->capture_default_str();
  c->add_flag("-d,--dequantize,--de-quantize", r->dequantize,
              "write dense weights; otherwise quantized ones are quantized again");
  c->add_option("--dtype", r->dtype, std::string(kDtypeHelp) + " (implies --dequantize)");
  c->add_option("--text", r->text, "text that logits of fused and unfused are compared on");
  add_json_flag(*c, r->json, "the report as JSON");
  c->footer(
      "Examples:\n"
      "  gavel fuse --model models/SmolLM2-135M-Instruct.Q4_1.gguf --adapter-path judge \\\n"
      "    --dtype bfloat16 --save-path judge-fused\n"
      "  gavel fuse --model M --adapter judge=0.7 --adapter style=0.3");
  c->callback([r] { run_fuse(*r); });
}

void add_convert_command(CLI::App& app) {
  auto* c = app.add_subcommand("convert", "write a model as an MLX directory, quantized or dense");
  auto r = std::make_shared<ConvertRequest>();
  auto& o = r->options;
  add_model_option(*c, r->model, "--model,--hf-path");
  c->add_option("--mlx-path", r->mlx_path,
                "directory to write: new, empty, or written by gavel before")
      ->capture_default_str();
  c->add_flag("-q,--quantize", r->quantize, "quantize the matrices (MLX affine)");
  c->add_option("--q-bits", o.base.bits, "bits a weight: 2, 3, 4, 5, 6 or 8")
      ->capture_default_str();
  c->add_option("--q-group-size", o.base.group_size, "weights a scale: 32, 64 or 128")
      ->capture_default_str();
  c->add_option("--quant-predicate", o.recipe,
                "mixed bits: mixed_2_6, mixed_3_4, mixed_3_6 or mixed_4_6");
  c->add_option("--q-rule", r->rules,
                "PATTERN=BITS, PATTERN=BITS:GROUP or PATTERN=none for modules whose path matches "
                "(regular expression); the last that matches counts");
  c->add_option("--dtype", r->dtype,
                std::string(kDtypeHelp) + "; default: config.json's torch_dtype, else as they are");
  c->add_flag("-d,--dequantize", r->dequantize, "write dense weights");
  c->add_option("--text", r->text_file, "text file: report perplexity before and after");
  add_json_flag(*c, r->json, "the report as JSON");
  c->footer(
      "Examples:\n"
      "  gavel convert --model org/name -q --q-bits 4 --mlx-path name-4bit\n"
      "  gavel convert --model M -q --q-bits 3 --q-rule 'down_proj|v_proj=6' --q-rule "
      "lm_head=none\n"
      "  gavel convert --model m.gguf --dequantize --dtype bfloat16 --text sample.txt");
  c->callback([r] { run_convert(*r); });
}

void add_export_command(CLI::App& app) {
  auto* c = app.add_subcommand("export", "write a model or an adapter for other programs");
  auto r = std::make_shared<ExportRequest>();
  add_model_option(*c, r->model);
  add_adapters(*c, r->adapters);
  c->add_option("--gguf", r->gguf, "GGUF file to write (adapters are fused into it)");
  c->add_option("--type", r->type,
                "of the GGUF's matrices: auto (as they are), F32, F16, BF16, Q8_0, Q4_0 or Q4_1")
      ->capture_default_str();
  c->add_option("--split-max-size", r->split_max_size,
                "split the GGUF into parts of at most so much, as in 2G or 500M: FILE.gguf becomes "
                "FILE-00001-of-0000N.gguf and so on");
  c->add_option("--gguf-lora", r->gguf_lora, "llama.cpp LoRA file to write: the adapter alone");
  c->add_option("--peft", r->peft, "PEFT adapter directory to write");
  c->footer(
      "Examples:\n"
      "  gavel export --model M --adapter-path judge --gguf judge-q8_0.gguf --type Q8_0\n"
      "  gavel export --model M --adapter-path judge --gguf-lora judge-lora.gguf --peft "
      "judge-peft");
  c->callback([r] { run_export(*r); });
}

void add_models_command(CLI::App& app) {
  auto* c = app.add_subcommand("models", "list the models in the Hugging Face cache");
  auto json = std::make_shared<bool>(false);
  add_json_flag(*c, *json, "the list as JSON");
  c->footer(
      "A model is found or downloaded by its name wherever --model is taken: org/name,\n"
      "org/name@revision, org/name/file.gguf. HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_ENDPOINT and\n"
      "HF_HUB_OFFLINE are honoured.\nExample:\n  gavel models --json");
  c->callback([json] { run_models(*json); });
}

}  // namespace gavel
