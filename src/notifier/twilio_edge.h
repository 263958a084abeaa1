#pragma once

/// The gateway's face to clients: the create, fetch and list calls of Twilio's API. Checks input, maps what the ledger
/// says to answers, decides nothing.
///
/// A create is answered
///   201  created, now or for an earlier request with the same event id: the same SID
///   4xx  the provider's refusal, or ours before anything is stored; final
///   409  (20409) the event id was used for a different request
///   429  (20429) nothing stored; Retry-After
///   503  (20503) stored, not settled yet; Retry-After. Repeat with the same event id
///   500  (20500) the same, for a request without event id: repeating it makes a second notification

#include "net/http.h"
#include "notifier/dispatcher.h"
#include "wire/twilio/error.h"
#include "wire/twilio/route.h"

namespace hf::notifier {

class TwilioEdge {
 public:
  TwilioEdge(sys::World world, const NotifierConfig& config, Store& store, Dispatcher& dispatcher)
      : world_(world), config_(config), store_(store), dispatcher_(dispatcher) {}
  asio::awaitable<net::HttpResponse> handle(net::HttpRequest request);

 private:
  asio::awaitable<net::HttpResponse> answer(net::HttpRequest request);
  asio::awaitable<net::HttpResponse> create(wire::twilio::Route route, net::HttpRequest request);
  asio::awaitable<net::HttpResponse> fetch(wire::twilio::Route route, std::string path);
  asio::awaitable<net::HttpResponse> list(wire::twilio::Route route, std::string query);
  wire::twilio::Checked<Notification> read(wire::twilio::Kind kind, const net::HttpRequest& request);
  net::HttpResponse answer_of(const Notification& row, const std::string& fingerprint) const;

  sys::World world_;
  const NotifierConfig& config_;
  Store& store_;
  Dispatcher& dispatcher_;
};

}  // namespace hf::notifier
