#pragma once

/// The whole configuration: one struct per component, bound to TOML by describe(), completed and judged by settle().

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "app/config_schema.h"
#include "app/shop_mode.h"
#include "broker/config.h"
#include "coordinator/coordinator.h"
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

/// What the three services of two-phase commit share.
struct TwoPhaseKeys {
  std::string secret;           ///< of every call between them; empty: nobody is asked (loopback only)
  std::string coordinator_url;  ///< those of other processes; a role of this process wins
  std::string payment_url, inventory_url;
  Duration call_timeout = 5s, ask_after = 5s, ask_max = 30s, alarm_after = 60s;  ///< participant::TwoPhaseConfig
  shop::BranchStoreConfig branches;                                              ///< of payment and inventory
};

/// Which stores `--store` moves to MariaDB servers of our own.
enum class StoreKind {
  sqlite,       ///< none: every store is where its URL says
  mariadb,      ///< 2pc: payment and inventory, a server each. Other modes: all of them, on one server
  mariadb_all,  ///< 2pc: the others as well, on a third server
};

struct Config {
  std::vector<std::string> roles;  ///< empty: all of the shop's mode; settle() fills it
  std::string data = "holdfast-data";
  std::string log_level = "info";
  std::string messages = "embedded:";  ///< or rocketmq://host:8081, rocketmqs://host:8081
  std::string messages_access_key, messages_secret_key;
  Duration drain = 10s;
  std::string admin_token;

  ListenConfig broker_listen{.port = 8081}, shop_listen{.port = 9650}, router_listen{.port = 4010},
      notifier_listen{.port = 4020}, phone_listen{.port = 4030}, console_listen{.port = 8080},
      coordinator_listen{.port = 36789}, payment_listen{.port = 9651}, inventory_listen{.port = 9652};
  std::string shop_database = "sqlite:shop.db", router_database = "sqlite:router.db",
              coordinator_database = "sqlite:coordinator.db", payment_database = "sqlite:payment.db",
              inventory_database = "sqlite:inventory.db";
  broker::BrokerConfig broker;
  shop::ShopConfig shop;
  router::RouterConfig router;
  notifier::NotifierConfig notifier;
  phone::PhoneConfig phone;
  coordinator::CoordinatorConfig coordinator;
  shop::PaymentConfig payment;
  shop::InventoryConfig inventory;
  shop::PlaceOrderConfig place_order;
  shop::LocalTableConfig local_table;
  std::string outbox_database;  ///< of the order service's outbox; empty: shop_database
  TwoPhaseKeys two_phase;
  /// Where the coordinator reaches each of them; empty: its listener.
  std::map<std::string, std::string> base_urls{{"shop", ""}, {"payment", ""}, {"inventory", ""}};
  ShopMode mode = ShopMode::message;
  StoreKind store = StoreKind::sqlite;

  // As written in the file; settle() puts them into the structs above.
  std::vector<std::string> broker_topics, broker_groups;
  std::string broker_access_key, broker_secret_key, check_profile = "default";
  std::vector<std::string> router_topics{"ecommerce-orders;ecommerce.orders;order.confirmed"};
  std::string router_access_key = "holdfast", router_secret_key = "holdfast";
  std::vector<std::string> notifier_looks{"500ms", "2s", "5s"};
  std::string on_absent = "resend", mode_name = "message", store_name = "sqlite";
  std::string account_sid, auth_token;  ///< one account for router, notifier and phone

  bool has_role(std::string_view role) const;
};

/// Where a role listens.
const ListenConfig& listen_of(const Config& config, std::string_view role);
/// The database of each store that the mode has, by the name of the role that keeps it; whatever roles run here.
std::map<std::string, std::string*> databases_of(Config& config);

/// Every key. The structs outlive the schema.
void describe(ConfigSchema& schema, Config& config);
/// Parses lists, applies profiles, checks what spans keys. Errors: invalid · denied: beyond loopback without
/// authentication (P10).
Result<void> settle(Config& config);

}  // namespace hf::app
