#pragma once

/// The operator's view of the ledger, JSON and one page. Phone numbers are masked everywhere (P10).
///
///   GET  /admin/notifier/summary                  how many in each state
///   GET  /admin/notifier/notifications            ?state= ?to= ?order= ?after=ID ?limit=: newest first
///   GET  /admin/notifier/notifications/NAME       by id, SID, event id or order id, each with its history
///   GET  /admin/notifier/parked                   what waits for a person, with the reason
///   POST /admin/notifier/notifications/ID/resend  call again: only a parked one
///   POST /admin/notifier/notifications/ID/resolve {"outcome": "created", "sid": "SM…"} or {"outcome": "given_up"}
///   GET  /notifications                           a page: the newest, with their status history per SID; ?order= ?sid=

#include "net/http.h"
#include "notifier/dispatcher.h"

namespace hf::notifier {

class AdminEdge {
 public:
  AdminEdge(Store& store, Dispatcher& dispatcher) : store_(store), dispatcher_(dispatcher) {}
  asio::awaitable<net::HttpResponse> handle(net::HttpRequest request);

 private:
  asio::awaitable<net::HttpResponse> summary();
  asio::awaitable<net::HttpResponse> list(wire::twilio::Fields query);
  asio::awaitable<net::HttpResponse> show(std::string name);
  asio::awaitable<net::HttpResponse> operate(std::string id, std::string verb, std::string body);
  asio::awaitable<net::HttpResponse> page(wire::twilio::Fields query);

  Store& store_;
  Dispatcher& dispatcher_;
};

}  // namespace hf::notifier
