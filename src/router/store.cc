#include "router/store.h"

#include <fmt/format.h>

#include "base/assert.h"

namespace hf::router {
namespace {

using sql::Params;
using sql::Reader;
using sql::Row;
using sql::Rows;
using sql::Transaction;

const std::vector<sql::Migration>& migrations() {
  static const std::vector<sql::Migration> all = {
      {1,
       "rules, events, deliveries",
       {
           "CREATE TABLE router_rules (name VARCHAR(64) NOT NULL PRIMARY KEY, arn VARCHAR(1600) NOT NULL, pattern TEXT "
           "NOT NULL, "
           "enabled INTEGER NOT NULL, description TEXT NOT NULL, role_arn VARCHAR(1600) NOT NULL)",
           "CREATE TABLE router_targets (rule VARCHAR(64) NOT NULL, id VARCHAR(64) NOT NULL, position INTEGER NOT "
           "NULL, "
           "body TEXT NOT NULL, PRIMARY KEY (rule, id))",
           "CREATE TABLE router_connections (name VARCHAR(64) NOT NULL PRIMARY KEY, arn VARCHAR(1600) NOT NULL, "
           "description TEXT NOT NULL, authorization_type VARCHAR(32) NOT NULL, auth_parameters TEXT NOT NULL, "
           "created_at_us BIGINT NOT NULL, modified_at_us BIGINT NOT NULL, authorized_at_us BIGINT NOT NULL)",
           "CREATE TABLE router_destinations (name VARCHAR(64) NOT NULL PRIMARY KEY, arn VARCHAR(1600) NOT NULL, "
           "description TEXT NOT NULL, connection_arn VARCHAR(1600) NOT NULL, endpoint TEXT NOT NULL, method "
           "VARCHAR(16) NOT NULL, "
           "rate_per_second INTEGER NOT NULL, created_at_us BIGINT NOT NULL, modified_at_us BIGINT NOT NULL)",
           "CREATE TABLE router_roles (arn VARCHAR(255) NOT NULL PRIMARY KEY, statements TEXT NOT NULL)",
           "CREATE TABLE router_events (id VARCHAR(64) NOT NULL PRIMARY KEY, source VARCHAR(255) NOT NULL, "
           "detail_type VARCHAR(255) NOT NULL, origin VARCHAR(512) NOT NULL, envelope LONGTEXT NOT NULL, "
           "received_at_us BIGINT NOT NULL, rules TEXT NOT NULL)",
           "CREATE INDEX router_events_received ON router_events (received_at_us)",
           "CREATE TABLE router_deliveries (id VARCHAR(96) NOT NULL PRIMARY KEY, event_id VARCHAR(64) NOT NULL, "
           "rule VARCHAR(64) NOT NULL, target_id VARCHAR(64) NOT NULL, target_arn VARCHAR(512) NOT NULL, state "
           "VARCHAR(16) NOT NULL, "
           "tries INTEGER NOT NULL, attempts INTEGER NOT NULL, redrives INTEGER NOT NULL, since_us BIGINT NOT NULL, "
           "next_attempt_us BIGINT NOT NULL, updated_at_us BIGINT NOT NULL, error_code VARCHAR(64) NOT NULL, error "
           "TEXT NOT NULL, "
           "give_up_condition VARCHAR(64) NOT NULL)",
           "CREATE INDEX router_deliveries_event ON router_deliveries (event_id)",
           "CREATE INDEX router_deliveries_due ON router_deliveries (state, target_arn, next_attempt_us)",
           "CREATE TABLE router_attempts (delivery_id VARCHAR(96) NOT NULL, number INTEGER NOT NULL, at_us BIGINT NOT "
           "NULL, "
           "latency_us BIGINT NOT NULL, status INTEGER NOT NULL, request TEXT NOT NULL, error TEXT NOT NULL, snippet "
           "TEXT NOT NULL, "
           "PRIMARY KEY (delivery_id, number))",
       }},
  };
  return all;
}

/// Replaces a row by its key: plain SQL has no upsert that both databases spell alike.
Result<void> replace(Transaction& tx, std::string_view remove, Params key, std::string_view insert, Params row) {
  HF_TRY(tx.execute(remove, std::move(key)));
  HF_TRY(tx.execute(insert, std::move(row)));
  return ok();
}

std::string text_list(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const std::string& item : items) out += (out.size() > 1 ? "," : "") + eb::json_string(item);
  return out + ']';
}
std::vector<std::string> read_text_list(const eb::JsonText& json, eb::JsonText::Node list) {
  std::vector<std::string> out;
  json.for_each_child(list, [&](eb::JsonText::Node child) { out.emplace_back(json.content(child)); });
  return out;
}

constexpr std::string_view kDeliveryColumns =
    "id, event_id, rule, target_id, target_arn, state, tries, attempts, redrives, since_us, next_attempt_us, "
    "updated_at_us, "
    "error_code, error, give_up_condition";

Delivery to_delivery(const Row& row) {
  Delivery out;
  out.id = row.text(0);
  out.event_id = row.text(1);
  out.rule = row.text(2);
  out.target_id = row.text(3);
  out.target_arn = row.text(4);
  out.state = delivery_state_from(row.text(5));
  out.tries = row.integer(6);
  out.attempts = row.integer(7);
  out.redrives = row.integer(8);
  out.since = wall_from_us(row.integer(9));
  out.next_attempt = wall_from_us(row.integer(10));
  out.updated = wall_from_us(row.integer(11));
  out.error_code = row.text(12);
  out.error = row.text(13);
  out.condition = row.text(14);
  return out;
}

Result<std::vector<Delivery>> query_deliveries(Reader& reader, std::string_view rest, Params params) {
  HF_TRY(const Rows rows,
         reader.query(fmt::format("SELECT {} FROM router_deliveries {}", kDeliveryColumns, rest), std::move(params)));
  std::vector<Delivery> out;
  out.reserve(rows.size());
  for (const Row& row : rows) out.push_back(to_delivery(row));
  return out;
}

Result<std::vector<Attempt>> query_attempts(Reader& reader, const std::string& delivery) {
  HF_TRY(const Rows rows,
         reader.query("SELECT number, at_us, latency_us, status, request, error, snippet FROM router_attempts "
                      "WHERE delivery_id = ? ORDER BY number",
                      {delivery}));
  std::vector<Attempt> out;
  for (const Row& row : rows) {
    out.push_back({row.integer(0), wall_from_us(row.integer(1)), std::chrono::microseconds(row.integer(2)),
                   row.integer(3), row.text(4), row.text(5), row.text(6)});
  }
  return out;
}

Result<void> insert_delivery(Transaction& tx, const Delivery& d) {
  HF_TRY(tx.execute(
      fmt::format("INSERT INTO router_deliveries ({}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                  kDeliveryColumns),
      {d.id, d.event_id, d.rule, d.target_id, d.target_arn, std::string(to_string(d.state)), d.tries, d.attempts,
       d.redrives, to_us(d.since), to_us(d.next_attempt), to_us(d.updated), d.error_code, d.error, d.condition}));
  return ok();
}

Result<void> update_delivery(Transaction& tx, const Delivery& d) {
  HF_TRY(
      tx.execute("UPDATE router_deliveries SET state = ?, tries = ?, attempts = ?, redrives = ?, since_us = ?, "
                 "next_attempt_us = ?, "
                 "updated_at_us = ?, error_code = ?, error = ?, give_up_condition = ? WHERE id = ?",
                 {std::string(to_string(d.state)), d.tries, d.attempts, d.redrives, to_us(d.since),
                  to_us(d.next_attempt), to_us(d.updated), d.error_code, d.error, d.condition, d.id}));
  return ok();
}

Error damaged(const std::string& what, const Error& why) {
  return {Code::corrupt, fmt::format("stored {}: {}", what, why.message)};
}

Result<void> load_rules(Reader& reader, Catalogue& into) {
  std::map<std::string, std::shared_ptr<Rule>> rules;
  HF_TRY(const Rows rows, reader.query("SELECT name, arn, pattern, enabled, description, role_arn FROM router_rules"));
  for (const Row& row : rows) {
    auto rule = std::make_shared<Rule>();
    rule->name = row.text(0);
    rule->arn = row.text(1);
    rule->pattern_text = row.text(2);
    rule->enabled = row.integer(3) != 0;
    rule->description = row.text(4);
    rule->role_arn = row.text(5);
    Result<eb::EventPattern> pattern = eb::EventPattern::compile(rule->pattern_text);
    if (!pattern) return damaged("pattern of rule " + rule->name, pattern.error());
    rule->pattern = std::move(*pattern);
    rules[rule->name] = std::move(rule);
  }
  HF_TRY(const Rows targets, reader.query("SELECT rule, id, body FROM router_targets ORDER BY rule, position, id"));
  for (const Row& row : targets) {
    const auto rule = rules.find(row.text(0));
    if (rule == rules.end()) return Error{Code::corrupt, "target without rule: " + row.text(1)};
    HF_TRY(const eb::JsonText json, eb::JsonText::parse(row.text(2)));
    eb::Problems problems;
    eb::Target target = eb::parse_target({json, eb::JsonText::root(), "", problems});
    if (!problems.empty()) return damaged("target " + row.text(1), Error{Code::invalid, problems.message()});
    rule->second->targets.push_back(std::move(target));
  }
  for (auto& [name, rule] : rules) into.rules[name] = std::move(rule);
  return ok();
}

Result<void> load_connections(Reader& reader, Catalogue& into) {
  HF_TRY(const Rows rows,
         reader.query("SELECT name, arn, description, authorization_type, auth_parameters, created_at_us, "
                      "modified_at_us, authorized_at_us FROM router_connections"));
  for (const Row& row : rows) {
    auto connection = std::make_shared<eb::Connection>();
    connection->name = row.text(0);
    connection->arn = row.text(1);
    connection->description = row.text(2);
    connection->authorization_type = row.text(3);
    connection->created = wall_from_us(row.integer(5));
    connection->modified = wall_from_us(row.integer(6));
    connection->authorized = wall_from_us(row.integer(7));
    HF_TRY(const eb::JsonText json, eb::JsonText::parse(row.text(4)));
    eb::Problems problems;
    eb::parse_auth_parameters({json, eb::JsonText::root(), "", problems}, *connection, eb::ShapeReader::Need::required);
    // The message would quote the value: the text may hold a secret.
    if (!problems.empty()) return Error{Code::corrupt, "stored parameters of connection " + connection->name};
    into.connections[connection->name] = std::move(connection);
  }
  return ok();
}

Result<void> load_destinations(Reader& reader, Catalogue& into) {
  HF_TRY(const Rows rows,
         reader.query("SELECT name, arn, description, connection_arn, endpoint, method, rate_per_second, "
                      "created_at_us, modified_at_us FROM router_destinations"));
  for (const Row& row : rows) {
    auto destination = std::make_shared<eb::ApiDestination>();
    destination->name = row.text(0);
    destination->arn = row.text(1);
    destination->description = row.text(2);
    destination->connection_arn = row.text(3);
    destination->endpoint = row.text(4);
    destination->method = row.text(5);
    destination->rate_per_second = row.integer(6);
    destination->created = wall_from_us(row.integer(7));
    destination->modified = wall_from_us(row.integer(8));
    into.destinations[destination->name] = std::move(destination);
  }
  return ok();
}

Result<void> load_roles(Reader& reader, Catalogue& into) {
  HF_TRY(const Rows rows, reader.query("SELECT arn, statements FROM router_roles"));
  for (const Row& row : rows) {
    auto role = std::make_shared<Role>();
    role->arn = row.text(0);
    HF_TRY(const eb::JsonText json, eb::JsonText::parse(row.text(1)));
    json.for_each_child(eb::JsonText::root(), [&](eb::JsonText::Node node) {
      role->statements.push_back(
          {read_text_list(json, json.find(node, "Action")), read_text_list(json, json.find(node, "Resource"))});
    });
    into.roles[role->arn] = std::move(role);
  }
  return ok();
}

}  // namespace

Task<> Store::migrate() { return db_.migrate("router", migrations()); }

Task<Catalogue> Store::load() {
  std::function<Result<Catalogue>(Reader&)> work = [](Reader& reader) -> Result<Catalogue> {
    Catalogue out;
    HF_TRY(load_rules(reader, out));
    HF_TRY(load_connections(reader, out));
    HF_TRY(load_destinations(reader, out));
    HF_TRY(load_roles(reader, out));
    return out;
  };
  return db_.read<Catalogue>(std::move(work));
}

Task<> Store::change(std::function<Result<void>(Transaction&)> work) { return db_.write(std::move(work)); }

Result<void> Store::put_rule(Transaction& tx, const Rule& rule) {
  return replace(
      tx, "DELETE FROM router_rules WHERE name = ?", {rule.name},
      "INSERT INTO router_rules (name, arn, pattern, enabled, description, role_arn) VALUES (?, ?, ?, ?, ?, ?)",
      {rule.name, rule.arn, rule.pattern_text, std::int64_t{rule.enabled}, rule.description, rule.role_arn});
}
Result<void> Store::remove_rule(Transaction& tx, const std::string& name) {
  HF_TRY(tx.execute("DELETE FROM router_rules WHERE name = ?", {name}));
  return ok();
}
Result<void> Store::put_target(Transaction& tx, const std::string& rule, const eb::Target& target,
                               std::size_t position) {
  return replace(tx, "DELETE FROM router_targets WHERE rule = ? AND id = ?", {rule, target.id},
                 "INSERT INTO router_targets (rule, id, position, body) VALUES (?, ?, ?, ?)",
                 {rule, target.id, static_cast<std::int64_t>(position), target.json});
}
Result<void> Store::remove_target(Transaction& tx, const std::string& rule, const std::string& id) {
  HF_TRY(tx.execute("DELETE FROM router_targets WHERE rule = ? AND id = ?", {rule, id}));
  return ok();
}
Result<void> Store::put_connection(Transaction& tx, const eb::Connection& c) {
  return replace(
      tx, "DELETE FROM router_connections WHERE name = ?", {c.name},
      "INSERT INTO router_connections (name, arn, description, authorization_type, auth_parameters, created_at_us, "
      "modified_at_us, authorized_at_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
      {c.name, c.arn, c.description, c.authorization_type, eb::auth_parameters_json(c, eb::Secrets::shown),
       to_us(c.created), to_us(c.modified), to_us(c.authorized)});
}
Result<void> Store::remove_connection(Transaction& tx, const std::string& name) {
  HF_TRY(tx.execute("DELETE FROM router_connections WHERE name = ?", {name}));
  return ok();
}
Result<void> Store::put_destination(Transaction& tx, const eb::ApiDestination& d) {
  return replace(
      tx, "DELETE FROM router_destinations WHERE name = ?", {d.name},
      "INSERT INTO router_destinations (name, arn, description, connection_arn, endpoint, method, rate_per_second, "
      "created_at_us, modified_at_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      {d.name, d.arn, d.description, d.connection_arn, d.endpoint, d.method, d.rate_per_second, to_us(d.created),
       to_us(d.modified)});
}
Result<void> Store::remove_destination(Transaction& tx, const std::string& name) {
  HF_TRY(tx.execute("DELETE FROM router_destinations WHERE name = ?", {name}));
  return ok();
}
Result<void> Store::put_role(Transaction& tx, const Role& role) {
  std::string statements = "[";
  for (const Role::Statement& one : role.statements) {
    if (statements.size() > 1) statements += ',';
    statements += "{\"Action\":" + text_list(one.actions) + ",\"Resource\":" + text_list(one.resources) + '}';
  }
  return replace(tx, "DELETE FROM router_roles WHERE arn = ?", {role.arn},
                 "INSERT INTO router_roles (arn, statements) VALUES (?, ?)", {role.arn, statements + ']'});
}

