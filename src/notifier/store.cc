#include "notifier/store.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"

namespace hf::notifier {
namespace {

using sql::Params;
using sql::Reader;
using sql::Row;
using sql::Rows;
using sql::Transaction;
using wire::twilio::Kind;
using wire::twilio::ListQuery;

constexpr std::string_view kColumns =
    "id, dedup_key, event_id, order_id, kind, state, attempt, lost, tries, sid, status, error_code, error_message, "
    "http_status, reason, created_at_us, attempt_started_at_us, state_since_us, due_at_us, to_address, from_address, "
    "messaging_service_sid, text, form, fingerprint, client_callback, client_events, resource";
constexpr std::string_view kPlaceholders = "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?";
constexpr std::string_view kOrphan = "orphan";  ///< stands where a notification's id would

const std::vector<sql::Migration>& migrations() {
  static const std::vector<sql::Migration> all = {
      {1,
       "delivery ledger",
       {
           "CREATE TABLE notifier_notification (id VARCHAR(34) NOT NULL PRIMARY KEY, dedup_key VARCHAR(400) NOT NULL, "
           "event_id VARCHAR(256) NOT NULL, order_id VARCHAR(128) NOT NULL, kind VARCHAR(8) NOT NULL, "
           "state VARCHAR(8) NOT NULL, attempt INTEGER NOT NULL, lost INTEGER NOT NULL, tries INTEGER NOT NULL, "
           "sid VARCHAR(34), status VARCHAR(24) NOT NULL, error_code INTEGER NOT NULL, error_message TEXT NOT NULL, "
           "http_status INTEGER NOT NULL, reason TEXT NOT NULL, created_at_us BIGINT NOT NULL, "
           "attempt_started_at_us BIGINT NOT NULL, state_since_us BIGINT NOT NULL, due_at_us BIGINT, "
           "to_address VARCHAR(80) NOT NULL, from_address VARCHAR(80) NOT NULL, messaging_service_sid VARCHAR(34) NOT "
           "NULL, "
           "text TEXT NOT NULL, form TEXT NOT NULL, fingerprint VARCHAR(64) NOT NULL, client_callback TEXT NOT NULL, "
           "client_events VARCHAR(64) NOT NULL, resource TEXT NOT NULL)",
           "CREATE UNIQUE INDEX notifier_notification_dedup ON notifier_notification (dedup_key)",
           "CREATE UNIQUE INDEX notifier_notification_sid ON notifier_notification (sid)",
           "CREATE INDEX notifier_notification_state ON notifier_notification (state, due_at_us)",
           "CREATE INDEX notifier_notification_time ON notifier_notification (created_at_us, id)",
           "CREATE INDEX notifier_notification_event ON notifier_notification (event_id)",
           "CREATE INDEX notifier_notification_order ON notifier_notification (order_id)",
           "CREATE INDEX notifier_notification_to ON notifier_notification (to_address)",
           "CREATE TABLE notifier_event (notification_id VARCHAR(34) NOT NULL, sequence INTEGER NOT NULL, "
           "report_key VARCHAR(160), what VARCHAR(24) NOT NULL, detail TEXT NOT NULL, status VARCHAR(24) NOT NULL, "
           "error_code INTEGER NOT NULL, state VARCHAR(8) NOT NULL, at_us BIGINT NOT NULL, "
           "PRIMARY KEY (notification_id, sequence))",
           "CREATE UNIQUE INDEX notifier_event_report ON notifier_event (report_key)",
       }}};
  return all;
}

sql::Value text_or_null(const std::string& text) {
  if (text.empty()) return nullptr;
  return text;
}

Params to_params(const Notification& n) {
  const Entry& e = n.entry;
  sql::Value due = nullptr;
  if (e.due) due = to_us(*e.due);
  return {n.id,
          n.dedup_key,
          n.event_id,
          n.order_id,
          std::string(to_string(e.kind)),
          std::string(to_string(e.state)),
          std::int64_t{e.attempt},
          std::int64_t{e.lost},
          std::int64_t{e.tries},
          text_or_null(e.sid),
          e.status,
          std::int64_t{e.error_code},
          e.error_message,
          std::int64_t{e.http_status},
          e.reason,
          to_us(e.created),
          to_us(e.attempt_started),
          to_us(e.state_since),
          due,
          n.to,
          n.from,
          n.messaging_service_sid,
          n.text,
          n.form,
          n.fingerprint,
          n.client_callback,
          n.client_events,
          n.resource};
}

Notification read(const Row& row) {
  Notification n;
  Entry& e = n.entry;
  std::size_t at = 0;
  n.id = row.text(at++);
  n.dedup_key = row.text(at++);
  n.event_id = row.text(at++);
  n.order_id = row.text(at++);
  e.kind = row.text(at++) == "call" ? Kind::call : Kind::message;
  const std::optional<State> state = parse_state(row.text(at++));
  HF_ASSERT(state.has_value());
  e.state = *state;
  e.attempt = static_cast<int>(row.integer(at++));
  e.lost = static_cast<int>(row.integer(at++));
  e.tries = static_cast<int>(row.integer(at++));
  e.sid = row.text_or(at++, "");
  e.status = row.text(at++);
  e.error_code = static_cast<int>(row.integer(at++));
  e.error_message = row.text(at++);
  e.http_status = static_cast<int>(row.integer(at++));
  e.reason = row.text(at++);
  e.created = wall_from_us(row.integer(at++));
  e.attempt_started = wall_from_us(row.integer(at++));
  e.state_since = wall_from_us(row.integer(at++));
  if (!row.is_null(at)) e.due = wall_from_us(row.integer(at));
  ++at;
  n.to = row.text(at++);
  n.from = row.text(at++);
  n.messaging_service_sid = row.text(at++);
  n.text = row.text(at++);
  n.form = row.text(at++);
  n.fingerprint = row.text(at++);
  n.client_callback = row.text(at++);
  n.client_events = row.text(at++);
  n.resource = row.text(at++);
  return n;
}

Result<std::vector<Notification>> query(Reader& reader, std::string_view where, Params params) {
  HF_TRY(const Rows rows,
         reader.query(fmt::format("SELECT {} FROM notifier_notification {}", kColumns, where), std::move(params)));
  std::vector<Notification> out;
  out.reserve(rows.size());
  for (const Row& row : rows) out.push_back(read(row));
  return out;
}

Result<std::optional<Notification>> query_one(Reader& reader, std::string_view where, Params params) {
  HF_TRY(std::vector<Notification> found, query(reader, where, std::move(params)));
  if (found.empty()) return std::optional<Notification>{};
  return std::optional<Notification>(std::move(found.front()));
}

struct Detail {
  std::string text, status;
  int error_code = 0;
};
Detail detail_of(const Event& event) {
  struct Visitor {
    Detail operator()(const CallCreated& e) const { return {e.sid, e.status, 0}; }
    Detail operator()(const CallRefused& e) const { return {e.error.message, {}, e.error.code}; }
    Detail operator()(const CallNotMade& e) const { return {e.why, {}, 0}; }
    Detail operator()(const CallLost& e) const { return {e.why, {}, 0}; }
    Detail operator()(const Reported& e) const { return {e.sid, e.status, e.error_code}; }
    Detail operator()(const Found& e) const { return {e.sid, e.status, e.error_code}; }
    Detail operator()(const LookFailed& e) const { return {e.why, {}, 0}; }
    Detail operator()(const OperatorFound& e) const { return {e.sid, {}, 0}; }
    Detail operator()(const CallBegun&) const { return {}; }
    Detail operator()(const Restarted&) const { return {}; }
    Detail operator()(const NotFound&) const { return {}; }
    Detail operator()(const PollFailed&) const { return {}; }
    Detail operator()(const OperatorResends&) const { return {}; }
    Detail operator()(const OperatorGivesUp&) const { return {}; }
  };
  return std::visit(Visitor{}, event);
}

struct NewEvent {
  std::string notification_id, report_key, what, state;
  Detail detail;
  WallTime at;
};
/// False: a report with this key is there already.
Result<bool> append_event(Transaction& tx, const NewEvent& event) {
  HF_TRY(const auto last,
         tx.query_one("SELECT COALESCE(MAX(sequence), 0) FROM notifier_event WHERE notification_id = ?",
                      {event.notification_id}));
  return tx.insert_if_absent(
      "INSERT INTO notifier_event (notification_id, sequence, report_key, what, detail, status, error_code, state, "
      "at_us) "
      "VALUES (?,?,?,?,?,?,?,?,?)",
      {event.notification_id, last->integer(0) + 1, text_or_null(event.report_key), event.what, event.detail.text,
       event.detail.status, std::int64_t{event.detail.error_code}, event.state, to_us(event.at)});
}

Result<void> write_entry(Transaction& tx, const Notification& n) {
  const Entry& e = n.entry;
  sql::Value due = nullptr;
  if (e.due) due = to_us(*e.due);
  HF_TRY(const std::int64_t changed,
         tx.execute(
             "UPDATE notifier_notification SET state = ?, attempt = ?, lost = ?, tries = ?, sid = ?, status = ?, "
             "error_code = ?, error_message = ?, http_status = ?, reason = ?, created_at_us = ?, "
             "attempt_started_at_us = ?, state_since_us = ?, due_at_us = ?, resource = ? WHERE id = ?",
             {std::string(to_string(e.state)), std::int64_t{e.attempt}, std::int64_t{e.lost}, std::int64_t{e.tries},
              text_or_null(e.sid), e.status, std::int64_t{e.error_code}, e.error_message, std::int64_t{e.http_status},
              e.reason, to_us(e.created), to_us(e.attempt_started), to_us(e.state_since), due, n.resource, n.id}));
  HF_ASSERT(changed == 1);
  return ok();
}

Result<Store::Inserted> insert_row(Transaction& tx, const Notification& row) {
  HF_TRY(const bool inserted,
         tx.insert_if_absent(fmt::format("INSERT INTO notifier_notification ({}) VALUES ({})", kColumns, kPlaceholders),
                             to_params(row)));
  if (!inserted) {
    HF_TRY(auto existing, query_one(tx, "WHERE dedup_key = ?", {row.dedup_key}));
    if (!existing) return Error{Code::internal, "a notification that is neither new nor there"};
    return Store::Inserted{false, std::move(*existing)};
  }
  const NewEvent event{row.id, {}, "accepted", std::string(to_string(row.entry.state)), {}, row.entry.created};
  HF_TRY(append_event(tx, event));
  return Store::Inserted{true, row};
}

std::string sid_in(const Event& event) {
  if (const auto* e = std::get_if<CallCreated>(&event)) return e->sid;
  if (const auto* e = std::get_if<Reported>(&event)) return e->sid;
  if (const auto* e = std::get_if<Found>(&event)) return e->sid;
  if (const auto* e = std::get_if<OperatorFound>(&event)) return e->sid;
  return {};
}

/// The notification that an event is about: the one that owns the SID it names, else the one that was asked for. Two
/// notifications with the same text to the same number cannot be told apart by a look, so a report may know better.
Result<Notification> subject_of(Transaction& tx, const std::string& id, const Event& event) {
  HF_TRY(auto found, query_one(tx, "WHERE id = ?", {id}));
  const std::string sid = sid_in(event);
  if (!sid.empty() && (!found || found->entry.sid != sid)) {
    HF_TRY(auto owner, query_one(tx, "WHERE sid = ?", {sid}));
    if (owner && !std::holds_alternative<Reported>(event))
      return Error{Code::conflict, "the SID belongs to another notification"};
    if (owner) return std::move(*owner);
  }
  if (!found) return Error{Code::not_found, "there is no such notification"};
  return std::move(*found);
}

struct ApplyInput {
  std::string id;
  Event event;
  WallTime now;
  std::string report_key, resource;
};
Result<Applied> apply_event(Transaction& tx, const ApplyInput& in, const NotifierConfig& config) {
  HF_TRY(Notification subject, subject_of(tx, in.id, in.event));
  Applied applied{std::move(subject), {}, false};
  applied.step = on(applied.row.entry, in.event, in.now, config);
  const Entry& next = applied.step.entry;
  NewEvent event{applied.row.id,      in.report_key, std::string(name_of(in.event)), std::string(to_string(next.state)),
                 detail_of(in.event), in.now};
  if (applied.step.duplicate) event.what = "duplicate";
  const bool worth_a_line = !applied.step.ignored || applied.step.duplicate || !in.report_key.empty();
  if (worth_a_line) {
    HF_TRY(const bool appended, append_event(tx, event));
    if (!appended) {
      applied.repeated = true;
      applied.step = {applied.row.entry, false, true, false};
      return applied;
    }
  }
  const bool first_resource = applied.row.resource.empty() && !in.resource.empty() && !applied.step.duplicate;
  if (applied.step.changed || first_resource) {
    if (applied.step.changed) applied.row.entry = next;
    if (first_resource) applied.row.resource = in.resource;
    HF_TRY(write_entry(tx, applied.row));
  }
  return applied;
}

struct Where {
  std::string text = "WHERE 1 = 1";
  Params params;
  void add(std::string_view condition, sql::Value value) {
    text += fmt::format(" AND {}", condition);
    params.push_back(std::move(value));
  }
  /// Behind this row, newest first.
  Result<void> add_after(Reader& reader, std::string_view column, const std::string& key) {
    HF_TRY(const auto last,
           reader.query_one(fmt::format("SELECT created_at_us, id FROM notifier_notification WHERE {} = ?", column),
                            {key}));
    if (!last) return Error{Code::not_found, "there is no such place in the list"};
    add("(created_at_us < ?", last->integer(0));
    text += " OR (created_at_us = ? AND id < ?))";
    params.push_back(last->integer(0));
    params.push_back(last->text(1));
    return ok();
  }
};

Result<std::vector<Notification>> query_list(Reader& reader, const Store::Filter& filter) {
  Where where;
  if (filter.state) where.add("state = ?", std::string(to_string(*filter.state)));
  if (!filter.to.empty()) where.add("to_address = ?", filter.to);
  if (!filter.order_id.empty()) where.add("order_id = ?", filter.order_id);
  if (!filter.after.empty()) HF_TRY(where.add_after(reader, "id", filter.after));
  where.params.push_back(static_cast<std::int64_t>(filter.limit));
  return query(reader, where.text + " ORDER BY created_at_us DESC, id DESC LIMIT ?", std::move(where.params));
}

Result<std::vector<Notification>> query_page(Reader& reader, const ListQuery& wanted) {
  Where where;
  where.text += " AND sid IS NOT NULL";
  where.add("kind = ?", std::string(to_string(wanted.kind)));
  if (!wanted.to.empty()) where.add("to_address = ?", wanted.to);
  if (!wanted.sender.empty()) where.add("from_address = ?", wanted.sender);
  if (!wanted.status.empty()) where.add("status = ?", wanted.status);
  // Our ledger knows when a call to the provider began, not when the carrier took the message.
  if (wanted.sent.any()) where.text += " AND status NOT IN ('accepted','scheduled','queued','sending')";
  if (wanted.sent.from) where.add("attempt_started_at_us >= ?", to_us(*wanted.sent.from));
  if (wanted.sent.until) where.add("attempt_started_at_us < ?", to_us(*wanted.sent.until));
  if (!wanted.after_sid.empty()) {
    if (!where.add_after(reader, "sid", wanted.after_sid)) return std::vector<Notification>{};
  }
  where.params.push_back(static_cast<std::int64_t>(wanted.page_size + 1));
  return query(reader, where.text + " ORDER BY created_at_us DESC, id DESC LIMIT ?", std::move(where.params));
}

Result<std::vector<LedgerEvent>> query_history(Reader& reader, const std::string& id) {
  HF_TRY(const Rows rows,
         reader.query("SELECT sequence, what, detail, status, error_code, state, at_us FROM notifier_event "
                      "WHERE notification_id = ? ORDER BY sequence",
                      {id}));
  std::vector<LedgerEvent> out;
  for (const Row& row : rows) {
    out.push_back({row.integer(0), row.text(1), row.text(2), row.text(3), static_cast<int>(row.integer(4)), row.text(5),
                   wall_from_us(row.integer(6))});
  }
  return out;
}

}  // namespace

Task<> Store::migrate() { return database_.migrate("notifier", migrations()); }

Task<Store::Inserted> Store::insert(Notification row) {
  std::function<Result<Inserted>(Transaction&)> work = [row = std::move(row)](Transaction& tx) {
    return insert_row(tx, row);
  };
  co_return co_await database_.write(std::move(work));
}

Task<Applied> Store::apply(std::string id, Event event, WallTime now, std::string report_key, std::string resource) {
  ApplyInput input{std::move(id), std::move(event), now, std::move(report_key), std::move(resource)};
  std::function<Result<Applied>(Transaction&)> work = [input = std::move(input), this](Transaction& tx) {
    return apply_event(tx, input, config_);
  };
  co_return co_await database_.write(std::move(work));
}

Task<> Store::keep_orphan(std::string sid, std::string status, std::string key, WallTime now) {
  NewEvent event{std::string(kOrphan), std::move(key), "orphan", "", {std::move(sid), std::move(status), 0}, now};
  std::function<Result<void>(Transaction&)> work = [event = std::move(event)](Transaction& tx) -> Result<void> {
    HF_TRY(append_event(tx, event));
    return ok();
  };
  co_return co_await database_.write(std::move(work));
}

Task<std::optional<Notification>> Store::by_id(std::string id) {
  std::function<Result<std::optional<Notification>>(Reader&)> work = [=](Reader& r) {
    return query_one(r, "WHERE id = ?", {id});
  };
  co_return co_await database_.read(std::move(work));
}

Task<std::optional<Notification>> Store::by_sid(std::string sid) {
  std::function<Result<std::optional<Notification>>(Reader&)> work = [=](Reader& r) {
    return query_one(r, "WHERE sid = ?", {sid});
  };
  co_return co_await database_.read(std::move(work));
}

Task<std::vector<Notification>> Store::by_any(std::string name) {
  std::function<Result<std::vector<Notification>>(Reader&)> work = [=](Reader& r) {
    return query(r, "WHERE id = ? OR sid = ? OR event_id = ? OR order_id = ? ORDER BY created_at_us, id LIMIT 1000",
                 {name, name, name, name});
  };
  co_return co_await database_.read(std::move(work));
}

Task<std::vector<Notification>> Store::open() {
  std::function<Result<std::vector<Notification>>(Reader&)> work = [](Reader& r) {
    return query(r,
                 "WHERE state IN ('waiting','sending','unknown') OR (state = 'created' AND due_at_us IS NOT NULL) "
                 "ORDER BY created_at_us, id",
                 {});
  };
  co_return co_await database_.read(std::move(work));
}

Task<std::vector<std::string>> Store::taken(std::vector<std::string> sids) {
  std::function<Result<std::vector<std::string>>(Reader&)> work = [=](Reader& r) -> Result<std::vector<std::string>> {
    std::vector<std::string> out;
    for (const std::string& sid : sids) {
      HF_TRY(const auto found, r.query_one("SELECT 1 FROM notifier_notification WHERE sid = ?", {sid}));
      if (found) out.push_back(sid);
    }
    return out;
  };
  co_return co_await database_.read(std::move(work));
}

Task<Store::Rivals> Store::rivals(Kind kind, std::string to, std::string text) {
  std::function<Result<Rivals>(Reader&)> work = [=](Reader& r) -> Result<Rivals> {
    Where where;
    where.add("kind = ?", std::string(to_string(kind)));
    where.add("to_address = ?", to);
    if (kind == Kind::message) where.add("text = ?", text);
    HF_TRY(const Rows rows, r.query(fmt::format("SELECT state, COUNT(*) FROM notifier_notification {} AND state IN "
                                                "('unknown','sending') GROUP BY state",
                                                where.text),
                                    where.params));
    Rivals rivals;
    for (const Row& row : rows) (row.text(0) == "unknown" ? rivals.unknown : rivals.sending) = row.integer(1);
    return rivals;
  };
  co_return co_await database_.read(std::move(work));
}

Task<std::vector<Notification>> Store::list(Filter filter) {
  std::function<Result<std::vector<Notification>>(Reader&)> work = [=](Reader& r) { return query_list(r, filter); };
  co_return co_await database_.read(std::move(work));
}

Task<std::vector<Notification>> Store::page(ListQuery wanted) {
  std::function<Result<std::vector<Notification>>(Reader&)> work = [=](Reader& r) { return query_page(r, wanted); };
  co_return co_await database_.read(std::move(work));
}

Task<std::vector<LedgerEvent>> Store::history(std::string id) {
  std::function<Result<std::vector<LedgerEvent>>(Reader&)> work = [=](Reader& r) { return query_history(r, id); };
  co_return co_await database_.read(std::move(work));
}

Task<std::map<std::string, std::int64_t>> Store::counts_by_state() {
  using Counts = std::map<std::string, std::int64_t>;
  std::function<Result<Counts>(Reader&)> work = [](Reader& r) -> Result<Counts> {
    HF_TRY(const Rows rows, r.query("SELECT state, COUNT(*) FROM notifier_notification GROUP BY state"));
    Counts counts;
    for (const Row& row : rows) counts[row.text(0)] = row.integer(1);
    return counts;
  };
  co_return co_await database_.read(std::move(work));
}

}  // namespace hf::notifier
