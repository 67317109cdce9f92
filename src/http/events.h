// An answer that goes on: Server-Sent Events.
#pragma once

#include <chrono>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "http/server.h"

namespace gavel {

// JSON text; bytes that are not UTF-8 become U+FFFD.
std::string dump(const nlohmann::ordered_json& json);
// One event.
std::string sse(const nlohmann::ordered_json& data);

// A stream's `write` whose tick keeps the connection alive while nothing comes, and throws
// ApiError (499) once the client is gone.
class EventWriter {
 public:
  EventWriter(const Reply::Write& write, Client& client);
  void send(const std::string& event);
  void tick();

 private:
  const Reply::Write& write_;
  Client& client_;
  std::chrono::steady_clock::time_point last_;
};

// Throws the ApiError (499) of a client that has gone.
[[noreturn]] void throw_gone();

// Runs `body`; an error, which comes too late for a status, is sent as an event. A client that has
// gone is told nothing.
void run_stream(const Reply::Write& write, Client& client,
                const std::function<void(EventWriter&)>& body);

}  // namespace gavel
