#pragma once

/// What the buyers of the demo will do: a list made from one random number. Pure.

#include <cstdint>
#include <string>
#include <vector>

#include "sys/random.h"

namespace hf::app {

struct DemoItem {
  std::int64_t id;
  std::string name;
  std::int64_t price_minor, stock;
};

struct PlannedOrder {
  enum class Kind { good, bad } kind = Kind::good;
  std::string what;    ///< of a bad one: "negative quantity"
  std::string body;    ///< JSON as sent (or not quite JSON)
  std::string key;     ///< Idempotency-Key
  bool again = false;  ///< sent a second time with the same key after it was answered
};

/// Items whose stock does not cover what `orders` orders will want: some are sold out on the way.
std::vector<DemoItem> demo_items(std::int64_t orders);
/// `orders` good and bad orders over those items, over all three channels, some repeated.
std::vector<PlannedOrder> demo_plan(std::int64_t orders, const std::vector<DemoItem>& items, sys::Random& random);

}  // namespace hf::app
