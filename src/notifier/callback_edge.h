#pragma once

/// Where the provider reports statuses: POST /hooks/twilio/{message|call}?n=NOTIFICATION&a=ATTEMPT.
/// 204 once the report is durable · 403 a wrong or missing signature: nothing stored · 400 signed, but no status report
/// · 503 not stored: come again.

#include "net/http.h"
#include "notifier/dispatcher.h"

namespace hf::notifier {

class CallbackEdge {
 public:
  CallbackEdge(sys::World world, const NotifierConfig& config, Store& store, Dispatcher& dispatcher);
  asio::awaitable<net::HttpResponse> handle(net::HttpRequest request);

 private:
  sys::World world_;
  const NotifierConfig& config_;
  Store& store_;
  Dispatcher& dispatcher_;
  metrics::Counter& accepted_;
  metrics::Counter& repeated_;
  metrics::Counter& forged_;
  metrics::Counter& orphans_;
};

}  // namespace hf::notifier