Task<std::vector<bool>> Store::accept(std::vector<EventStory> events) {
  std::function<Result<std::vector<bool>>(Transaction&)> work =
      [events = std::move(events)](Transaction& tx) -> Result<std::vector<bool>> {
    std::vector<bool> fresh;
    for (const EventStory& story : events) {
      const StoredEvent& e = story.event;
      HF_TRY(const bool inserted,
             tx.insert_if_absent(
                 "INSERT INTO router_events (id, source, detail_type, origin, envelope, "
                 "received_at_us, rules) VALUES (?, ?, ?, ?, ?, ?, ?)",
                 {e.id, e.source, e.detail_type, e.origin, e.envelope, to_us(e.received), text_list(e.rules)}));
      fresh.push_back(inserted);
      if (!inserted) continue;
      for (const DeliveryStory& one : story.deliveries) HF_TRY(insert_delivery(tx, one.delivery));
    }
    return fresh;
  };
  return db_.write<std::vector<bool>>(std::move(work));
}

Task<> Store::record(Delivery after, Attempt attempt) {
  std::function<Result<void>(Transaction&)> work = [after = std::move(after),
                                                    attempt = std::move(attempt)](Transaction& tx) -> Result<void> {
    const auto latency = std::chrono::duration_cast<std::chrono::microseconds>(attempt.latency).count();
    HF_TRY(const bool fresh,
           tx.insert_if_absent("INSERT INTO router_attempts (delivery_id, number, at_us, latency_us, status, request, "
                               "error, snippet) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                               {after.id, attempt.number, to_us(attempt.at), std::int64_t{latency}, attempt.status,
                                attempt.request, attempt.error, attempt.snippet}));
    if (!fresh) return ok();
    return update_delivery(tx, after);
  };
  return db_.write(std::move(work));
}

