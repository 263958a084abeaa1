#include "mq/own_settings.h"

#include "wire/rocketmq/times.h"

namespace hf::mq {

pb::Settings producer_settings(const ProducerConfig& config) {
  pb::Settings settings;
  settings.set_client_type(pb::PRODUCER);
  settings.mutable_publishing();
  for (const std::string& topic : config.topics) settings.mutable_publishing()->add_topics()->set_name(topic);
  return settings;
}

pb::Settings consumer_settings(const ConsumerConfig& config, pb::ClientType type) {
  pb::Settings settings;
  settings.set_client_type(type);
  pb::Subscription& subscription = *settings.mutable_subscription();
  subscription.mutable_group()->set_name(config.group);
  for (const Subscription& wanted : config.subscriptions) {
    pb::SubscriptionEntry& entry = *subscription.add_subscriptions();
    entry.mutable_topic()->set_name(wanted.topic);
    *entry.mutable_expression() = to_filter(wanted);
  }
  wire::rocketmq::to_proto(config.polling, *subscription.mutable_long_polling_timeout());
  return settings;
}

pb::FilterExpression to_filter(const Subscription& subscription) {
  pb::FilterExpression filter;
  filter.set_type(subscription.type == FilterType::sql ? pb::SQL : pb::TAG);
  filter.set_expression(subscription.filter);
  return filter;
}

}  // namespace hf::mq
