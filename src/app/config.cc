#include "app/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "coordinator/coordinator.h"
#include "phone/phone.h"
#include "router/router.h"

namespace hf::app {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

bool is_loopback(const std::string& host) { return host.starts_with("127.") || host == "::1" || host == "localhost"; }

/// Orders of the mode "message" are transactional messages; an outbox publishes ordinary ones.
std::vector<std::string> topics_of(const Config& config) {
  if (config.mode == ShopMode::message) return {config.shop.topic + ":TRANSACTION"};
  std::vector<std::string> topics = {config.shop.topic + ":NORMAL"};
  if (config.mode == ShopMode::outbox) {
    topics.push_back(config.local_table.orders_topic + ":NORMAL");
    topics.push_back(config.local_table.results_topic + ":NORMAL");
  }
  return topics;
}

std::vector<std::string> groups_of(const Config& config) {
  if (config.mode != ShopMode::outbox) return {config.router.group};
  return {config.router.group, config.local_table.inventory_group, config.local_table.shop_group};
}

/// What [shop] says, for the mode "outbox".
Result<void> settle_local_table(Config& config) {
  shop::LocalTableConfig& table = config.local_table;
  table.items = config.shop.items;
  table.events_topic = config.shop.topic;
  table.orders_in_flight = config.shop.orders_in_flight;
  table.retry_after = config.shop.retry_after;
  table.broker_wait = config.shop.broker_wait;
  table.drain = config.shop.drain;
  HF_TRY(participant::check(table.outbox));
  return participant::check(table.inbox);
}

Result<void> settle_broker(Config& config) {
  if (config.broker_topics.empty()) config.broker_topics = topics_of(config);
  if (config.broker_groups.empty()) config.broker_groups = groups_of(config);
  config.broker.topics.clear();
  for (const std::string& entry : config.broker_topics) {
    const std::vector<std::string> parts = split(entry, ':');
    const std::string type = parts.size() > 1 ? parts[1] : "MIXED";
    broker::TopicConfig topic{.name = parts[0]};
    const auto known = {broker::TopicType::normal, broker::TopicType::transaction, broker::TopicType::mixed};
    const auto* found = std::find_if(known.begin(), known.end(), [&](auto t) { return broker::to_string(t) == type; });
    if (found == known.end() || parts.size() > 2) {
      return Error{Code::invalid,
                   fmt::format("broker.topics: '{}' is not name or name:NORMAL|TRANSACTION|MIXED", entry)};
    }
    topic.type = *found;
    config.broker.topics.push_back(std::move(topic));
  }
  config.broker.groups.clear();
  for (const std::string& name : config.broker_groups) config.broker.groups.push_back({.name = name});
  if (config.broker_access_key.empty() != config.broker_secret_key.empty()) {
    return Error{Code::invalid, "broker.access_key and broker.secret_key go together"};
  }
  config.broker.access_keys.clear();
  if (!config.broker_access_key.empty()) config.broker.access_keys[config.broker_access_key] = config.broker_secret_key;
  if (config.check_profile == "window-15s") {
    config.broker.check_back.interval = 4s;  // checks after 6 s, 10 s, 14 s; parked and reported after 15 s
    config.broker.check_back.park_after = 15s;
  }
  return ok();
}

Result<void> settle_router(Config& config) {
  config.router.topics.clear();
  for (const std::string& entry : config.router_topics) {
    const std::vector<std::string> parts = split(entry, ';');
    if (parts.size() != 3)
      return Error{Code::invalid, fmt::format("router.topics: '{}' is not topic;source;detail-type", entry)};
    config.router.topics.push_back({parts[0], parts[1], parts[2]});
  }
  config.router.access_keys = {{config.router_access_key, config.router_secret_key}};
  return router::check(config.router);
}

Result<void> settle_notifier(Config& config) {
  config.notifier.looks.clear();
  for (const std::string& look : config.notifier_looks) {
    HF_TRY(const Duration after, parse_duration(look));
    config.notifier.looks.push_back(after);
  }
  config.notifier.on_absent = config.on_absent == "park" ? notifier::OnAbsent::park : notifier::OnAbsent::resend;
  return ok();
}

Result<void> settle_mode(Config& config) {
  config.mode = *shop_mode_from(config.mode_name);
  config.store = config.store_name == "sqlite"    ? StoreKind::sqlite
                 : config.store_name == "mariadb" ? StoreKind::mariadb
                                                  : StoreKind::mariadb_all;
  const std::vector<std::string>& all = roles_of(config.mode);
  if (config.roles.empty()) config.roles = all;
  for (const std::string& role : config.roles) {
    if (std::find(all.begin(), all.end(), role) != all.end()) continue;
    const std::string elsewhere = modes_with_role(role);
    if (elsewhere.empty()) return Error{Code::invalid, fmt::format("process.roles: there is no role '{}'", role)};
    return Error{Code::invalid, fmt::format("process.roles: shop.mode \"{}\" has no role '{}'; modes that have it: {}",
                                            to_string(config.mode), role, elsewhere)};
  }
  const bool wants_messages = config.has_role("shop") || config.has_role("router") ||
                              (config.mode == ShopMode::outbox && config.has_role("inventory"));
  if (config.messages == "embedded:" && wants_messages && !config.has_role("broker")) {
    return Error{Code::invalid,
                 "process.messages is \"embedded:\", but the broker is not among the roles of this process"};
  }
  return ok();
}

/// In one process they find one another; from other processes they must be told.
Result<void> settle_two_phase(Config& config) {
  if (config.mode != ShopMode::two_phase) return ok();
  const TwoPhaseKeys& keys = config.two_phase;
  const auto misses = [&](const char* role, const std::string& url) { return url.empty() && !config.has_role(role); };
  const bool calls = config.has_role("shop");
  if ((calls || config.has_role("payment") || config.has_role("inventory")) &&
      misses("coordinator", keys.coordinator_url)) {
    return Error{Code::invalid,
                 "two_phase.coordinator_url: no coordinator among the roles of this process, and no URL"};
  }
  if (calls && misses("payment", keys.payment_url)) {
    return Error{Code::invalid, "two_phase.payment_url: no payment among the roles of this process, and no URL"};
  }
  if (calls && misses("inventory", keys.inventory_url)) {
    return Error{Code::invalid, "two_phase.inventory_url: no inventory among the roles of this process, and no URL"};
  }
  if (keys.branches.keep_ended < config.coordinator.keep_finished) {
    return Error{Code::invalid, "two_phase.keep_ended is shorter than coordinator.keep_finished"};
  }
  config.coordinator.secret = keys.secret;
  HF_TRY(coordinator::check(config.coordinator));
  config.payment.branches = config.inventory.branches = keys.branches;
  shop::PlaceOrderConfig& orders = config.place_order;
  if (!keys.payment_url.empty()) orders.payment_url = keys.payment_url;
  if (!keys.inventory_url.empty()) orders.inventory_url = keys.inventory_url;
  orders.topic = config.shop.topic;
  orders.orders_in_flight = config.shop.orders_in_flight;
  orders.retry_after = config.shop.retry_after;
  orders.repeat_wait = config.shop.repeat_wait;
  orders.drain = config.shop.drain;
  orders.traces = config.shop.traces;
  return ok();
}

/// P10: who listens beyond loopback has authentication that is not the published default.
Result<void> check_exposure(const Config& config) {
  const bool default_token = config.auth_token == phone::kSandboxToken;
  const std::string secret = config.two_phase.secret.empty() ? "two_phase.secret" : "";
  const struct {
    std::string_view role;
    std::string missing;
  } listeners[] = {
      {"broker", config.broker_access_key.empty() ? "broker.access_key and broker.secret_key" : ""},
      {"shop", "a proxy that authenticates buyers: the order service itself asks nobody"},
      {"router", config.router_secret_key == "holdfast" ? "router.secret_key of your own" : ""},
      {"notifier", default_token ? "twilio.auth_token of your own" : ""},
      {"phone", default_token ? "twilio.auth_token of your own" : ""},
      {"console", config.admin_token.empty() ? "console.admin_token" : ""},
      {"coordinator", secret},
      {"payment", secret},
      {"inventory", secret},
  };
  for (const auto& [role, missing] : listeners) {
    const ListenConfig& listen = listen_of(config, role);
    if (!config.has_role(role) || is_loopback(listen.host) || missing.empty()) continue;
    return Error{Code::denied,
                 fmt::format("{}.host = \"{}\" is beyond loopback: this needs {}", role, listen.host, missing)};
  }
  return ok();
}

}  // namespace