Task<> Store::update(Delivery after) {
  std::function<Result<void>(Transaction&)> work = [after = std::move(after)](Transaction& tx) {
    return update_delivery(tx, after);
  };
  return db_.write(std::move(work));
}

Task<Delivery> Store::redrive(std::string id, WallTime now) {
  std::function<Result<Delivery>(Transaction&)> work = [id = std::move(id), now](Transaction& tx) -> Result<Delivery> {
    HF_TRY(std::vector<Delivery> found, query_deliveries(tx, "WHERE id = ?", {id}));
    if (found.empty()) return Error{Code::not_found, "there is no delivery " + id};
    Delivery& delivery = found.front();
    if (delivery.state != DeliveryState::dead) {
      return Error{Code::conflict, fmt::format("delivery {} is {}, not dead", id, to_string(delivery.state))};
    }
    delivery.state = DeliveryState::pending;
    delivery.tries = 0;
    ++delivery.redrives;
    delivery.since = delivery.next_attempt = delivery.updated = now;
    HF_TRY(update_delivery(tx, delivery));
    return std::move(delivery);
  };
  return db_.write<Delivery>(std::move(work));
}

Task<std::vector<Delivery>> Store::pending(std::string target_arn, std::size_t limit) {
  std::function<Result<std::vector<Delivery>>(Reader&)> work = [target_arn = std::move(target_arn),
                                                                limit](Reader& reader) {
    return query_deliveries(reader, "WHERE state = 'pending' AND target_arn = ? ORDER BY next_attempt_us LIMIT ?",
                            {target_arn, static_cast<std::int64_t>(limit)});
  };
  return db_.read<std::vector<Delivery>>(std::move(work));
}

