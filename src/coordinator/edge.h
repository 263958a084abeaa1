#pragma once

/// The coordinator's protocol faces, call by call: docs/protocols/two-phase-commit.md. Checks input, maps errors,
/// decides nothing.

#include "coordinator/engine.h"
#include "net/http_router.h"

namespace hf::coordinator {

/// /balcoordinator/initiator/… and /2pc/v1/…. One strand; everything given to the constructor outlives it.
class Edge {
 public:
  Edge(sys::World world, const CoordinatorConfig& config, Engine& engine, Store& store);
  asio::awaitable<net::HttpResponse> handle(net::HttpRequest request);

 private:
  asio::awaitable<net::HttpResponse> enrol(net::HttpRequest request, net::PathValues path);
  asio::awaitable<net::HttpResponse> begin(net::HttpRequest request);
  asio::awaitable<net::HttpResponse> commit(net::HttpRequest request, net::PathValues path);
  asio::awaitable<net::HttpResponse> abort(net::HttpRequest request, net::PathValues path);
  asio::awaitable<net::HttpResponse> outcome(net::PathValues path);
  asio::awaitable<net::HttpResponse> story(net::PathValues path);
  bool knows_secret(const net::HttpRequest& request) const;

  const CoordinatorConfig& config_;
  Engine& engine_;
  Store& store_;
  net::HttpRouter router_;
  metrics::Counter& denied_;
};

/// /admin/coordinator/…: docs/administration.md. Who may call it, the administration's own door decides.
class AdminEdge {
 public:
  AdminEdge(const CoordinatorConfig& config, Engine& engine, Store& store);
  asio::awaitable<net::HttpResponse> handle(net::HttpRequest request) { return router_.handle(std::move(request)); }

 private:
  asio::awaitable<net::HttpResponse> list(net::HttpRequest request);
  asio::awaitable<net::HttpResponse> show(net::PathValues path);
  asio::awaitable<net::HttpResponse> resolve(net::HttpRequest request, net::PathValues path);

  const CoordinatorConfig& config_;
  Engine& engine_;
  Store& store_;
  net::HttpRouter router_;
};

}  // namespace hf::coordinator
