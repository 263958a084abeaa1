#pragma once

/// Errors of the administration: {"error":{"code":"not_found","message":"…"}} with the status that fits the code.

#include "net/http.h"

namespace hf::app {

net::HttpResponse http_error(const Error& error);
/// What net::HttpRouter refuses: 404, 405, 400.
net::HttpResponse http_refusal(const net::HttpRequest& request, int status);

}  // namespace hf::app