Task<std::vector<std::string>> Store::pending_targets() {
  std::function<Result<std::vector<std::string>>(Reader&)> work =
      [](Reader& reader) -> Result<std::vector<std::string>> {
    HF_TRY(const Rows rows, reader.query("SELECT DISTINCT target_arn FROM router_deliveries WHERE state = 'pending'"));
    std::vector<std::string> out;
    for (const Row& row : rows) out.push_back(row.text(0));
    return out;
  };
  return db_.read<std::vector<std::string>>(std::move(work));
}

Task<std::optional<EventStory>> Store::event(std::string id) {
  std::function<Result<std::optional<EventStory>>(Reader&)> work =
      [id = std::move(id)](Reader& reader) -> Result<std::optional<EventStory>> {
    HF_TRY(
        const std::optional<Row> row,
        reader.query_one(
            "SELECT id, source, detail_type, origin, envelope, received_at_us, rules FROM router_events WHERE id = ?",
            {id}));
    if (!row) return std::optional<EventStory>();
    EventStory out;
    HF_TRY(const eb::JsonText rules, eb::JsonText::parse(row->text(6)));
    out.event = {row->text(0),
                 row->text(1),
                 row->text(2),
                 row->text(3),
                 row->text(4),
                 wall_from_us(row->integer(5)),
                 read_text_list(rules, eb::JsonText::root())};
    HF_TRY(std::vector<Delivery> deliveries, query_deliveries(reader, "WHERE event_id = ? ORDER BY id", {id}));
    for (Delivery& delivery : deliveries) {
      HF_TRY(std::vector<Attempt> attempts, query_attempts(reader, delivery.id));
      out.deliveries.push_back({std::move(delivery), std::move(attempts)});
    }
    return std::optional<EventStory>(std::move(out));
  };
  return db_.read<std::optional<EventStory>>(std::move(work));
}