bool Config::has_role(std::string_view role) const {
  return std::find(roles.begin(), roles.end(), role) != roles.end();
}

const ListenConfig& listen_of(const Config& config, std::string_view role) {
  const std::pair<std::string_view, const ListenConfig*> all[] = {{"broker", &config.broker_listen},
                                                                  {"shop", &config.shop_listen},
                                                                  {"router", &config.router_listen},
                                                                  {"notifier", &config.notifier_listen},
                                                                  {"phone", &config.phone_listen},
                                                                  {"console", &config.console_listen},
                                                                  {"payment", &config.payment_listen},
                                                                  {"inventory", &config.inventory_listen},
                                                                  {"coordinator", &config.coordinator_listen}};
  const auto* found = std::find_if(std::begin(all), std::end(all), [&](const auto& one) { return one.first == role; });
  HF_ASSERT(found != std::end(all));
  return *found->second;
}

std::map<std::string, std::string*> databases_of(Config& config) {
  std::map<std::string, std::string*> all = {{"shop", &config.shop_database},
                                             {"router", &config.router_database},
                                             {"notifier", &config.notifier.database},
                                             {"phone", &config.phone.database}};
  if (config.mode != ShopMode::message) all["inventory"] = &config.inventory_database;
  if (config.mode == ShopMode::two_phase) {
    all["payment"] = &config.payment_database;
    all["coordinator"] = &config.coordinator_database;
  }
  return all;
}

Result<void> settle(Config& config) {
  HF_TRY(settle_mode(config));
  HF_TRY(settle_local_table(config));
  HF_TRY(settle_two_phase(config));
  if (config.account_sid.empty()) config.account_sid = phone::kSandboxAccount;
  if (config.auth_token.empty()) config.auth_token = phone::kSandboxToken;
  config.router.account_sid = config.notifier.account_sid = config.phone.account_sid = config.account_sid;
  config.router.auth_token = config.notifier.auth_token = config.phone.auth_token = config.auth_token;
  HF_TRY(settle_broker(config));
  HF_TRY(settle_router(config));
  HF_TRY(settle_notifier(config));
  return check_exposure(config);
}

}  // namespace hf::app
