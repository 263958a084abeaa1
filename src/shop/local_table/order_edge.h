#pragma once

/// HTTP and result messages ⇄ orders of the local message table (docs/protocols/shop-http.md). Checks input, maps
/// outcomes to answers; what is written together is in order_store.h.

#include "mq/message.h"
#include "net/http_router.h"
#include "shop/local_table/order_store.h"
#include "sys/wait.h"

namespace hf::shop::local_table {

/// One strand. Outlives its requests; close() is awaited before it is destroyed.
class OrderEdge {
 public:
  OrderEdge(sys::World& world, const LocalTableConfig& config, OrderStore& store, participant::Outbox& outbox);
  OrderEdge(const OrderEdge&) = delete;
  OrderEdge& operator=(const OrderEdge&) = delete;

  asio::awaitable<net::HttpResponse> handle(net::HttpRequest request) { return router_.handle(std::move(request)); }
  /// The listener of the results topic.
  Task<> result(const mq::ReceivedMessage& received);
  /// Admits nothing more; waits for orders under way.
  asio::awaitable<void> close();

 private:
  asio::awaitable<net::HttpResponse> post_order(net::HttpRequest request);
  asio::awaitable<net::HttpResponse> place(OrderRequest request, std::optional<std::string> key);
  net::HttpResponse answer(const Placed& placed, const OrderRequest& request);
  net::HttpResponse answer(const Error& error, const std::string& order_id);
  asio::awaitable<net::HttpResponse> get_order(net::HttpRequest request, net::PathValues path);
  asio::awaitable<net::HttpResponse> get_items();
  net::HttpResponse database_away() const;
  metrics::Counter& orders(const char* outcome);  ///< looked up by name: keep what is counted often

  sys::World& world_;
  const LocalTableConfig& config_;
  OrderStore& store_;
  participant::Outbox& outbox_;
  net::HttpRouter router_;
  std::size_t under_way_ = 0;
  bool closing_ = false;
  sys::Event idle_;
  metrics::Histogram& placing_seconds_;
  metrics::Counter &processing_, &repeated_, &confirmed_, &refused_, &replayed_;
};

}  // namespace hf::shop::local_table
