#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"

namespace hf::router {

/// Who may call the API; the secret never reaches a log.
struct AccessKey {
  std::string id;
  std::string secret;
};

/// A topic whose messages become events (router/intake.h says how). Topic names have no dots; sources may.
struct TopicSubscription {
  std::string topic;
  std::string source;       ///< the event's source if the message has no property `source`; empty: the topic's name
  std::string detail_type;  ///< if the message has neither a property `detail-type` nor a tag
};

struct RouterConfig {
  std::string region = "us-east-1";                                 ///< of every ARN and of the signature's scope
  std::string account = "000000000000";                             ///< 12 digits
  std::vector<AccessKey> access_keys = {{"holdfast", "holdfast"}};  ///< at least one; the default is for loopback only
  Duration clock_tolerance = 15min;  ///< 1 … 60 min: how far a signature's time may be off

  std::string rules_file;  ///< applied at every start, by name (upsert); empty: the built-in default_rules.json
  std::string notifier_url = "http://127.0.0.1:4020";              ///< {{notifier_url}} in the rules file
  std::string account_sid = "AC00000000000000000000000000000000";  ///< {{account_sid}}
  std::string auth_token = "holdfast";                             ///< {{auth_token}}; a secret
  std::string twilio_number = "+15005550006";                      ///< {{twilio_number}}, the sender
  std::string whatsapp_number = "+15005550006";                    ///< {{whatsapp_number}}

  std::vector<TopicSubscription> topics = {{"ecommerce-orders", "ecommerce.orders", "order.confirmed"}};
  std::string group = "router";  ///< consumer group of the subscriptions

  Duration request_timeout = 5s;                 ///< 100 ms … 60 s: for the whole answer of a destination
  std::size_t concurrency_per_destination = 64;  ///< 1 … 1 000 requests under way at one destination
  std::size_t queue_per_destination = 10'000;    ///< ≥ 1: deliveries kept in memory; the rest waits in the database
  Duration retry_first = 1s;                     ///< wait before the first retry; doubles
  Duration retry_max = 10min;                    ///< longest wait by the policy
  Duration retry_after_max = 1h;                 ///< longest wait a destination's Retry-After can ask for
  Duration keep_finished =
      std::chrono::hours(24 * 7);  ///< events whose deliveries are all delivered are removed after this; 0: never
};

}  // namespace hf::router
