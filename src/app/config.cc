#include "app/config.h"

#include <fmt/format.h>

#include <algorithm>

#include "phone/phone.h"
#include "router/router.h"

namespace hf::app {
namespace {

constexpr std::string_view kRoles[] = {"broker", "shop", "router", "notifier", "phone", "console"};
constexpr Duration kDay = 24h;

void describe_listen(ConfigSection& section, ListenConfig& listen, const std::string& speaks) {
  section.text("host", listen.host, "address to bind to; beyond loopback only with authentication")
      .port("port", listen.port, speaks);
}

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

Result<void> settle_broker(Config& config) {
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

/// P10: who listens beyond loopback has authentication that is not the published default.
Result<void> check_exposure(const Config& config) {
  const bool default_token = config.auth_token == phone::kSandboxToken;
  const struct {
    std::string_view role;
    const ListenConfig& listen;
    std::string missing;
  } listeners[] = {
      {"broker", config.broker_listen,
       config.broker_access_key.empty() ? "broker.access_key and broker.secret_key" : ""},
      {"shop", config.shop_listen, "a proxy that authenticates buyers: the order service itself asks nobody"},
      {"router", config.router_listen, config.router_secret_key == "holdfast" ? "router.secret_key of your own" : ""},
      {"notifier", config.notifier_listen, default_token ? "twilio.auth_token of your own" : ""},
      {"phone", config.phone_listen, default_token ? "twilio.auth_token of your own" : ""},
      {"console", config.console_listen, config.admin_token.empty() ? "console.admin_token" : ""},
  };
  for (const auto& [role, listen, missing] : listeners) {
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

void describe(ConfigSchema& schema, Config& config) {
  schema.section("process", "this process")
      .list("roles", config.roles, "which parts of the chain run here: broker, shop, router, notifier, phone, console")
      .text("data", config.data, "folder of everything that is stored; created if absent")
      .choice("log_level", config.log_level, {"debug", "info", "warn", "error"}, "what is logged to standard error")
      .text("messages", config.messages, "the broker: \"embedded:\", or rocketmq://host:8081 (rocketmqs:// for TLS)")
      .text("messages_access_key", config.messages_access_key,
            "access key for that broker; empty: calls are not signed")
      .secret("messages_secret_key", config.messages_secret_key, "its secret")
      .duration("drain", config.drain, 0s, 5min, "how long SIGTERM waits for what is under way");

  schema.section("twilio", "the account that router, notifier and phone share")
      .text("account_sid", config.account_sid, "AC and 32 hexadecimal digits")
      .secret("auth_token", config.auth_token, "its token; also signs status callbacks");

  auto& broker = schema.section("broker", "the message broker (RocketMQ 5 gRPC)");
  describe_listen(broker, config.broker_listen, "gRPC, TLS and plaintext on one port");
  broker.text("certificate_file", config.broker_listen.certificate_file, "PEM; empty: self-signed, made at start")
      .text("key_file", config.broker_listen.key_file, "PEM")
      .text("name", config.broker.name, "broker name in routes; stable")
      .text("advertise", config.broker.advertise, "host:port given to clients; empty: the address each client used")
      .flag("auto_create_topics", config.broker.auto_create_topics, "an unknown topic is created, type MIXED")
      .flag("auto_create_groups", config.broker.auto_create_groups, "an unknown consumer group is created")
      .list("topics", config.broker_topics, "created at start: \"name\" or \"name:NORMAL|TRANSACTION|MIXED\"")
      .list("groups", config.broker_groups, "created at start; they see each topic from its first message on")
      .integer("max_attempts", config.broker.max_attempts, 1, 1000, "deliveries before a message is dead-lettered")
      .choice("check_profile", config.check_profile, {"default", "window-15s"},
              "window-15s: undecided half messages are parked and reported after 15 s in all")
      .duration("first_check", config.broker.check_back.first_after, 100ms, 1h,
                "age of a half message at its first check-back")
      .duration("check_interval", config.broker.check_back.interval, 100ms, 1h, "between check-backs")
      .duration("client_expiry", config.broker.client_expiry, 1s, 1h,
                "without a call and a stream for so long a client is gone: what it had received goes to others")
      .integer("max_checks", config.broker.check_back.max_checks, 1, 1000, "delivered check-backs, then it is parked")
      .integer("max_pending", config.broker.check_back.max_pending, std::size_t{1}, std::size_t{100'000'000},
               "undecided half messages; beyond: TOO_MANY_REQUESTS")
      .duration("keep_consumed", config.broker.retention.keep_consumed, 0s, 3650 * kDay,
                "what all groups consumed stays this long")
      .integer("keep_consumed_bytes", config.broker.retention.keep_consumed_bytes, std::uint64_t{0},
               std::uint64_t{1} << 50, "… and at most this much log, in bytes")
      .integer("segment_bytes", config.broker.segment_bytes, std::uint64_t{8} << 20, std::uint64_t{1} << 30,
               "size of a log segment; fixed when the data folder is made")
      .integer("cache_bytes", config.broker.cache_bytes, std::size_t{0}, std::size_t{1} << 34,
               "recent messages kept in memory for consumers that keep up")
      .text("access_key", config.broker_access_key, "clients must sign with it; empty: nobody is asked")
      .secret("secret_key", config.broker_secret_key, "its secret");

  auto& shop = schema.section("shop", "the order service");
  describe_listen(shop, config.shop_listen, "HTTP: POST /orders, GET /orders/{id}, GET /items");
  shop.text("database", config.shop_database, "where orders, stock and markers are kept")
      .text("topic", config.shop.topic, "topic of the orders' messages")
      .list("items", config.shop.items, "put on sale at the first start: \"id;name;price in minor units;pieces\"")
      .integer("orders_in_flight", config.shop.orders_in_flight, std::size_t{1}, std::size_t{100'000}, "beyond: 503")
      .duration("retry_after", config.shop.retry_after, 1s, 1h, "what a refused client is told to wait")
      .duration("repeat_wait", config.shop.repeat_wait, 100ms, 1min,
                "how long a repeat waits for the first of its key");

  auto& router = schema.section("router", "the event router (EventBridge)");
  describe_listen(router, config.router_listen, "AWS JSON 1.1, signed");
  router.text("database", config.router_database, "where rules, events and deliveries are kept")
      .text("region", config.router.region, "of every ARN and of the signature's scope")
      .text("account", config.router.account, "12 digits, of every ARN")
      .text("access_key", config.router_access_key, "who may call the API")
      .secret("secret_key", config.router_secret_key, "its secret")
      .text("rules_file", config.router.rules_file, "applied at every start; empty: the built-in three channel rules")
      .text("notifier_url", config.router.notifier_url,
            "{{notifier_url}} in the rules; a notifier of this process wins")
      .text("twilio_number", config.router.twilio_number, "{{twilio_number}}, the sender")
      .text("whatsapp_number", config.router.whatsapp_number, "{{whatsapp_number}}")
      .list("topics", config.router_topics, "topics whose messages become events: \"topic;source;detail-type\"")
      .text("group", config.router.group, "consumer group of these subscriptions")
      .duration("request_timeout", config.router.request_timeout, 100ms, 60s, "for a destination's whole answer")
      .integer("concurrency_per_destination", config.router.concurrency_per_destination, std::size_t{1},
               std::size_t{1000}, "requests under way at one destination")
      .duration("retry_first", config.router.retry_first, 10ms, 1h, "wait before the first retry; doubles")
      .duration("retry_max", config.router.retry_max, 10ms, kDay, "longest wait by the policy")
      .duration("retry_after_max", config.router.retry_after_max, 0s, kDay, "longest wait a Retry-After can ask for")
      .duration("keep_finished", config.router.keep_finished, 0s, 3650 * kDay,
                "delivered events are kept this long; 0s: always");

  auto& notifier = schema.section("notifier", "the notification gateway (Twilio REST) with its delivery ledger");
  describe_listen(notifier, config.notifier_listen, "Twilio REST");
  notifier.text("database", config.notifier.database, "the delivery ledger")
      .text("provider_url", config.notifier.provider_url, "Twilio's base URL; a phone of this process wins")
      .text("callback_base_url", config.notifier.callback_base_url,
            "where the provider reaches us; a free port is filled in")
      .text("from_sms", config.notifier.from_sms, "From of a message without one")
      .text("from_whatsapp", config.notifier.from_whatsapp, "the same for WhatsApp")
      .text("from_voice", config.notifier.from_voice, "the same for calls")
      .duration("call_timeout", config.notifier.call_timeout, 100ms, 5min, "of one provider call")
      .duration("answer_within", config.notifier.answer_within, 100ms, 5min, "a request is held this long before 503")
      .integer("calls_in_flight", config.notifier.calls_in_flight, std::size_t{1}, std::size_t{1000},
               "provider calls at a time")
      .real("calls_per_second", config.notifier.calls_per_second, 0, 1e6,
            "provider calls begun per second; 0: no limit")
      .duration("retry_min", config.notifier.retry_min, 1ms, 1h, "first back-off after `certainly not created`")
      .duration("retry_max", config.notifier.retry_max, 1ms, kDay, "its longest")
      .duration("retry_for", config.notifier.retry_for, 1s, 30 * kDay, "then the notification is parked")
      .list("looks", config.notifier_looks, "after a lost answer the provider's list is looked at after these times")
      .choice("on_absent", config.on_absent, {"resend", "park"},
              "what happens when a lost call is proven to have created nothing")
      .integer("attempts_max", config.notifier.attempts_max, 1, 10, "calls whose outcome was lost, before parking");

  auto& phone = schema.section("phone", "the phone sandbox (Twilio REST)");
  describe_listen(phone, config.phone_listen, "Twilio REST, and /control");
  phone.text("database", config.phone.database, "messages and calls")
      .list("senders", config.phone.senders, "numbers the account owns; empty: any is ours")
      .duration("step", config.phone.step, 1ms, 1h, "from one status to the next")
      .duration("ring", config.phone.ring, 1ms, 10min, "how long a call rings")
      .duration("hang", config.phone.hang, 1s, 1h, "how long a hanging request hangs");

  auto& console = schema.section("console", "metrics, health, administration");
  describe_listen(console, config.console_listen, "HTTP: /metrics, /health, /admin");
  console.secret("admin_token", config.admin_token, "wanted as `Authorization: Bearer …`; empty: nobody is asked");
}

Result<void> settle(Config& config) {
  if (config.roles.empty()) return Error{Code::invalid, "process.roles: at least one role"};
  for (const std::string& role : config.roles) {
    if (std::find(std::begin(kRoles), std::end(kRoles), role) == std::end(kRoles)) {
      return Error{Code::invalid, fmt::format("process.roles: there is no role '{}'", role)};
    }
  }
  const bool wants_messages = config.has_role("shop") || config.has_role("router");
  if (config.messages == "embedded:" && wants_messages && !config.has_role("broker")) {
    return Error{Code::invalid,
                 "process.messages is \"embedded:\", but the broker is not among the roles of this process"};
  }
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
