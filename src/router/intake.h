#pragma once

/// The way in: an event is matched and stored with its deliveries in one unit of work, and only then acknowledged.

#include <string>
#include <string_view>
#include <vector>

#include "router/config.h"
#include "router/control.h"
#include "router/dispatcher.h"
#include "router/store.h"
#include "sys/world.h"
#include "wire/eventbridge/event.h"

namespace hf::router {

class Intake {
 public:
  struct Incoming {
    eb::Event event;
    std::string origin;  ///< StoredEvent::origin
  };
  Intake(sys::World world, const RouterConfig& config, const Control& control, Store& store, Dispatcher& dispatcher);

  /// Durable when it returns. An event whose id is already stored changes nothing (a message that came again).
  /// Errors: what the database says; then nothing of `events` is stored, or, for `timeout`, perhaps all of it.
  Task<> accept(std::vector<Incoming> events);

  /// A message of a topic as an event. A body that is a JSON object with `source`, `detail-type` and an object `detail`
  /// says it all; any other JSON object is the detail, and properties `source`, `detail-type`, the tag and the
  /// subscription's defaults say the rest. The id follows from topic and message id, so a repeated delivery is the same
  /// event. Error: invalid: no event can be made of it.
  Result<Incoming> from_message(const TopicSubscription& topic, std::string_view message_id, std::string_view tag,
                                const std::map<std::string, std::string>& properties, std::string_view body) const;

 private:
  EventStory match(const Incoming& incoming, EnvelopePtr envelope) const;
  void look_again(const std::vector<EventStory>& stories);

  sys::World world_;
  const RouterConfig& config_;
  const Control& control_;
  Store& store_;
  Dispatcher& dispatcher_;
  metrics::Counter &events_, &repeated_, &unmatched_, &deliveries_;
};

/// The id of the event that a message became: the same however often it is received.
std::string event_id_of_message(std::string_view topic, std::string_view message_id);
/// "<event id>.<16 hex>": the same for the same event, rule and target, whenever it is computed.
std::string delivery_id(std::string_view event_id, std::string_view rule, std::string_view target);

}  // namespace hf::router
