#pragma once

/// The whole configuration: one struct per component, bound to TOML by describe(), completed and judged by settle().

#include <cstdint>
#include <string>
#include <vector>

#include "app/config_schema.h"
#include "broker/config.h"
#include "mq/config.h"
#include "notifier/config.h"
#include "phone/config.h"
#include "router/config.h"
#include "shop/config.h"

namespace hf::app {

/// Where a role listens.
struct ListenConfig {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  std::string certificate_file{}, key_file{};  ///< PEM; of the broker: both empty: a self-signed one, made at start
};

struct Config {
  std::vector<std::string> roles{"broker", "shop", "router", "notifier", "phone", "console"};
  std::string data = "holdfast-data";
  std::string log_level = "info";
  std::string messages = "embedded:";  ///< or rocketmq://host:8081, rocketmqs://host:8081
  std::string messages_access_key, messages_secret_key;
  Duration drain = 10s;
  std::string admin_token;

  ListenConfig broker_listen{.port = 8081}, shop_listen{.port = 9650}, router_listen{.port = 4010},
      notifier_listen{.port = 4020}, phone_listen{.port = 4030}, console_listen{.port = 8080};
  std::string shop_database = "sqlite:shop.db", router_database = "sqlite:router.db";
  broker::BrokerConfig broker;
  shop::ShopConfig shop;
  router::RouterConfig router;
  notifier::NotifierConfig notifier;
  phone::PhoneConfig phone;

  // As written in the file; settle() puts them into the structs above.
  std::vector<std::string> broker_topics{"ecommerce-orders:TRANSACTION"}, broker_groups{"router"};
  std::string broker_access_key, broker_secret_key, check_profile = "default";
  std::vector<std::string> router_topics{"ecommerce-orders;ecommerce.orders;order.confirmed"};
  std::string router_access_key = "holdfast", router_secret_key = "holdfast";
  std::vector<std::string> notifier_looks{"500ms", "2s", "5s"};
  std::string on_absent = "resend";
  std::string account_sid, auth_token;  ///< one account for router, notifier and phone

  bool has_role(std::string_view role) const;
};

/// Every key. The structs outlive the schema.
void describe(ConfigSchema& schema, Config& config);
/// Parses lists, applies profiles, checks what spans keys. Errors: invalid · denied: beyond loopback without
/// authentication (P10).
Result<void> settle(Config& config);

}  // namespace hf::app