Task<std::optional<DeliveryStory>> Store::delivery(std::string id) {
  std::function<Result<std::optional<DeliveryStory>>(Reader&)> work =
      [id = std::move(id)](Reader& reader) -> Result<std::optional<DeliveryStory>> {
    HF_TRY(std::vector<Delivery> found, query_deliveries(reader, "WHERE id = ?", {id}));
    if (found.empty()) return std::optional<DeliveryStory>();
    HF_TRY(std::vector<Attempt> attempts, query_attempts(reader, id));
    return std::optional<DeliveryStory>(DeliveryStory{std::move(found.front()), std::move(attempts)});
  };
  return db_.read<std::optional<DeliveryStory>>(std::move(work));
}

Task<std::optional<std::string>> Store::envelope(std::string event_id) {
  std::function<Result<std::optional<std::string>>(Reader&)> work =
      [event_id = std::move(event_id)](Reader& reader) -> Result<std::optional<std::string>> {
    HF_TRY(const std::optional<Row> row,
           reader.query_one("SELECT envelope FROM router_events WHERE id = ?", {event_id}));
    return row ? std::optional<std::string>(row->text(0)) : std::nullopt;
  };
  return db_.read<std::optional<std::string>>(std::move(work));
}

Task<std::vector<Delivery>> Store::dead(std::size_t limit) {
  std::function<Result<std::vector<Delivery>>(Reader&)> work = [limit](Reader& reader) {
    return query_deliveries(reader, "WHERE state = 'dead' ORDER BY updated_at_us DESC LIMIT ?",
                            {static_cast<std::int64_t>(limit)});
  };
  return db_.read<std::vector<Delivery>>(std::move(work));
}

