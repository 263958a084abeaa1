#pragma once

/// HTTP ⇄ orders (docs/protocols/shop-http.md). Checks input, maps outcomes to answers, decides nothing.

#include "net/http_router.h"
#include "shop/order_service.h"

namespace hf::shop {

/// Outlives its requests. One strand.
class HttpEdge {
 public:
  HttpEdge(sys::World& world, const ShopConfig& config, OrderService& orders);
  HttpEdge(const HttpEdge&) = delete;
  HttpEdge& operator=(const HttpEdge&) = delete;

  asio::awaitable<net::HttpResponse> handle(net::HttpRequest request) { return router_.handle(std::move(request)); }

 private:
  asio::awaitable<net::HttpResponse> post_order(net::HttpRequest request);
  asio::awaitable<net::HttpResponse> get_order(net::HttpRequest request, net::PathValues path);
  asio::awaitable<net::HttpResponse> get_items();
  net::HttpResponse unavailable(std::string_view code, const std::string& why) const;
  net::HttpResponse answer(const Placement& placement) const;

  sys::World& world_;
  const ShopConfig& config_;
  OrderService& orders_;
  net::HttpRouter router_;
  metrics::Counter& invalid_;
};

}  // namespace hf::shop
