// What is told to a client that cannot be served, in OpenAI's shape.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

#include "base/error.h"

namespace gavel {

struct ApiError : Error {
  ApiError(int status_, std::string type_, const std::string& message, std::string param_ = "",
           std::string code_ = "")
      : Error(message),
        status(status_),
        type(std::move(type_)),
        param(std::move(param_)),
        code(std::move(code_)) {}

  int status;        // of HTTP
  std::string type;  // "invalid_request_error", ...
  std::string param, code;
  int retry_seconds = 0;  // Retry-After, where more than 0
};

// {"error": {"message", "type", "param", "code"}}; empty param and code are null.
std::string error_body(const ApiError& error);

// 400: `param` names the field.
template <typename... Args>
[[noreturn]] void bad_request(const std::string& param, fmt::format_string<Args...> text,
                              Args&&... args) {
  throw ApiError(400, "invalid_request_error", fmt::format(text, std::forward<Args>(args)...),
                 param);
}

}  // namespace gavel
