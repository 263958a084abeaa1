#pragma once

/// Carries deliveries to their targets: one lane per target ARN, so that a slow or dead destination holds back nobody.
///
/// A lane keeps the deliveries that are due soonest in memory, ordered by time, up to a bound; what is beyond it waits
/// in the database and is fetched when there is room. State is in the database alone: start() rebuilds every lane from
/// it. (design.md speaks of delayed messages for retries; they come when the broker has them:
/// docs/decisions/0009-retries-in-sql.md.)

#include <map>
#include <memory>
#include <set>
#include <string>

#include "net/http.h"
#include "router/config.h"
#include "router/control.h"
#include "router/delivery.h"
#include "router/store.h"
#include "sys/wait.h"
#include "sys/world.h"
#include "wire/eventbridge/invocation.h"

namespace hf::router {

/// So many per second, evenly; a burst of a tenth of a second's worth. Waiting here is no attempt.
class TokenBucket {
 public:
  /// When the next token is there; `now` or earlier: at once.
  Monotonic ready_at(std::int64_t per_second, Monotonic now);
  /// After ready_at() said so.
  void take() { tokens_ -= 1; }

 private:
  double tokens_ = 0;
  Monotonic filled_{};
  bool started_ = false;
};

using EnvelopePtr = std::shared_ptr<const eb::JsonText>;

class Dispatcher {
 public:
  Dispatcher(sys::World world, const RouterConfig& config, Store& store, const Control& control);
  ~Dispatcher();
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  /// Takes up every pending delivery of the database.
  Task<> start();
  /// No new attempt begins; those under way end (at most request_timeout and the time to record them).
  asio::awaitable<void> stop();

  /// A delivery that was just stored as pending. `envelope` may be empty: it is read when needed.
  void enqueue(Delivery delivery, EnvelopePtr envelope);
  /// The database may hold pending deliveries of this target that enqueue() was not told of.
  void look_again(const std::string& target_arn);

 private:
  struct Entry {
    Delivery delivery;
    EnvelopePtr envelope;
  };
  struct Lane;
  struct Call;
  struct Meters;

  Lane& lane(const std::string& target_arn);
  void admit(Lane& lane, Delivery delivery, EnvelopePtr envelope);
  asio::awaitable<void> run(Lane& lane);
  asio::awaitable<void> refill(Lane& lane);
  asio::awaitable<void> attempt(Lane& lane, Entry entry);
  asio::awaitable<Verdict> try_once(Entry& entry, Attempt& attempt);
  Task<EnvelopePtr> envelope_of(const Entry& entry);
  asio::awaitable<Outcome> call(const Entry& entry, const eb::Target& target, const Rule& rule, Attempt& attempt);
  Result<eb::Invocation> prepare(const Entry& entry, const eb::Target& target, const Rule& rule,
                                 Outcome& refusal) const;
  DeliveryRules rules_for(const eb::Target* target) const;
  asio::awaitable<bool> write(Delivery after, std::optional<Attempt> attempt);
  enum class Then { again, forget };
  void settle(Lane& lane, Entry entry, Then then);
  void report(const Delivery& delivery);

  sys::World world_;
  const RouterConfig& config_;
  Store& store_;
  const Control& control_;
  net::HttpClient http_;
  std::map<std::string, std::unique_ptr<Lane>, std::less<>> lanes_;
  bool stopping_ = false;
  sys::Event stop_;
  sys::TaskGroup tasks_;
  std::unique_ptr<Meters> meters_;
};

}  // namespace hf::router
