#include "router/dispatcher.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "net/backoff.h"

namespace hf::router {
namespace {

constexpr std::string_view kInvoke = "events:InvokeApiDestination";
constexpr std::size_t kSnippet = 256;
constexpr std::size_t kKeepEnvelope = 64 << 10;  ///< larger ones are read again when their turn comes

/// The first bytes of an answer, cut between characters.
std::string snippet(std::string_view body) {
  std::size_t size = std::min(body.size(), kSnippet);
  while (size > 0 && size < body.size() && (static_cast<unsigned char>(body[size]) & 0xC0) == 0x80) --size;
  return is_utf8(body.substr(0, size)) ? std::string(body.substr(0, size))
                                       : fmt::format("({} bytes, not text)", body.size());
}

net::HttpClient::Options http_options(const RouterConfig& config) {
  net::HttpClient::Options out;
  out.connections_per_origin = config.concurrency_per_destination * 4;  // several destinations may live at one origin
  return out;
}

std::string_view label(Outcome::Kind kind) {
  switch (kind) {
    case Outcome::Kind::answered:
      return "answered";
    case Outcome::Kind::timeout:
      return "timeout";
    case Outcome::Kind::unreachable:
      return "unreachable";
    case Outcome::Kind::denied:
      return "denied";
    case Outcome::Kind::no_resource:
      return "no_resource";
    case Outcome::Kind::invalid_input:
      return "invalid_input";
  }
  HF_ASSERT(false);  // the list is closed
}

}  // namespace

Monotonic TokenBucket::ready_at(std::int64_t per_second, Monotonic now) {
  const double rate = static_cast<double>(per_second), burst = std::max(1.0, rate / 10);
  if (!started_) {
    started_ = true;
    tokens_ = burst;
  } else {
    tokens_ = std::min(burst, tokens_ + std::chrono::duration<double>(now - filled_).count() * rate);
  }
  filled_ = now;
  if (tokens_ >= 1) return now;
  return now + std::chrono::duration_cast<Duration>(std::chrono::duration<double>((1 - tokens_) / rate)) + 1us;
}

struct Dispatcher::Lane {
  Lane(std::string name, sys::Clock& clock) : target_arn(std::move(name)), wake(clock) {}
  const std::string target_arn;
  std::multimap<Monotonic, Entry> waiting;  ///< by when they are due
  std::set<std::string> known;              ///< waiting or under way
  std::size_t under_way = 0;
  bool more_stored = false;  ///< the database has pending deliveries that are not in `known`
  TokenBucket bucket;
  sys::Event wake;
};

struct Dispatcher::Meters {
  explicit Meters(metrics::Registry& registry)
      : delivered(registry.counter("holdfast_router_delivered_total", "Deliveries that succeeded.")),
        retried(registry.counter("holdfast_router_retries_total", "Attempts that will be repeated.")),
        latency(registry.histogram("holdfast_router_attempt_seconds", "One request to a destination.")),
        age(registry.histogram("holdfast_router_delivery_seconds",
                               "From the event's arrival to its successful delivery.")),
        waiting(registry.gauge("holdfast_router_waiting", "Deliveries in memory, waiting or under way.")) {}
  metrics::Counter &delivered, &retried;
  metrics::Histogram &latency, &age;
  metrics::Gauge& waiting;
};

Dispatcher::Dispatcher(sys::World world, const RouterConfig& config, Store& store, const Control& control)
    : world_(world),
      config_(config),
      store_(store),
      control_(control),
      http_(world, http_options(config)),
      stop_(world.clock),
      tasks_(world.executor, world.clock),
      meters_(std::make_unique<Meters>(world.metrics)) {}
Dispatcher::~Dispatcher() = default;

Task<> Dispatcher::start() {
  HF_CO_TRY(const std::vector<std::string> targets, co_await store_.pending_targets());
  for (const std::string& target : targets) look_again(target);
  co_return ok();
}

asio::awaitable<void> Dispatcher::stop() {
  stopping_ = true;
  stop_.notify_all();
  for (auto& [arn, one] : lanes_) one->wake.notify_all();
  co_await tasks_.join();
  http_.close_idle();
}

Dispatcher::Lane& Dispatcher::lane(const std::string& target_arn) {
  const auto found = lanes_.find(target_arn);
  if (found != lanes_.end()) return *found->second;
  Lane& fresh = *lanes_.emplace(target_arn, std::make_unique<Lane>(target_arn, world_.clock)).first->second;
  tasks_.spawn("router.lane", run(fresh));
  return fresh;
}

void Dispatcher::enqueue(Delivery delivery, EnvelopePtr envelope) {
  if (stopping_) return;  // it is stored; the next start takes it up
  Lane& target = lane(delivery.target_arn);
  admit(target, std::move(delivery), std::move(envelope));
}

void Dispatcher::look_again(const std::string& target_arn) {
  if (stopping_) return;
  Lane& target = lane(target_arn);
  target.more_stored = true;
  target.wake.notify_all();
}

void Dispatcher::admit(Lane& lane, Delivery delivery, EnvelopePtr envelope) {
  if (lane.known.size() >= config_.queue_per_destination) {
    lane.more_stored = true;
    return;
  }
  if (!lane.known.insert(delivery.id).second) return;
  // The stored time is a wall time; from here on the wait is measured by the clock that does not jump. A wall clock
  // that was set back meanwhile makes it no longer than it was planned.
  const auto planned = std::max<Duration>(delivery.next_attempt - delivery.updated, 0s);
  const auto wait = std::clamp<Duration>(delivery.next_attempt - world_.clock.wall(), 0s, planned);
  if (envelope && envelope->text().size() > kKeepEnvelope) envelope.reset();
  lane.waiting.emplace(world_.clock.now() + wait, Entry{std::move(delivery), std::move(envelope)});
  meters_->waiting.add(1);
  lane.wake.notify_all();
}

asio::awaitable<void> Dispatcher::run(Lane& lane) {
  while (!stopping_) {
    if (lane.more_stored && lane.known.size() <= config_.queue_per_destination / 2) {
      co_await refill(lane);
      continue;
    }
    Monotonic until = Monotonic::max();
    if (!lane.waiting.empty() && lane.under_way < config_.concurrency_per_destination) {
      const CataloguePtr catalogue = control_.catalogue();
      const eb::ApiDestination* destination = catalogue->destination_by_arn(lane.target_arn);
      const Monotonic now = world_.clock.now();
      until = std::max(lane.waiting.begin()->first,
                       lane.bucket.ready_at(destination ? destination->rate_per_second : 1'000, now));
      if (until <= now) {
        lane.bucket.take();
        ++lane.under_way;
        tasks_.spawn("router.attempt", attempt(lane, std::move(lane.waiting.extract(lane.waiting.begin()).mapped())));
        continue;
      }
    }
    co_await lane.wake.wait_until(until);
  }
}

asio::awaitable<void> Dispatcher::refill(Lane& lane) {
  lane.more_stored = false;
  const std::size_t limit = config_.queue_per_destination;
  Result<std::vector<Delivery>> found = co_await store_.pending(lane.target_arn, limit);
  if (!found) {
    log::warn("router.refill_failed", {{"target", lane.target_arn}, {"error", found.error().to_string()}});
    lane.more_stored = true;
    co_await stop_.wait_until(world_.clock.now() + 1s);
    co_return;
  }
  const bool whole = found->size() < limit;
  // What the snapshot shows as pending may have been settled meanwhile; the attempt looks again before it calls.
  for (Delivery& delivery : *found) admit(lane, std::move(delivery), nullptr);
  if (!whole) lane.more_stored = true;
}

Task<EnvelopePtr> Dispatcher::envelope_of(const Entry& entry) {
  if (entry.envelope) co_return entry.envelope;
  HF_CO_TRY(const std::optional<std::string> text, co_await store_.envelope(entry.delivery.event_id));
  if (!text) co_return Error{Code::corrupt, "the event of a delivery is not there: " + entry.delivery.event_id};
  HF_CO_TRY(eb::JsonText json, eb::JsonText::parse(*text));
  co_return std::make_shared<const eb::JsonText>(std::move(json));
}

DeliveryRules Dispatcher::rules_for(const eb::Target* target) const {
  return {target ? target->retry : eb::RetryPolicy{}, config_.retry_first, config_.retry_max, config_.retry_after_max};
}

asio::awaitable<void> Dispatcher::attempt(Lane& lane, Entry entry) {
  bool current = true;
  if (!entry.envelope) {  // from the database: it may be older than what has been settled since
    Result<std::optional<DeliveryStory>> stored = co_await store_.delivery(entry.delivery.id);
    current = stored && *stored && (*stored)->delivery.state == DeliveryState::pending;
    if (current) entry.delivery = std::move((*stored)->delivery);
    if (!stored) lane.more_stored = true;  // the database is not answering: fetched again later
  }
  if (current) {
    Result<EnvelopePtr> envelope = co_await envelope_of(entry);
    current = envelope.has_value();
    if (current) {
      entry.envelope = std::move(*envelope);
    } else {
      log::error("router.event_unreadable",
                 {{"delivery_id", entry.delivery.id}, {"error", envelope.error().to_string()}});
      lane.more_stored = envelope.error().code != Code::corrupt;
    }
  }
  if (current) {
    Attempt made;
    Verdict verdict = co_await try_once(entry, made);
    Delivery& delivery = entry.delivery;
    delivery.state = verdict.state;
    delivery.next_attempt = verdict.next_attempt;
    delivery.error_code = std::move(verdict.error_code);
    delivery.error = std::move(verdict.error);
    delivery.condition = std::move(verdict.condition);
    delivery.updated = world_.clock.wall();
    if (co_await write(delivery, made.number > 0 ? std::optional(std::move(made)) : std::nullopt)) report(delivery);
    if (auto reached = co_await world_.faults.reach("router.after_record"); !reached) {
      log::warn("router.fault", {{"delivery_id", delivery.id}});
    }
  }
  const bool again = current && entry.delivery.state == DeliveryState::pending;
  settle(lane, std::move(entry), again ? Then::again : Then::forget);
}

void Dispatcher::settle(Lane& lane, Entry entry, Then then) {
  lane.known.erase(entry.delivery.id);
  --lane.under_way;
  meters_->waiting.add(-1);
  if (then == Then::again && !stopping_) admit(lane, std::move(entry.delivery), std::move(entry.envelope));
  lane.wake.notify_all();
}

/// Decides and, if there is a request to be made, makes it. `attempt.number` stays 0 if nothing was tried.
asio::awaitable<Verdict> Dispatcher::try_once(Entry& entry, Attempt& attempt) {
  Delivery& delivery = entry.delivery;
  const CataloguePtr catalogue = control_.catalogue();  // keeps rule and target alive across the waits below
  const auto rule = catalogue->rules.find(delivery.rule);
  const eb::Target* target = nullptr;
  if (rule != catalogue->rules.end()) {
    const auto found = std::ranges::find(rule->second->targets, delivery.target_id, &eb::Target::id);
    if (found != rule->second->targets.end()) target = &*found;
  }
  const DeliveryRules rules = rules_for(target);
  if (auto late =
          expired(delivery.tries, delivery.since, rules, world_.clock.wall(), delivery.error_code, delivery.error))
    co_return *late;
  attempt.number = ++delivery.attempts;
  attempt.at = world_.clock.wall();
  ++delivery.tries;
  Outcome outcome{Outcome::Kind::no_resource, 0, {}, "the rule or its target was removed"};
  if (target) outcome = co_await call(entry, *target, *rule->second, attempt);
  Verdict verdict = decide(outcome, delivery.tries, delivery.since, rules, world_.clock.wall(), world_.random.unit());
  attempt.status = outcome.status;
  attempt.error = verdict.error;
  world_.metrics
      .counter("holdfast_router_attempts_total", "Attempts by how they ended.",
               {{"outcome", std::string(label(outcome.kind))}})
      .add();
  co_return verdict;
}

Result<eb::Invocation> Dispatcher::prepare(const Entry& entry, const eb::Target& target, const Rule& rule,
                                           Outcome& refusal) const {
  const CataloguePtr catalogue = control_.catalogue();
  const auto refuse = [&](Outcome::Kind kind, std::string why) {
    refusal.kind = kind;
    refusal.detail = why;
    return Error{Code::invalid, std::move(why)};
  };
  const eb::ApiDestination* destination = catalogue->destination_by_arn(target.arn);
  if (!destination) return refuse(Outcome::Kind::no_resource, "there is no API destination " + target.arn);
  const eb::Connection* connection = catalogue->connection_by_arn(destination->connection_arn);
  if (!connection)
    return refuse(Outcome::Kind::no_resource,
                  "the connection of API destination " + destination->name + " was deleted");
  const auto role = catalogue->roles.find(target.role_arn);
  if (role == catalogue->roles.end() || !role->second->allows(kInvoke, destination->arn)) {
    return refuse(Outcome::Kind::denied,
                  fmt::format("AccessDenied: {} is not authorized to perform {} on {}",
                              target.role_arn.empty() ? "(no role)" : target.role_arn, kInvoke, destination->arn));
  }
  const std::string ingested = to_rfc3339(entry.delivery.since);
  const eb::InputContext context{*entry.envelope, rule.arn, rule.name, ingested};
  Result<eb::Invocation> built = eb::build_invocation(*destination, *connection, target, context, entry.delivery.id);
  if (!built) return refuse(Outcome::Kind::invalid_input, built.error().message);
  return built;
}

asio::awaitable<Outcome> Dispatcher::call(const Entry& entry, const eb::Target& target, const Rule& rule,
                                          Attempt& attempt) {
  Outcome out;
  Result<eb::Invocation> prepared = prepare(entry, target, rule, out);
  if (!prepared) co_return out;
  net::HttpRequest request;
  request.method = prepared->method;
  for (auto& [name, value] : prepared->headers) request.headers.add(std::move(name), std::move(value));
  request.body = std::move(prepared->body);
  const std::string without_query = prepared->url.substr(0, prepared->url.find('?'));  // a query may hold a secret
  attempt.request = request.method + ' ' + without_query;
  if (auto reached = co_await world_.faults.reach("router.before_call"); !reached) {
    co_return Outcome{Outcome::Kind::unreachable, 0, {}, reached.error().message};
  }
  const Monotonic begin = world_.clock.now();
  Result<net::HttpResponse> response =
      co_await http_.send(std::move(request), prepared->url, begin + config_.request_timeout);
  attempt.latency = world_.clock.now() - begin;
  meters_->latency.observe_seconds(std::chrono::duration<double>(attempt.latency).count());
  if (auto reached = co_await world_.faults.reach("router.after_call"); !reached) {
    co_return Outcome{Outcome::Kind::timeout, 0, {}, reached.error().message};
  }
  if (!response) {
    out.kind = response.error().code == Code::timeout   ? Outcome::Kind::timeout
               : response.error().code == Code::invalid ? Outcome::Kind::invalid_input
                                                        : Outcome::Kind::unreachable;
    out.detail = response.error().message;
    co_return out;
  }
  out.status = response->status;
  attempt.snippet = snippet(response->body);
  if (out.status >= 300) out.detail = attempt.snippet;
  if (const auto after = response->headers.get("Retry-After"))
    out.retry_after = eb::parse_retry_after(*after, world_.clock.wall());
  co_return out;
}

/// Repeats until it is durable: the request went out and must not be forgotten. False: we are stopping, or must stop.
asio::awaitable<bool> Dispatcher::write(Delivery after, std::optional<Attempt> attempt) {
  const net::Backoff backoff{100ms, 5s};
  for (std::uint32_t failures = 0;; ++failures) {
    Result<void> written = attempt ? co_await store_.record(after, *attempt) : co_await store_.update(after);
    if (written) co_return true;
    log::error("router.record_failed", {{"delivery_id", after.id}, {"error", written.error().to_string()}});
    if (stopping_ || written.error().code == Code::corrupt) co_return false;
    co_await stop_.wait_until(world_.clock.now() + backoff.delay(failures, world_.random));
  }
}

void Dispatcher::report(const Delivery& delivery) {
  switch (delivery.state) {
    case DeliveryState::delivered:
      meters_->delivered.add();
      meters_->age.observe_seconds(std::chrono::duration<double>(delivery.updated - delivery.since).count());
      log::debug("router.delivered",
                 {{"delivery_id", delivery.id}, {"rule", delivery.rule}, {"attempts", delivery.attempts}});
      return;
    case DeliveryState::pending:
      meters_->retried.add();
      log::debug("router.retry",
                 {{"delivery_id", delivery.id}, {"code", delivery.error_code}, {"attempts", delivery.attempts}});
      return;
    case DeliveryState::dead:
      world_.metrics
          .counter("holdfast_router_dead_letters_total", "Deliveries given up, by error code.",
                   {{"code", delivery.error_code}})
          .add();
      log::error("router.dead_letter", {{"delivery_id", delivery.id},
                                        {"rule", delivery.rule},
                                        {"target", delivery.target_id},
                                        {"code", delivery.error_code},
                                        {"condition", delivery.condition},
                                        {"attempts", delivery.attempts}});
      return;
  }
}

}  // namespace hf::router
