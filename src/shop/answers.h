#pragma once

/// The shape of the shop's answers (docs/protocols/shop-http.md), whatever keeps its orders consistent.

#include <boost/json/fwd.hpp>
#include <string_view>

#include "base/time.h"
#include "net/http.h"
#include "shop/order.h"

namespace hf::shop {

net::HttpResponse respond(int status, const boost::json::object& body);
/// {"code", "message"[, "field"]}
boost::json::object error_of(std::string_view code, std::string_view message, std::string_view field = "");
/// {"error": error_of(…)}
net::HttpResponse refuse(int status, std::string_view code, std::string_view message, std::string_view field = "");
/// 503 with Retry-After.
net::HttpResponse refuse_for_now(std::string_view code, std::string_view message, Duration retry_after);
/// 404, 405, 400 of the router.
net::HttpResponse no_such_path(const net::HttpRequest& request, int status);

/// Buyer, item, quantity, channel, masked phone, total: appended to `body`.
void add_request(boost::json::object& body, const OrderRequest& request, std::int64_t unit_price_minor);
boost::json::object item_json(const Item& item);
/// "fewer than 3 pieces of item 4 are left"
std::string sold_out_text(const OrderRequest& request);

/// {"hop", "at", "at_us"[, "detail"]}: appended, unless it has no time (0).
void add_hop(boost::json::array& hops, std::string_view name, std::int64_t at_us, std::string_view detail = "");
/// "?trace=1"
bool wants_trace(const net::HttpRequest& request);

}  // namespace hf::shop
