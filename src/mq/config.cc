#include "mq/config.h"

#include <algorithm>
#include <set>

#include "mq/client.h"
#include "wire/rocketmq/rules.h"

namespace hf::mq {
namespace {

struct Bound {
  const char* field;
  Duration value, min, max;
};

Result<void> check_bound(const Bound& bound) {
  if (bound.value >= bound.min && bound.value <= bound.max) return ok();
  return Error{Code::invalid, std::string(bound.field) + " = " + format_duration(bound.value) + " is not in " +
                                  format_duration(bound.min) + " … " + format_duration(bound.max)};
}

Result<void> check_count(const char* field, int value, int min, int max) {
  if (value >= min && value <= max) return ok();
  return Error{Code::invalid, std::string(field) + " = " + std::to_string(value) + " is not in " + std::to_string(min) +
                                  " … " + std::to_string(max)};
}

Result<void> accept(const char* field, const wire::rocketmq::Verdict& verdict) {
  if (!verdict) return ok();
  return Error{Code::invalid, std::string(field) + ": " + verdict->message};
}

bool is_plain(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  });
}

}  // namespace

Result<void> check(const ClientConfig& config) {
  const Bound kBounds[] = {
      {"request_timeout", config.request_timeout, 100ms, 60s},
      {"heartbeat_interval", config.heartbeat_interval, 1s, 60s},
      {"route_refresh", config.route_refresh, 1s, 10min},
      {"settings_refresh", config.settings_refresh, 10s, 1h},
      {"reconnect_min", config.reconnect_min, 100ms, 1min},
      {"reconnect_max", config.reconnect_max, config.reconnect_min, 1min},
      {"drain_timeout", config.drain_timeout, 0s, 1h},
  };
  for (const Bound& bound : kBounds) HF_TRY(check_bound(bound));
  if (!is_plain(config.name)) return Error{Code::invalid, "name must be letters, digits and '-', 64 at most"};
  if (config.access_key.empty() != config.secret_key.empty())
    return Error{Code::invalid, "access_key and secret_key are given together, or not at all"};
  return ok();
}

Result<void> check(const ProducerConfig& config) {
  for (const std::string& topic : config.topics) HF_TRY(accept("topics", wire::rocketmq::check_topic(topic)));
  HF_TRY(check_bound({"send_timeout", config.send_timeout, 100ms, 5min}));
  HF_TRY(check_count("max_attempts", config.max_attempts, 0, 16));
  return check_count("checks_in_flight", config.checks_in_flight, 1, 10'000);
}

Result<void> check(const ConsumerConfig& config) {
  HF_TRY(accept("group", wire::rocketmq::check_group(config.group)));
  if (config.subscriptions.empty()) return Error{Code::invalid, "subscriptions: at least one"};
  std::set<std::string> topics;
  for (const Subscription& subscription : config.subscriptions) {
    HF_TRY(accept("subscriptions", wire::rocketmq::check_topic(subscription.topic)));
    if (!topics.insert(subscription.topic).second)
      return Error{Code::invalid, "subscriptions: topic " + subscription.topic + " twice"};
  }
  HF_TRY(check_bound({"polling", config.polling, wire::rocketmq::kPollingMin, wire::rocketmq::kPollingMax}));
  HF_TRY(check_count("concurrency", config.concurrency, 1, 10'000));
  return check_count("batch", config.batch, 1, wire::rocketmq::kReceiveBatchMax);
}

}  // namespace hf::mq
