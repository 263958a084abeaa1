#pragma once

/// The business calls of an order, inside its transaction: what is sent, what the answers mean, what is remembered.

#include "participant/two_phase.h"
#include "shop/config.h"
#include "shop/two_phase/call_log.h"
#include "shop/two_phase/decisions.h"
#include "shop/two_phase/requests.h"

namespace hf::shop::two_phase {

struct Quote {
  std::int64_t total = 0;
  bool locks_rows = false;  ///< the inventory holds row locks until the end (XA)
};

/// One strand; what is passed by reference outlives the task.
class OrderCalls {
 public:
  using Begun = wire::two_phase::Begun;

  OrderCalls(sys::World& world, const PlaceOrderConfig& config, participant::SendHttp send, CallLog& log);

  /// Fills `into` when it is done.
  asio::awaitable<End> get_total_price(const Begun& tx, const OrderRequest& order, Monotonic deadline, Quote& into);
  asio::awaitable<End> pay(const Begun& tx, const OrderRequest& order, std::int64_t total, Monotonic deadline);
  asio::awaitable<End> update_stock(const Begun& tx, const OrderRequest& order, std::int64_t total, Monotonic deadline);

 private:
  struct Asked {
    Call call;
    std::string url;
    net::HttpRequest request;
  };
  Asked ask(Call call, const std::string& base, std::string_view path, std::string body, const Begun& tx) const;
  Task<net::HttpResponse> send(const Begun& tx, Asked asked, Monotonic deadline);

  sys::World& world_;
  const PlaceOrderConfig& config_;
  const participant::SendHttp send_;
  CallLog& log_;
  metrics::Histogram& seconds_;
};

}  // namespace hf::shop::two_phase
