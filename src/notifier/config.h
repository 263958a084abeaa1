#pragma once

/// Everything that can be set about the notifier. `app` maps it to the section [notifier].

#include <cstddef>
#include <string>
#include <vector>

#include "base/time.h"

namespace hf::notifier {

/// What happens when a call whose outcome was lost is proven to have created nothing.
enum class OnAbsent {
  resend,  ///< call again, up to `attempts_max`: right where the provider's list is complete at once (the phone)
  park,    ///< a person decides: right where the list may lag (design.md P5; twilio.md, "Reconcile")
};

struct NotifierConfig {
  std::string database = "sqlite:notifier.db";         ///< the delivery ledger
  std::string provider_url = "http://127.0.0.1:4030";  ///< Twilio's base URL, or the phone's
  /// The account: what clients must send as Basic credentials, and what goes to the provider.
  std::string account_sid = "AC00000000000000000000000000000000";
  /// Also the key of X-Twilio-Signature. Secret: `auth_token_file` or `auth_token_env` in the file. The default is the
  /// sandbox's and opens loopback listeners only (P10).
  std::string auth_token = "holdfast-sandbox";
  /// Put into From when a request has neither From nor MessagingServiceSid.
  std::string from_sms = "+15005550006", from_whatsapp = "whatsapp:+15005550006", from_voice = "+15005550006";
  /// Where a text names the order, for requests that carry neither X-Holdfast-Order-Id nor HoldfastOrderId: the
  /// letters, digits, - and _ behind the first of these. Empty: then there is no order id.
  std::vector<std::string> order_id_after = {"Order #", "Order number "};
  /// Where the provider reaches our status callbacks. It is part of what is signed: exactly as the provider sees it.
  /// Empty: no callbacks are asked for; statuses come by polling.
  std::string callback_base_url = "http://127.0.0.1:4020";

  Duration call_timeout = 10s;  ///< of one provider call; 100ms … 5m
  Duration answer_within =
      4s;  ///< how long a client's request is held open before 503; below the router's own time-out
  std::size_t calls_in_flight = 64;  ///< provider calls at the same time; 1 … 1 000
  double calls_per_second = 0;       ///< provider calls begun per second; 0: no limit
  std::size_t unsettled = 100'000;   ///< notifications waiting, sending or unknown; beyond: 429, nothing stored
  std::size_t waiting = 10'000;      ///< requests that wait for a free call; beyond: 429, nothing stored

  Duration retry_min = 200ms, retry_max = 30s;  ///< back-off after "certainly not created"
  Duration retry_for = 24h;                     ///< then parked
  /// After a lost answer: when, counted from the call, the provider's list is looked at. The last empty look proves
  /// absence. For Twilio itself set 5s, 20s, 60s, 5m, 15m: its list is not documented to be complete at once.
  std::vector<Duration> looks = {500ms, 2s, 5s};
  Duration look_retry = 1s;    ///< after a look that failed: it proves nothing and is not counted
  Duration resolve_for = 24h;  ///< then parked
  OnAbsent on_absent = OnAbsent::resend;
  int attempts_max = 3;            ///< calls whose outcome was lost, before the notification is parked; 1 … 10
  Duration clock_tolerance = 30s;  ///< between our clock and the provider's, for date_created

  Duration poll_after = 60s;  ///< a created notification whose status is not final is fetched after this, doubling
  Duration poll_for = 12h;    ///< then its last status stays
};

}  // namespace hf::notifier
