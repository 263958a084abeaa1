#pragma once

/// The sandbox's own API, not Twilio's: fault switches, and what customers would have seen. Loopback callers only.
///
///   POST   /control/faults      {"mode": "create_then_hang", "count": 1, "match": {"To": "+1555…"}, "code": 30003}
///   GET    /control/faults      those that are switched on
///   DELETE /control/faults[/ID] takes one or all away
///   GET    /control/customers   ?to=… | ?after=To&limit=n: per To what was received, and totals with duplicates
///   GET    /control/totals      the totals alone
///   GET    /control/steps/SID   the planned life of one resource, with how each callback went

#include "net/http.h"
#include "phone/faults.h"
#include "phone/store.h"

namespace hf::phone {

class ControlEdge {
 public:
  ControlEdge(const PhoneConfig& config, Store& store, FaultSwitches& faults)
      : config_(config), store_(store), faults_(faults) {}
  asio::awaitable<net::HttpResponse> handle(net::HttpRequest request);

 private:
  net::HttpResponse add_fault(const std::string& body);
  net::HttpResponse list_faults() const;
  asio::awaitable<net::HttpResponse> customers(std::string query);
  asio::awaitable<net::HttpResponse> totals();
  asio::awaitable<net::HttpResponse> steps(std::string sid);

  const PhoneConfig& config_;
  Store& store_;
  FaultSwitches& faults_;
};

}  // namespace hf::phone
