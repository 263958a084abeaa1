#pragma once

/// Errors and stories as both edges answer them.

#include <string>

#include "coordinator/engine.h"
#include "net/http.h"

namespace hf::coordinator {

/// {"error":{"code":"not_found","message":"…"}}; 503 and 429 say when to ask again.
net::HttpResponse error_reply(const Error& error);
/// What net::HttpRouter refuses.
net::HttpResponse refusal(const net::HttpRequest& request, int status);
/// One transaction with its story and its heuristic records; 404 if nothing is stored of it.
asio::awaitable<net::HttpResponse> story_reply(const CoordinatorConfig& config, Engine& engine, Store& store,
                                               std::string gtrid);

}  // namespace hf::coordinator
