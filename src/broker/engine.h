#pragma once

/// The driver: feeds the machines, performs their actions, owns timers and shutdown. Speaks in topics, groups and
/// positions; the protocol is the edge's business (rocketmq_edge.h). One strand.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/clients.h"
#include "broker/config.h"
#include "broker/state.h"
#include "broker/store.h"
#include "broker/tag_filter.h"
#include "sys/wait.h"
#include "sys/world.h"

namespace hf::broker {

/// Counts of every outcome, looked up once.
struct EngineMetrics {
  explicit EngineMetrics(metrics::Registry& registry);
  metrics::Counter &sent, &halves, &committed, &rolled_back, &decision_conflicts;
  metrics::Counter &delivered, &redelivered, &acknowledged, &skipped, &stale_handles, &dead_letters, &damaged;
  metrics::Counter &checks, &checks_nobody, &parked, &refused_overload;
  metrics::Gauge &half_pending, &half_parked, &polls, &clients, &waiting_records;
};

class Engine {
 public:
  /// Errors as Store::open, and `invalid`: the configuration contradicts what is stored.
  static Result<std::unique_ptr<Engine>> open(sys::World world, BrokerConfig config, std::string dir);
  /// Polls end empty, nothing new is accepted, what was accepted becomes durable, the log closes.
  Task<> stop();

  // ── topics and groups ────────────────────────────────────────────────────────────────────────────────────────────
  enum class Create { never, if_allowed, yes };
  /// Errors: not_found, exhausted (too many), unavailable.
  Result<TopicId> topic(std::string_view name, Create create, TopicType type = TopicType::mixed);
  Result<GroupId> group(std::string_view name, Create create, int max_attempts = 0);
  /// The group's way through the topic, from now on if it is new (P2: durable when this returns).
  Task<SubscriptionId> reading(GroupId group, TopicId topic);

  // ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────────
  /// Appends; the caller awaits `commit`. Errors: exhausted, unavailable.
  Result<Position> send(TopicId topic, std::uint32_t tag_hash, std::string message,
                        const std::shared_ptr<Commit>& commit);
  struct HalfSent {
    Position position = 0;
    std::uint32_t nonce = 0;
  };
  Result<HalfSent> send_half(TopicId topic, std::uint32_t tag_hash, std::string message, Duration first_check,
                             std::string_view sender, const std::shared_ptr<Commit>& commit);
  /// Ok once the decision is durable, also if it was decided so before. Errors: conflict: decided otherwise (P3) ·
  /// not_found: no such transaction.
  Task<> end_transaction(TopicId topic, Position half, std::uint32_t nonce, Verdict verdict, Decider decider);

  // ── delivering ───────────────────────────────────────────────────────────────────────────────────────────────────
  struct Poll {
    SubscriptionId subscription;
    TagFilter filter;
    int max = 32;
    Duration invisible = 60s;
    bool auto_renew = false;
    ClientNumber client = 0;
    Monotonic until;
    std::function<bool()> cancelled;  ///< may be empty
    std::function<void(std::function<void()>)> on_cancel;
  };
  struct Taken {
    Subscription::Delivery delivery;
    StoredBody body;
    pb::Message message;
  };
  /// Messages, or none when `until` has passed. Error: exhausted: too many polls.
  Task<std::vector<Taken>> poll(Poll poll);
  /// What a poll gave and could not be handed over: visible again after `after`, not counted.
  void take_back(SubscriptionId subscription, const std::vector<Taken>& taken, std::size_t from, Duration after);

  struct Handle {
    SubscriptionId subscription;
    QueueOffset offset = 0;
    Subscription::Nonce nonce = 0;
    std::uint32_t epoch = 0;  ///< which run of the broker gave it
  };
  Handle handle(SubscriptionId subscription, const Subscription::Delivery& delivery) const;
  /// One result per handle; all of them durable. Errors: not_found: stale handle · exhausted, unavailable: not written.
  Task<std::vector<Result<void>>> acknowledge(std::vector<Handle> handles);
  /// The new handle.
  Result<Handle> change_invisible(const Handle& handle, Duration invisible, bool forgive);
  Task<> dead_letter(const Handle& handle, std::string reason);
  std::optional<Handle> find_in_flight(SubscriptionId subscription, ClientNumber client, std::string_view message_id);

  // ── clients ──────────────────────────────────────────────────────────────────────────────────────────────────────
  /// `topics`: what a producer announces.
  void announce(Client& client, std::set<TopicId> topics);
  void terminate(Client& client);

  // ── what an operator wants (broker/admin.h) ──────────────────────────────────────────────────────────────────────
  Task<> restart_half(Position half);
  bool recheck_half(Position half);
  Task<> redrive(TopicId dead_letters, QueueOffset offset);
  struct Decided {
    Position half = 0;
    Verdict verdict = Verdict::commit;
    Decider decider = Decider::client;
    std::int64_t at_us = 0;
  };
  const std::deque<Decided>& recently_decided() const { return decided_; }

  sys::World& world() { return world_; }
  const BrokerConfig& config() const { return config_; }
  State& state() { return state_; }
  Store& store() { return *store_; }
  Clients& clients() { return clients_; }
  EngineMetrics& metrics() { return metrics_; }
  bool stopping() const { return stopping_; }
  void on_failed(std::function<void(const Error&)> callback) { on_failed_ = std::move(callback); }

 private:
  Engine(sys::World world, BrokerConfig config);
  Result<void> apply_config();
  sys::Event& poll_event(SubscriptionId subscription);
  void grew(TopicId topic);
  void applied(RecordKind kind, std::string_view body, Position position);

  Task<std::vector<Taken>> take(const Poll& poll);
  Result<void> begin_dead_letter(Reading& reading, QueueOffset offset, std::string reason,
                                 const std::shared_ptr<Commit>& commit);
  void write_skipped(Reading& reading, std::vector<QueueOffset> offsets);
  bool confirm(Reading& reading, const Poll& poll, Result<StoredBody>& body, Taken& taken,
               std::vector<QueueOffset>& skipped);

  Task<> settled_before(Position half, std::uint32_t nonce, TopicId topic, Verdict verdict);
  asio::awaitable<void> run_check_backs();
  asio::awaitable<void> check(Position half);
  void park(Position half);
  asio::awaitable<void> run_janitor();

  sys::World world_;
  const BrokerConfig config_;
  EngineMetrics metrics_;
  State state_;
  Clients clients_;
  std::unique_ptr<Store> store_;
  sys::TaskGroup tasks_;
  std::uint32_t epoch_ = 0;
  bool stopping_ = false;
  std::deque<std::shared_ptr<sys::Event>> poll_events_;  ///< by subscription id - 1
  std::size_t polls_ = 0;
  sys::Event check_wake_, janitor_wake_;
  Monotonic check_wake_at_ = Monotonic::max();
  std::size_t checks_running_ = 0;
  std::map<std::pair<GroupId, TopicId>, Position> opening_;  ///< subscriptions on their way to the disk
  std::deque<Decided> decided_;
  std::function<void(const Error&)> on_failed_;
};

/// The text of a transaction id: "<position>-<nonce>", 16 and 8 hex digits. Error of parsing: not_found.
std::string transaction_id(Position half, std::uint32_t nonce);
Result<Engine::HalfSent> parse_transaction_id(std::string_view text);
/// The text of a receipt handle, opaque to clients. Error: not_found.
std::string to_text(const Engine::Handle& handle);
Result<Engine::Handle> parse_handle(std::string_view text);

}  // namespace hf::broker
