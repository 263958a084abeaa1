#pragma once

/// Rules and events that the matching measurements use.
///
/// Shapes: `customer`: every rule names one customer (exact) and shares source and detail-type · `mixed`: a quarter
/// each exact, prefix, numeric and anything-but on four fields, all sharing the source · `list`: rules on elements of a
/// list.

#include <fmt/format.h>

#include <random>
#include <string>
#include <string_view>

namespace hf::bench {

inline std::string rule(std::string_view shape, int i) {
  const std::string head = R"({"source":["ecommerce.orders"],"detail-type":["order.confirmed"],"detail":{)";
  if (shape == "customer") return head + fmt::format(R"("customer":["c{}"]}}}})", i);
  if (shape == "list")
    return head + fmt::format(R"("items":{{"sku":["s{}"],"quantity":[{{"numeric":[">",{}]}}]}}}}}})", i, i % 5);
  switch (i % 4) {
    case 0:
      return head + fmt::format(R"("customer":["c{}"]}}}})", i);
    case 1:
      return head + fmt::format(R"("city":[{{"prefix":"city{}"}}]}}}})", i);
    case 2:
      return head + fmt::format(R"("amount":[{{"numeric":[">=",{},"<",{}]}}]}}}})", i * 10, i * 10 + 10);
    default:
      return head + fmt::format(R"("status":[{{"anything-but":["new","paid"]}}],"shop":["h{}"]}}}})", i);
  }
}

/// An event of about 900 bytes; `rules` of them exist, and it meets every second customer.
inline std::string event(std::mt19937& random, int rules) {
  const auto pick = [&] { return random() % static_cast<unsigned>(rules * 2); };
  return fmt::format(
      R"({{"version":"0","id":"6f8a1c1e-7d3b-4b7a-9d0e-3f2a51c7e001","detail-type":"order.confirmed","source":"ecommerce.orders",)"
      R"("account":"000000000000","time":"2026-11-21T09:00:00Z","region":"us-east-1","resources":[],"detail":{{"order_id":"o-{}",)"
      R"("customer":"c{}","city":"city{}-north","amount":{},"status":"new","shop":"h{}","channel":["sms","voice"],"items":[)"
      R"({{"sku":"s{}","quantity":2,"price_minor":1999}},{{"sku":"s{}","quantity":7,"price_minor":250}}],)"
      R"("note":"{}"}}}})",
      pick(), pick(), pick(), pick() * 10, pick(), pick(), pick(), std::string(400, 'x'));
}

}  // namespace hf::bench
