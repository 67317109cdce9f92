// The whole server: a loaded model behind an HTTP port. docs/serve.md is the contract.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "serve/context.h"

namespace gavel {

struct ServeRequest {
  std::string model, base_name, prompt_template, chat_template;
  std::vector<std::string> adapters, evaluations;  // NAME=PATH
  HttpOptions http;
  SchedulerOptions scheduler;
  ServeLimits limits;
  DeviceOptions device;
};

class Service {
 public:
  // Throws Error where an adapter does not fit or the port cannot be bound, UsageError for names.
  Service(std::shared_ptr<Session> session, ServeRequest request);
  ~Service();

  int port() const { return http_->port(); }
  const ServedModels& models() const { return models_; }
  void run() { http_->run(); }    // until stop(), then until all that ran is answered
  void stop() { http_->stop(); }  // from any thread

 private:
  std::vector<Route> routes() const;

  const ServeRequest request_;
  const ServedModels models_;
  ServeMetrics metrics_;
  std::unique_ptr<Scheduler> scheduler_;
  std::unique_ptr<ServeContext> context_;
  std::unique_ptr<HttpServer> http_;
};

// Loads the model and serves until stop_requested says so.
void run_serve(ServeRequest request, const std::function<bool()>& stop_requested);

}  // namespace gavel
