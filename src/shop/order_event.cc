#include "shop/order_event.h"

#include <boost/json/serialize.hpp>

namespace hf::shop {

std::string order_event(const std::string& order_id, const OrderRequest& request, WallTime at) {
  boost::json::array channels;
  for (const std::string& channel : request.channels) channels.emplace_back(channel);
  const boost::json::object event = {
      {"source", kEventSource},
      {"detail-type", kEventDetailType},
      {"time", to_rfc3339_seconds(at)},
      {"detail",
       {{"order_id", order_id},
        {"buyer", request.buyer},
        {"item", request.item},
        {"quantity", request.quantity},
        {"channel", std::move(channels)},
        {"customer_phone", request.phone}}},
  };
  return boost::json::serialize(event);
}

}  // namespace hf::shop
