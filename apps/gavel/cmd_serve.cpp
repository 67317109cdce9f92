// gavel serve.
#include <cstdlib>
#include <memory>

#include "base/interrupt.h"
#include "commands.h"
#include "options.h"
#include "serve/service.h"

namespace gavel {
namespace {

struct Sizes {
  int64_t body_kib = 1024, cache_mib = 512;
};

void add_http_flags(CLI::App& c, HttpOptions& o, Sizes& sizes) {
  c.add_option("--host", o.host, "address to listen on; 0.0.0.0 is every one of this machine")
      ->capture_default_str();
  c.add_option("--port", o.port, "port to listen on; 0: any that is free")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  c.add_option("--api-key", o.api_key,
               "key that clients must send as Authorization: Bearer KEY (or set GAVEL_API_KEY)");
  c.add_option("--cors", o.cors, "origin whose pages may call this server, or '*'");
  c.add_option("--max-body-kib", sizes.body_kib, "largest body of a request")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  c.add_option("--max-connections", o.max_connections, "connections that are open together")
      ->check(CLI::Range(1, 900))
      ->capture_default_str();
}

void add_limits(CLI::App& c, ServeRequest& r, Sizes& sizes) {
  c.add_option("--max-batch", r.scheduler.max_batch, "sequences that run together")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  c.add_option("--max-queue", r.scheduler.max_queue,
               "requests that may wait; more are answered 429")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  c.add_option("--max-tokens", r.limits.max_tokens, "most tokens a request may generate")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  c.add_option("--max-prompt-tokens", r.limits.max_prompt_tokens,
               "longest prompt; 0: what the model takes")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  c.add_option("--max-pairs", r.limits.max_pairs, "most pairs of one judging request")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  c.add_option("--timeout", r.limits.seconds, "seconds that a request may take, waiting included")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  c.add_option("--prefix-cache-mib", sizes.cache_mib,
               "memory for the keys and values of prompts already read; 0: none")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
}

}  // namespace

void add_serve_command(CLI::App& app) {
  auto* c = app.add_subcommand("serve", "answer over HTTP: OpenAI's API, judging, and a page");
  auto r = std::make_shared<ServeRequest>();
  auto sizes = std::make_shared<Sizes>();
  c->add_option("--model", r->model, "model: a directory, a .gguf file, or org/name[@revision]")
      ->required();
  c->add_option("--adapter", r->adapters,
                "NAME=PATH: an adapter, and the `model` that requests call it by; the first is the "
                "default");
  c->add_option("--evaluation", r->evaluations,
                "NAME=PATH: what gavel eval wrote of that model (a folder with eval.json, or the "
                "file), for the page; otherwise what lies beside the adapter");
  c->add_option("--name", r->base_name, "`model` of the base model; otherwise its file's name");
  add_chat_template_option(*c, r->chat_template);
  c->add_option("--template", r->prompt_template,
                "judging template; otherwise the one beside the adapter, or the built-in one");
  add_http_flags(*c, r->http, *sizes);
  add_limits(*c, *r, *sizes);
  add_inference_options(*c, r->device);
  c->footer(
      "A page for judging is at /, the API's description at /openapi.json and in docs/serve.md.\n"
      "The first Ctrl-C (or SIGTERM) finishes what is running, the second ends at once.\n"
      "Examples:\n"
      "  gavel serve --model M --adapter judge=demo/judge/best --evaluation judge=demo/eval\n"
      "  GAVEL_API_KEY=secret gavel serve --model M --host 0.0.0.0 --port 9000\n"
      "  curl http://127.0.0.1:8080/v1/judge -H 'Content-Type: application/json' \\\n"
      "    -d '{\"question\": \"2 + 2?\", \"answer_a\": \"4\", \"answer_b\": \"5\"}'");
  c->callback([r, sizes] {
    const char* key = std::getenv("GAVEL_API_KEY");
    if (r->http.api_key.empty() && key != nullptr) r->http.api_key = key;
    r->http.max_body = static_cast<size_t>(sizes->body_kib) << 10;
    r->scheduler.prefix_bytes = static_cast<size_t>(sizes->cache_mib) << 20;
    run_serve(std::move(*r), interrupted);
    forget_interrupt();
  });
}

}  // namespace gavel
