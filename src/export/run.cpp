#include "export/run.h"

#include <spdlog/spdlog.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "adapter/lora.h"
#include "base/error.h"
#include "base/file.h"
#include "export/directory.h"
#include "export/fuse.h"
#include "export/gguf_export.h"
#include "hub/hub.h"
#include "model/transformer.h"

namespace gavel {
namespace fs = std::filesystem;
namespace mx = mlx::core;
using nlohmann::ordered_json;
namespace {

constexpr const char* kCompareText =
    "Compare two answers to the question \"Why is the sky blue?\" and say which is better.\n"
    "Answer A: Air scatters short wavelengths of sunlight more than long ones.\n"
    "Answer B: The sky mirrors the oceans, and these are blue.\n";

std::optional<mx::Dtype> parse_dtype(const std::string& text) {
  if (text.empty()) return std::nullopt;
  if (const auto dtype = find_dtype(text)) return dtype;
  throw UsageError(
      fmt::format("unknown dtype \"{}\": float32, float16 and bfloat16 are known", text));
}

// "path" or "path=0.7". A path that exists as it is wins.
std::pair<std::string, float> split_weight(const std::string& text) {
  const size_t equals = text.rfind('=');
  if (equals == std::string::npos || fs::exists(text)) return {text, 1.0f};
  float weight = 0.0f;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data() + equals + 1, end, weight);
  if (result.ec != std::errc() || result.ptr != end)
    throw UsageError(fmt::format("\"{}\": write the adapter's weight as in judge=0.7", text));
  return {text.substr(0, equals), weight};
}

Adapter read_adapters(const Model& model, const std::vector<std::string>& names) {
  if (names.empty()) throw UsageError("give an adapter with --adapter-path");
  std::vector<WeightedAdapter> adapters;
  for (const std::string& name : names) {
    const auto [path, weight] = split_weight(name);
    adapters.push_back({load_adapter(model, path), weight});
  }
  if (adapters.size() == 1 && adapters[0].weight == 1.0f) return adapters[0].adapter;
  return stack(adapters);
}

// A file to write, which must not be the model that is read, nor lie in a folder that is missing.
void check_file_target(const std::string& file, const fs::path& model) {
  if (file.empty()) return;
  std::error_code ec;
  if (fs::is_directory(file, ec)) fail("{} is a directory: name a file to write", file);
  if (fs::exists(file, ec) && fs::equivalent(file, model, ec))
    fail("{} is the model itself: write to another file", file);
  const fs::path folder = fs::path(file).parent_path();
  if (!folder.empty() && !fs::is_directory(folder, ec))
    fail("the folder {} of the file to write does not exist", folder.string());
}

std::string size_text(uint64_t bytes) {
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

ordered_json to_json(const LogitComparison& c) {
  return {{"tokens", c.tokens},
          {"largest_difference", c.largest},
          {"root_mean_square", c.root_mean_square},
          {"same_top_token", c.same_top},
          {"kl", c.kl}};
}

// Of a model whose quantized matrices were rounded anew after an adapter was added to them.
void warn_if_far(const LogitComparison& c, const std::string& made, const char* what_keeps) {
  constexpr double kFar = 0.05;  // KL
  if (c.kl > kFar)
    spdlog::warn(
        "the fused model is far from base and adapter (KL {:.2g}), since quantized matrices are "
        "rounded anew; {} what was learned, and gavel eval --exported {} says what it comes to",
        c.kl, what_keeps, made);
}

}  // namespace

void run_fuse(const FuseRequest& r) {
  const auto dtype = parse_dtype(r.dtype);
  check_model_target(r.save_path);
  LoadedModel loaded = load_model(resolve_model(r.model));
  const Model base = make_model(loaded);
  const Adapter adapter = read_adapters(base, r.adapters);
  const bool dense = r.dequantize || dtype;
  if (dtype) cast_model(loaded, *dtype);
  fuse_adapter(loaded, adapter, dense);
  if (dense) dequantize_model(loaded);
  std::optional<LogitComparison> c;
  if (loaded.tokenizer) {
    const ModelLora lora = bind(base, adapter);
    const auto ids = loaded.tokenizer->encode(r.text.empty() ? kCompareText : r.text);
    c = compare_logits(base, &lora, make_model(loaded), ids);
  }
  write_model_directory(loaded, r.save_path);
  if (c && !dense) warn_if_far(*c, r.save_path, "--dequantize keeps");
  const SizeReport size = size_of(loaded);
  if (r.json) {
    ordered_json j{{"path", r.save_path},
                   {"bytes", size.bytes},
                   {"bits_per_weight", size.bits_per_weight},
                   {"matrices", adapter.matrices.size()}};
    if (c) j["logits"] = to_json(*c);
    fmt::print("{}\n", j.dump(2));
    return;
  }
  fmt::print("{}: {} matrices fused, {}, {:.3f} bits a weight\n", r.save_path,
             adapter.matrices.size(), size_text(size.bytes), size.bits_per_weight);
  if (c)
    fmt::print(
        "logits of fused against base + adapter, over {} tokens: largest difference {:.3g}, root "
        "mean square {:.3g}, same top token {:.1f} %, KL {:.3g}\n",
        c->tokens, c->largest, c->root_mean_square, 100.0 * c->same_top, c->kl);
}

void run_convert(ConvertRequest r) {
  if (r.quantize && r.dequantize)
    throw UsageError("--quantize and --dequantize exclude each other");
  auto dtype = parse_dtype(r.dtype);
  for (const std::string& rule : r.rules)
    r.options.rules.push_back(parse_quantize_rule(rule, r.options.base.group_size));
  check_model_target(r.mlx_path);
  LoadedModel model = load_model(resolve_model(r.model));
  if (!dtype) dtype = declared_dtype(model);
  const std::string text = r.text_file.empty() ? "" : read_file(r.text_file, size_t{64} << 20);
  const SizeReport before = size_of(model);
  const double ppl_before = text.empty() ? 0.0 : perplexity(model, text);
  if (dtype) cast_model(model, *dtype);
  if (r.dequantize) dequantize_model(model);
  if (r.quantize) quantize_model(model, r.options);
  const SizeReport after = size_of(model);
  const double ppl_after = text.empty() ? 0.0 : perplexity(model, text);
  write_model_directory(model, r.mlx_path);
  if (r.json) {
    const auto part = [&](const SizeReport& s, double ppl) {
      ordered_json j{{"bytes", s.bytes}, {"bits_per_weight", s.bits_per_weight}};
      if (!text.empty()) j["perplexity"] = ppl;
      return j;
    };
    const ordered_json j{{"path", r.mlx_path},
                         {"before", part(before, ppl_before)},
                         {"after", part(after, ppl_after)}};
    fmt::print("{}\n", j.dump(2));
    return;
  }
  fmt::print("{}\n{:8} {:>12} {:>14} {:>12}\n", r.mlx_path, "", "size", "bits a weight",
             text.empty() ? "" : "perplexity");
  for (const auto& [name, s, ppl] :
       {std::tuple{"before", before, ppl_before}, {"after", after, ppl_after}})
    fmt::print("{:8} {:>12} {:>14.3f} {:>12}\n", name, size_text(s.bytes), s.bits_per_weight,
               text.empty() ? "" : fmt::format("{:.4f}", ppl));
}

void run_export(const ExportRequest& r) {
  if (r.gguf.empty() && r.gguf_lora.empty() && r.peft.empty())
    throw UsageError("say what to write: --gguf FILE, --gguf-lora FILE or --peft DIRECTORY");
  const auto kind = parse_gguf_kind(r.type);
  if (!kind)
    throw UsageError(fmt::format(
        "unknown type \"{}\": auto, F32, F16, BF16, Q8_0, Q4_0 and Q4_1 are known", r.type));
  const auto part_bytes =
      r.split_max_size.empty() ? std::optional<uint64_t>(0) : parse_part_size(r.split_max_size);
  if (!part_bytes)
    throw UsageError(
        fmt::format("--split-max-size \"{}\": write a size as in 2G or 500M", r.split_max_size));
  if (!r.split_max_size.empty() && r.gguf.empty())
    throw UsageError("--split-max-size belongs to --gguf");
  if (!r.peft.empty()) check_peft_target(r.peft);
  const fs::path model = resolve_model(r.model);
  for (const std::string& file : {r.gguf, r.gguf_lora}) check_file_target(file, model);
  LoadedModel loaded = load_model(model);
  std::optional<Model> base;  // what the adapter belongs to
  std::optional<Adapter> adapter;
  if (!r.adapters.empty() || !r.gguf_lora.empty() || !r.peft.empty()) {
    base = make_model(loaded);
    adapter = read_adapters(*base, r.adapters);
  }
  if (!r.gguf_lora.empty()) {
    export_gguf_lora(loaded.config, *adapter, r.gguf_lora);
    fmt::print("{}: {} matrices, {}\n", r.gguf_lora, adapter->matrices.size(),
               size_text(fs::file_size(r.gguf_lora)));
  }
  if (!r.peft.empty()) {
    write_peft_adapter(*adapter, r.model, r.peft);
    fmt::print("{}: {} matrices\n", r.peft, adapter->matrices.size());
  }
  if (r.gguf.empty()) return;
  // Another type is made of the sum, not of what is left of it in the model's own.
  if (adapter) fuse_adapter(loaded, *adapter, *kind != GgufKind::automatic);
  const GgufExportReport report = export_gguf(loaded, *kind, r.gguf, *part_bytes);
  if (adapter && loaded.tokenizer) {
    const ModelLora lora = bind(*base, *adapter);
    const Model written = make_model(load_model(report.files.front()));
    warn_if_far(compare_logits(*base, &lora, written, loaded.tokenizer->encode(kCompareText)),
                report.files.front().string(), "--type Q8_0 or F16, or --gguf-lora, keeps");
  }
  std::string where = report.files.front().string();
  if (report.files.size() > 1)
    where += fmt::format(" ... {}", report.files.back().filename().string());
  fmt::print("{}: {}, {:.3f} bits a weight", where, size_text(report.bytes),
             static_cast<double>(report.bytes) * 8.0 / static_cast<double>(report.weights));
  if (report.lossless > 0)
    fmt::print(", {} quantized matrices carried over exactly", report.lossless);
  const bool blocks = *kind == GgufKind::q8_0 || *kind == GgufKind::q4_0 || *kind == GgufKind::q4_1;
  if (report.requantized > 0)
    fmt::print(", {} {}", report.requantized, blocks ? "quantized anew" : "dequantized");
  fmt::print("\n");
}

void run_models(bool json) {
  const HubOptions options = hub_options_from_environment();
  const auto models = list_cached_models(options);
  if (json) {
    ordered_json j = ordered_json::array();
    for (const CachedModel& m : models)
      j.push_back({{"name", m.repo},
                   {"commit", m.commit},
                   {"refs", m.refs},
                   {"family", m.family},
                   {"bytes", m.bytes},
                   {"complete", m.complete},
                   {"path", m.path.string()}});
    fmt::print("{}\n", j.dump(2));
    return;
  }
  if (models.empty()) fmt::print(stderr, "no models in {}\n", options.cache.string());
  for (const CachedModel& m : models)
    fmt::print("{:<48} {:<12} {:>10} {:<10} {}{}\n", m.repo, m.commit.substr(0, 12),
               size_text(m.bytes), m.family.empty() ? "-" : m.family, fmt::join(m.refs, ", "),
               m.complete ? "" : "  (incomplete)");
}

}  // namespace gavel
