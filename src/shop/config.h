#pragma once

/// What can be set on the shop. Every field has a default; `app` maps them to TOML.

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"

namespace hf::shop {

struct ShopConfig {
  /// Half messages of orders go here: a-z A-Z 0-9 % | _ -, 1 … 127 characters. The topic must take
  /// transactional messages.
  std::string topic = "ecommerce-orders";

  /// Put on sale at the first start, "id;name;price in minor units;pieces". An item that the database knows already is
  /// left as it is: stock is changed by orders alone.
  std::vector<std::string> items = {
      "1;Espresso machine;49900;1000",
      "2;Grinder;19900;1000",
      "3;Kettle;7900;1000",
      "4;Scale;5900;10",
  };

  /// Orders between their admission and their answer; beyond it 503. 1 … 100 000
  std::size_t orders_in_flight = 1024;
  /// What a refused client is told to wait. 1 s … 1 h, whole seconds
  Duration retry_after = 1s;
  /// How long a repeated request waits for the first with the same Idempotency-Key. 100 ms … 1 min
  Duration repeat_wait = 10s;
  /// How long start() waits for the broker; it goes on without. 0 s … 5 min
  Duration broker_wait = 5s;
  /// How long close() waits for orders under way. 0 s … 5 min
  Duration drain = 10s;
  /// Orders of which the times after the commit (decision sent, answered) are remembered, in memory. 0 … 1 000 000
  std::size_t traces = 10'000;
};

}  // namespace hf::shop
