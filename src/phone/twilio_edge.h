#pragma once

/// The REST API of the sandbox: checks input, maps errors, decides nothing about lives.

#include "net/http.h"
#include "phone/lives.h"
#include "phone/store.h"
#include "wire/twilio/error.h"
#include "wire/twilio/route.h"

namespace hf::phone {

/// /2010-04-01/…: docs/protocols/twilio.md says call by call what is answered. One strand.
class TwilioEdge {
 public:
  TwilioEdge(sys::World world, const PhoneConfig& config, Store& store, FaultSwitches& faults, Lives& lives);
  asio::awaitable<net::HttpResponse> handle(net::HttpRequest request);
  /// Ends the requests that hang on purpose.
  void stop();

 private:
  enum class Account { none, live, test };
  Account authenticate(const net::HttpRequest& request) const;
  asio::awaitable<net::HttpResponse> answer(net::HttpRequest request);
  asio::awaitable<net::HttpResponse> create(wire::twilio::Route route, net::HttpRequest request, Account account);
  asio::awaitable<net::HttpResponse> create_with_fault(Life life, Fault fault);
  asio::awaitable<net::HttpResponse> store_life(Life life);
  asio::awaitable<net::HttpResponse> fetch(wire::twilio::Route route, std::string path);
  asio::awaitable<net::HttpResponse> list(wire::twilio::Route route, std::string query);
  asio::awaitable<void> hang();
  bool owns(std::string_view sender) const;
  wire::twilio::Checked<Life> plan(wire::twilio::Kind kind, const wire::twilio::Fields& form);
  wire::twilio::Checked<Resource> message_of(const wire::twilio::Fields& form, LifecycleInput& input);
  wire::twilio::Checked<Resource> call_of(const wire::twilio::Fields& form, LifecycleInput& input);

  sys::World world_;
  const PhoneConfig& config_;
  Store& store_;
  FaultSwitches& faults_;
  Lives& lives_;
  sys::Event stop_;
  bool stopping_ = false;
  int concurrent_ = 0;
  metrics::Counter& created_;
  metrics::Counter& refused_;
};

}  // namespace hf::phone
