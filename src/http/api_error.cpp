#include "http/api_error.h"

#include <nlohmann/json.hpp>

namespace gavel {

std::string error_body(const ApiError& error) {
  using Json = nlohmann::ordered_json;
  const auto or_null = [](const std::string& s) { return s.empty() ? Json() : Json(s); };
  const Json body = {{"error",
                      {{"message", error.what()},
                       {"type", error.type},
                       {"param", or_null(error.param)},
                       {"code", or_null(error.code)}}}};
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace gavel
