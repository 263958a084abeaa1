#pragma once

/// What the router writes, in which order (tables: docs/formats/router.md).
///
/// An event and all its deliveries are one unit of work, durable before PutEvents answers or the message is
/// acknowledged; an attempt and the state it leads to are one unit. So after any crash each delivery is either
/// untouched, or carries every attempt whose outcome was ever acted upon.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "router/catalogue.h"
#include "router/delivery.h"
#include "sql/database.h"

namespace hf::router {

struct StoredEvent {
  std::string id, source, detail_type;
  std::string origin;    ///< "PutEvents", or "topic/message-id"
  std::string envelope;  ///< JSON, as targets receive it
  WallTime received{};
  std::vector<std::string> rules;  ///< that matched
};

struct Delivery {
  std::string id;  ///< "<event id>.<16 hex of rule and target>": also X-Holdfast-Event-Id
  std::string event_id, rule, target_id, target_arn;
  DeliveryState state = DeliveryState::pending;
  std::int64_t tries = 0;     ///< in this round
  std::int64_t attempts = 0;  ///< ever
  std::int64_t redrives = 0;
  WallTime since{};  ///< start of this round: the event's age counts from here
  WallTime next_attempt{};
  WallTime updated{};
  std::string error_code, error, condition;
};

struct Attempt {
  std::int64_t number = 0;  ///< 1, 2, …: Delivery::attempts when it was made
  WallTime at{};
  Duration latency{};
  std::int64_t status = 0;  ///< 0: no answer
  std::string request;      ///< "POST http://…"
  std::string error;        ///< "" after a success
  std::string snippet;      ///< the answer's first bytes
};

struct DeliveryStory {
  Delivery delivery;
  std::vector<Attempt> attempts;
};
struct EventStory {
  StoredEvent event;
  std::vector<DeliveryStory> deliveries;
};

class Store {
 public:
  explicit Store(sql::Database& database) : db_(database) {}

  Task<> migrate();
  /// Rules and the rest, without index.
  Task<Catalogue> load();

  /// Runs several of the put_… and remove_… below as one unit.
  Task<> change(std::function<Result<void>(sql::Transaction&)> work);
  static Result<void> put_rule(sql::Transaction& tx, const Rule& rule);  ///< without its targets
  static Result<void> remove_rule(sql::Transaction& tx, const std::string& name);
  static Result<void> put_target(sql::Transaction& tx, const std::string& rule, const eb::Target& target,
                                 std::size_t position);
  static Result<void> remove_target(sql::Transaction& tx, const std::string& rule, const std::string& id);
  static Result<void> put_connection(sql::Transaction& tx, const eb::Connection& connection);
  static Result<void> remove_connection(sql::Transaction& tx, const std::string& name);
  static Result<void> put_destination(sql::Transaction& tx, const eb::ApiDestination& destination);
  static Result<void> remove_destination(sql::Transaction& tx, const std::string& name);
  static Result<void> put_role(sql::Transaction& tx, const Role& role);

  /// Writes each event that is not there yet, with its deliveries. The answer says which were new.
  Task<std::vector<bool>> accept(std::vector<EventStory> events);
  /// Writes an attempt and the delivery's new state. Writing the same again changes nothing.
  Task<> record(Delivery after, Attempt attempt);
  /// Writes a state that no attempt led to (too old).
  Task<> update(Delivery after);
  /// A dead delivery becomes pending again, as if it had just arrived. Errors: not_found, conflict (it is not dead).
  Task<Delivery> redrive(std::string id, WallTime now);

  /// Pending deliveries of one target ARN (or of all if empty), soonest first.
  Task<std::vector<Delivery>> pending(std::string target_arn, std::size_t limit);
  /// Target ARNs that have pending deliveries.
  Task<std::vector<std::string>> pending_targets();
  Task<std::optional<EventStory>> event(std::string id);
  Task<std::optional<DeliveryStory>> delivery(std::string id);
  Task<std::optional<std::string>> envelope(std::string event_id);
  Task<std::vector<Delivery>> dead(std::size_t limit);
  struct Counts {
    std::int64_t events = 0, pending = 0, delivered = 0, dead = 0;
  };
  Task<Counts> counts();
  /// Removes up to `limit` events received before `before` that have no delivery pending or dead. Returns how many.
  Task<std::int64_t> prune(WallTime before, std::size_t limit);

 private:
  sql::Database& db_;
};

}  // namespace hf::router