Task<Store::Counts> Store::counts() {
  std::function<Result<Counts>(Reader&)> work = [](Reader& reader) -> Result<Counts> {
    Counts out;
    HF_TRY(const std::optional<Row> events, reader.query_one("SELECT COUNT(*) FROM router_events"));
    out.events = events->integer(0);
    HF_TRY(const Rows rows, reader.query("SELECT state, COUNT(*) FROM router_deliveries GROUP BY state"));
    for (const Row& row : rows) {
      const DeliveryState state = delivery_state_from(row.text(0));
      (state == DeliveryState::pending ? out.pending
       : state == DeliveryState::dead  ? out.dead
                                       : out.delivered) = row.integer(1);
    }
    return out;
  };
  return db_.read<Counts>(std::move(work));
}

Task<std::int64_t> Store::prune(WallTime before, std::size_t limit) {
  std::function<Result<std::int64_t>(Transaction&)> work = [before, limit](Transaction& tx) -> Result<std::int64_t> {
    HF_TRY(const Rows old,
           tx.query("SELECT id FROM router_events e WHERE received_at_us < ? AND NOT EXISTS (SELECT 1 FROM "
                    "router_deliveries d WHERE d.event_id = e.id AND d.state <> 'delivered') LIMIT ?",
                    {to_us(before), static_cast<std::int64_t>(limit)}));
    for (const Row& row : old) {
      const std::string& id = row.text(0);
      HF_TRY(tx.execute(
          "DELETE FROM router_attempts WHERE delivery_id IN (SELECT id FROM router_deliveries WHERE event_id = ?)",
          {id}));
      HF_TRY(tx.execute("DELETE FROM router_deliveries WHERE event_id = ?", {id}));
      HF_TRY(tx.execute("DELETE FROM router_events WHERE id = ?", {id}));
    }
    return static_cast<std::int64_t>(old.size());
  };
  return db_.write<std::int64_t>(std::move(work));
}

}  // namespace hf::router
