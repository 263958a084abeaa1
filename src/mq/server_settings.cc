#include "mq/server_settings.h"

#include <algorithm>

#include "wire/rocketmq/rules.h"
#include "wire/rocketmq/times.h"

namespace hf::mq {

ServerSettings ServerSettings::from(const pb::Settings& settings) {
  ServerSettings out;
  if (settings.has_backoff_policy()) out.backoff = BackoffPolicy::from(settings.backoff_policy());
  if (settings.has_publishing()) {
    const pb::Publishing& publishing = settings.publishing();
    if (publishing.max_body_size() > 0) out.max_body_size = static_cast<std::size_t>(publishing.max_body_size());
    out.validate_message_type = publishing.validate_message_type();
  }
  if (settings.has_subscription()) {
    const pb::Subscription& subscription = settings.subscription();
    out.fifo = subscription.fifo();
    if (subscription.receive_batch_size() > 0)
      out.receive_batch = std::min(subscription.receive_batch_size(), wire::rocketmq::kReceiveBatchMax);
    if (subscription.has_long_polling_timeout())
      out.polling = std::clamp<Duration>(wire::rocketmq::from_proto(subscription.long_polling_timeout()),
                                         wire::rocketmq::kPollingMin, wire::rocketmq::kPollingMax);
  }
  return out;
}

}  // namespace hf::mq
