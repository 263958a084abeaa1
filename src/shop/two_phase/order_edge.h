#pragma once

/// HTTP ⇄ orders by two-phase commit (docs/protocols/shop-http.md). Checks input, maps outcomes to answers, decides
/// nothing.

#include "net/http_router.h"
#include "shop/two_phase/order_flow.h"

namespace hf::shop::two_phase {

inline constexpr std::string_view kOrderIdHeader = "x-holdfast-order-id";

/// Outlives its requests. One strand.
class OrderEdge {
 public:
  OrderEdge(sys::World& world, const PlaceOrderConfig& config, OrderFlow& flow, OrderStore& store,
            participant::Initiator& initiator);
  OrderEdge(const OrderEdge&) = delete;
  OrderEdge& operator=(const OrderEdge&) = delete;

  asio::awaitable<net::HttpResponse> handle(net::HttpRequest request) { return router_.handle(std::move(request)); }

 private:
  asio::awaitable<net::HttpResponse> place_order(net::HttpRequest request);
  asio::awaitable<net::HttpResponse> get_order(net::PathValues path);
  asio::awaitable<net::HttpResponse> get_order_trace(net::PathValues path);
  net::HttpResponse transaction_trace(const std::string& gtrid) const;
  net::HttpResponse answer(const Placement& placement) const;
  net::HttpResponse later(int status, const std::string& text) const;

  sys::World& world_;
  const PlaceOrderConfig& config_;
  OrderFlow& flow_;
  OrderStore& store_;
  net::HttpRouter router_;
  metrics::Counter& invalid_;
};

}  // namespace hf::shop::two_phase
