#include "router/intake.h"

#include <fmt/format.h>

#include "base/log.h"
#include "net/crypto.h"

namespace hf::router {
namespace {

using eb::JsonKind;
using eb::JsonText;

/// A UUID (version 8: "ours to define") from a digest.
std::string uuid_of(std::string_view text) {
  std::string h = hex(as_bytes(net::sha256(text)).first(16));
  h[12] = '8';
  h[16] = 'a';
  return fmt::format("{}-{}-{}-{}-{}", h.substr(0, 8), h.substr(8, 4), h.substr(12, 4), h.substr(16, 4), h.substr(20));
}

std::string text_member(const JsonText& json, std::string_view name) {
  const JsonText::Node node = json.find(JsonText::root(), name);
  return node && json.kind(node) == JsonKind::string ? std::string(json.content(node)) : std::string();
}

std::string first_of(std::initializer_list<std::string_view> candidates) {
  for (const std::string_view one : candidates) {
    if (!one.empty()) return std::string(one);
  }
  return {};
}

std::string_view property(const std::map<std::string, std::string>& properties, const std::string& name) {
  const auto found = properties.find(name);
  return found == properties.end() ? std::string_view() : std::string_view(found->second);
}

}  // namespace

std::string delivery_id(std::string_view event_id, std::string_view rule, std::string_view target) {
  // Names hold no '\n', so no two triples are the same text.
  const std::string digest = net::sha256(fmt::format("{}\n{}\n{}", event_id, rule, target));
  return fmt::format("{}.{}", event_id, hex(as_bytes(digest).first(8)));
}

Intake::Intake(sys::World world, const RouterConfig& config, const Control& control, Store& store,
               Dispatcher& dispatcher)
    : world_(world),
      config_(config),
      control_(control),
      store_(store),
      dispatcher_(dispatcher),
      events_(world.metrics.counter("holdfast_router_events_total", "Events stored.")),
      repeated_(world.metrics.counter("holdfast_router_events_repeated_total", "Events that were already stored.")),
      unmatched_(world.metrics.counter("holdfast_router_events_unmatched_total", "Events that no rule matched.")),
      deliveries_(world.metrics.counter("holdfast_router_deliveries_total", "Deliveries created.")) {}

EventStory Intake::match(const Incoming& incoming, EnvelopePtr envelope) const {
  const WallTime now = world_.clock.wall();
  EventStory story;
  story.event = {
      incoming.event.id, incoming.event.source, incoming.event.detail_type, incoming.origin, envelope->text(), now, {}};
  for (const std::shared_ptr<const Rule>& rule : control_.catalogue()->match(*envelope)) {
    story.event.rules.push_back(rule->name);
    for (const eb::Target& target : rule->targets) {
      Delivery delivery;
      delivery.id = delivery_id(incoming.event.id, rule->name, target.id);
      delivery.event_id = incoming.event.id;
      delivery.rule = rule->name;
      delivery.target_id = target.id;
      delivery.target_arn = target.arn;
      delivery.since = delivery.next_attempt = delivery.updated = now;
      story.deliveries.push_back({std::move(delivery), {}});
    }
  }
  return story;
}

Task<> Intake::accept(std::vector<Incoming> events) {
  std::vector<EventStory> stories;
  std::vector<EnvelopePtr> envelopes;
  for (const Incoming& one : events) {
    HF_CO_TRY(JsonText json, JsonText::parse(to_json(one.event)));
    envelopes.push_back(std::make_shared<const JsonText>(std::move(json)));
    stories.push_back(match(one, envelopes.back()));
  }
  HF_CO_TRY(co_await world_.faults.reach("router.before_store"));
  const Result<std::vector<bool>> fresh = co_await store_.accept(stories);
  if (!fresh) {
    // The answer of a commit may be lost: what it may have stored must not wait for the next start.
    if (fresh.error().code == Code::timeout) look_again(stories);
    co_return fresh.error();
  }
  for (std::size_t i = 0; i < stories.size(); ++i) {
    EventStory& story = stories[i];
    const bool is_new = (*fresh)[i];
    (is_new ? events_ : repeated_).add();
    if (!is_new) {
      look_again({story});
      continue;
    }
    if (story.deliveries.empty()) unmatched_.add();
    deliveries_.add(static_cast<double>(story.deliveries.size()));
    log::debug("router.event",
               {{"event_id", story.event.id}, {"origin", story.event.origin}, {"rules", story.event.rules.size()}});
    for (DeliveryStory& one : story.deliveries) dispatcher_.enqueue(std::move(one.delivery), envelopes[i]);
  }
  co_return co_await world_.faults.reach("router.after_store");
}

void Intake::look_again(const std::vector<EventStory>& stories) {
  for (const EventStory& story : stories) {
    for (const DeliveryStory& one : story.deliveries) dispatcher_.look_again(one.delivery.target_arn);
  }
}

std::string event_id_of_message(std::string_view topic, std::string_view message_id) {
  return uuid_of(fmt::format("{}\n{}", topic, message_id));
}

Result<Intake::Incoming> Intake::from_message(const TopicSubscription& topic, std::string_view message_id,
                                              std::string_view tag,
                                              const std::map<std::string, std::string>& properties,
                                              std::string_view body) const {
  HF_TRY(const JsonText json, JsonText::parse(body));
  if (json.kind(JsonText::root()) != JsonKind::object) return Error{Code::invalid, "the message is not a JSON object"};
  Incoming out;
  out.origin = fmt::format("{}/{}", topic.topic, message_id);
  out.event.id = event_id_of_message(topic.topic, message_id);
  out.event.account = config_.account;
  out.event.region = config_.region;
  out.event.time = world_.clock.wall();
  const JsonText::Node detail = json.find(JsonText::root(), "detail");
  const std::string source = text_member(json, "source"), detail_type = text_member(json, "detail-type");
  if (detail && json.kind(detail) == JsonKind::object && !source.empty() && !detail_type.empty()) {
    out.event.source = source;
    out.event.detail_type = detail_type;
    out.event.detail = std::string(json.raw(detail));
    if (const Result<WallTime> time = from_rfc3339(text_member(json, "time"))) out.event.time = *time;
    return out;
  }
  out.event.source = first_of({property(properties, "source"), topic.source, topic.topic});
  out.event.detail_type = first_of({property(properties, "detail-type"), tag, topic.detail_type});
  if (out.event.detail_type.empty()) return Error{Code::invalid, "nothing says the message's detail-type"};
  out.event.detail = json.text();
  return out;
}

}  // namespace hf::router
