#include "http/events.h"

#include <nlohmann/json.hpp>

namespace gavel {
namespace {

constexpr auto kSilence = std::chrono::seconds(10);  // then a comment shows that all is well

}  // namespace

void throw_gone() { throw ApiError(499, "cancelled", "The client has gone."); }

std::string dump(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string sse(const nlohmann::ordered_json& data) { return "data: " + dump(data) + "\n\n"; }

EventWriter::EventWriter(const Reply::Write& write, Client& client)
    : write_(write), client_(client), last_(std::chrono::steady_clock::now()) {}

void EventWriter::send(const std::string& event) {
  if (!write_(event)) throw_gone();
  last_ = std::chrono::steady_clock::now();
}

void EventWriter::tick() {
  if (client_.gone()) throw_gone();
  if (std::chrono::steady_clock::now() - last_ > kSilence) send(": waiting\n\n");
}

void run_stream(const Reply::Write& write, Client& client,
                const std::function<void(EventWriter&)>& body) {
  EventWriter writer(write, client);
  try {
    body(writer);
  } catch (const ApiError& e) {
    if (e.status != 499) write("data: " + error_body(e) + "\n\n");
  } catch (const std::exception& e) {
    write("data: " + error_body(ApiError(500, "server_error", e.what())) + "\n\n");
  }
}

}  // namespace gavel
