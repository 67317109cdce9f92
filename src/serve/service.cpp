#include "serve/service.h"

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "serve/web.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

// The page brings all that it needs and talks to this server only.
constexpr const char* kPagePolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

// Leaves of a choice of schemas those of pairs, of single answers, or both.
void keep_schemas(Json& choice, bool pairs, bool answers) {
  Json kept = Json::array();
  for (const Json& schema : choice) {
    const bool of_answers = schema["$ref"].get<std::string>().find("Answer") != std::string::npos;
    if (of_answers ? answers : pairs) kept.push_back(schema);
  }
  choice = std::move(kept);
}

// openapi.json with this server's own limits, and the forms of its judges.
std::string description(const ServedModels& models, const ServeLimits& limits) {
  Json api = Json::parse(web::kOpenApi);
  Json& schemas = api["components"]["schemas"];
  bool pairs = false, answers = false;
  for (const ServedModel& model : models.models)
    (model.prompt.form().of_pairs() ? pairs : answers) = true;
  Json& judge = api["paths"]["/v1/judge"]["post"];
  keep_schemas(judge["requestBody"]["content"]["application/json"]["schema"]["oneOf"], pairs,
               answers);
  keep_schemas(judge["responses"]["200"]["content"]["application/json"]["schema"]["oneOf"], pairs,
               answers);
  for (const char* name : {"JudgeOne", "JudgeMany", "JudgeAnswer", "JudgeAnswers"})
    schemas[name]["properties"]["max_tokens"]["maximum"] = limits.max_tokens;
  schemas["JudgeMany"]["properties"]["pairs"]["maxItems"] = limits.max_pairs;
  schemas["JudgeAnswers"]["properties"]["answers"]["maxItems"] = limits.max_pairs;
  schemas["TokenIds"]["items"]["maximum"] = models.session->model.config.vocab_size - 1;
  return dump(api);
}

Json model_json(const ServedModel& model, int64_t created) {
  return {{"id", model.name},
          {"object", "model"},
          {"created", created},
          {"owned_by", "gavel"},
          {"adapter", model.lora.has_value()},
          {"evaluated", model.evaluation.has_value()},
          {"form", to_string(model.prompt.form().kind)}};
}

}  // namespace

Service::Service(std::shared_ptr<Session> session, ServeRequest request)
    : request_(std::move(request)),
      models_(load_served_models(std::move(session), request_.model, request_.base_name,
                                 request_.adapters, request_.evaluations,
                                 request_.prompt_template)) {
  scheduler_ = std::make_unique<Scheduler>(models_.session->model, request_.scheduler, metrics_);
  context_ = std::make_unique<ServeContext>(
      ServeContext{models_, request_.limits, *scheduler_,
                   std::make_shared<TokenTrie>(models_.session->encoder.tokenizer)});
  http_ = std::make_unique<HttpServer>(request_.http, routes(), metrics_.http);
}

Service::~Service() = default;

std::vector<Route> Service::routes() const {
  const int64_t created = unix_time();
  const auto json = [](const Json& body) {
    Reply reply;
    reply.body = dump(body);
    return reply;
  };
  const auto page_file = [](const char* path, const char* type, std::string content) {
    return file_route(path, type, std::move(content), kPagePolicy);
  };
  const auto api = [&](const char* path,
                       Reply (*answer)(const ServeContext&, const HttpRequest&, Client&)) {
    return Route{"POST", path, false,
                 [context = context_.get(), answer](const HttpRequest& r, Client& client) {
                   return answer(*context, r, client);
                 }};
  };
  return {
      page_file("/", "text/html; charset=utf-8", std::string(web::kIndex)),
      page_file("/app.js", "text/javascript; charset=utf-8", std::string(web::kScript)),
      page_file("/rows.js", "text/javascript; charset=utf-8", std::string(web::kRows)),
      page_file("/trust.js", "text/javascript; charset=utf-8", std::string(web::kTrust)),
      page_file("/style.css", "text/css; charset=utf-8", std::string(web::kStyle)),
      page_file("/openapi.json", "application/json", description(models_, request_.limits)),
      {"GET", "/health", true,
       [=](const HttpRequest&, Client&) {
         return json({{"status", "ok"}});
       }},
      {"GET", "/metrics", false,
       [this](const HttpRequest&, Client&) {
         Reply reply;
         reply.body = metrics_.text();
         reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
         return reply;
       }},
      {"GET", "/v1/models", false,
       [=, this](const HttpRequest&, Client&) {
         Json list = Json::array();
         for (const auto& model : models_.models) list.push_back(model_json(model, created));
         return json({{"object", "list"}, {"data", std::move(list)}});
       }},
      {"GET", "/v1/models/", false,
       [=, this](const HttpRequest& r, Client&) {
         constexpr std::string_view kEvaluation = "/evaluation";
         if (!r.argument.ends_with(kEvaluation))
           return json(model_json(models_.find(r.argument), created));
         const ServedModel& model =
             models_.find(r.argument.substr(0, r.argument.size() - kEvaluation.size()));
         if (!model.evaluation)
           throw ApiError(404, "invalid_request_error",
                          "There is no evaluation of '" + model.name + "'.", "model",
                          "not_evaluated");
         Reply reply;
         reply.body = *model.evaluation;
         return reply;
       }},
      api("/v1/chat/completions", answer_chat),
      api("/v1/completions", answer_completion),
      api("/v1/judge", answer_judge),
  };
}

void run_serve(ServeRequest request, const std::function<bool()>& stop_requested) {
  fmt::print(stderr, "Loading {}\n", request.model);
  const std::string host = request.http.host;
  const bool everywhere = host != "127.0.0.1" && host != "localhost" && host != "::1";
  if (everywhere && request.http.api_key.empty())
    fmt::print(stderr, "Warning: --host {} without --api-key: whoever reaches it may use it.\n",
               host);
  auto session = open_session(request.model, make_backend(request.device), request.chat_template);
  Service service(std::move(session), std::move(request));
  std::string names;
  for (const auto& model : service.models().models)
    names += (names.empty() ? "" : ", ") + model.name;
  fmt::print(stderr, "Listening on http://{}:{}, models: {}. Ctrl-C finishes and stops.\n",
             host.find(':') == std::string::npos ? host : "[" + host + "]", service.port(), names);
  run_until([&] { service.run(); },
            [&] {
              fmt::print(stderr, "Stopping: what runs is finished first. Again to end at once.\n");
              service.stop();
            },
            stop_requested);
}

}  // namespace gavel
