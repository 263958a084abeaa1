#pragma once

/// Errors as every HTTP interface of our own spells them: {"error":{"code":"not_found","message":"…"}}. Protocols of
/// others (RocketMQ, EventBridge, Twilio, /balcoordinator) have shapes of their own.

#include <string_view>

#include "net/http.h"

namespace hf::net {

/// The status that fits the code: invalid 400, denied 403, not_found 404, conflict 409, exhausted and unavailable 503,
/// timeout 504, corrupt and internal 500. 503 and 504 say when to ask again.
HttpResponse problem(const Error& error);
HttpResponse problem(int status, std::string_view code, std::string_view message);
/// What HttpRouter refuses: 404, 405, 400.
HttpResponse route_problem(const HttpRequest& request, int status);

}  // namespace hf::net
