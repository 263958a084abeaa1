#pragma once

/// Stories as both edges answer them.

#include <string>

#include "coordinator/engine.h"
#include "net/http.h"

namespace hf::coordinator {

/// One transaction with its story and its heuristic records; 404 if nothing is stored of it.
asio::awaitable<net::HttpResponse> story_reply(const CoordinatorConfig& config, Engine& engine, Store& store,
                                               std::string gtrid);

}  // namespace hf::coordinator
