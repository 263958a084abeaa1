#include "phone/store.h"

#include <fmt/format.h>

namespace hf::phone {
namespace {

using sql::Params;
using sql::Reader;
using sql::Row;
using sql::Rows;
using sql::Transaction;
using wire::twilio::Kind;
using wire::twilio::ListQuery;

constexpr std::string_view kResourceColumns =
    "sid, kind, account_sid, messaging_service_sid, to_address, from_address, text, twiml, url, status, error_code, "
    "num_segments, num_media, duration_s, callback_url, created_at_us, updated_at_us, sent_at_us, ended_at_us";
constexpr std::string_view kStepColumns =
    "sequence, status, error_code, due_at_us, callback_due_at_us, applied, reported, callback";
/// Endings in which the customer saw and heard nothing.
constexpr std::string_view kNotSeen = "('failed','undelivered','canceled','busy','no-answer')";

const std::vector<sql::Migration>& migrations() {
  static const std::vector<sql::Migration> all = {
      {1,
       "messages, calls and their lives",
       {
           "CREATE TABLE phone_resource (sid VARCHAR(34) NOT NULL PRIMARY KEY, kind VARCHAR(8) NOT NULL, "
           "account_sid VARCHAR(34) NOT NULL, messaging_service_sid VARCHAR(34) NOT NULL, to_address VARCHAR(80) NOT "
           "NULL, "
           "from_address VARCHAR(80) NOT NULL, text TEXT NOT NULL, twiml TEXT NOT NULL, url TEXT NOT NULL, "
           "status VARCHAR(24) NOT NULL, error_code INTEGER NOT NULL, num_segments INTEGER NOT NULL, "
           "num_media INTEGER NOT NULL, duration_s INTEGER NOT NULL, callback_url TEXT NOT NULL, "
           "created_at_us BIGINT NOT NULL, updated_at_us BIGINT NOT NULL, sent_at_us BIGINT, ended_at_us BIGINT)",
           "CREATE INDEX phone_resource_by_time ON phone_resource (kind, created_at_us, sid)",
           "CREATE INDEX phone_resource_by_to ON phone_resource (to_address, created_at_us)",
           "CREATE TABLE phone_step (sid VARCHAR(34) NOT NULL, sequence INTEGER NOT NULL, status VARCHAR(24) NOT NULL, "
           "error_code INTEGER NOT NULL, due_at_us BIGINT NOT NULL, callback_due_at_us BIGINT NOT NULL, "
           "applied INTEGER NOT NULL, reported INTEGER NOT NULL, callback VARCHAR(8) NOT NULL, PRIMARY KEY (sid, "
           "sequence))",
           "CREATE INDEX phone_step_open ON phone_step (applied, reported)",
       }}};
  return all;
}

std::string kind_text(Kind kind) { return std::string(to_string(kind)); }
sql::Value time_or_null(const std::optional<WallTime>& time) {
  if (!time) return nullptr;
  return to_us(*time);
}
std::optional<WallTime> time_at(const Row& row, std::size_t column) {
  if (row.is_null(column)) return std::nullopt;
  return wall_from_us(row.integer(column));
}

Resource read_resource(const Row& row) {
  Resource r;
  std::size_t at = 0;
  r.sid = row.text(at++);
  r.kind = row.text(at++) == "call" ? Kind::call : Kind::message;
  r.account_sid = row.text(at++);
  r.messaging_service_sid = row.text(at++);
  r.to = row.text(at++);
  r.from = row.text(at++);
  r.text = row.text(at++);
  r.twiml = row.text(at++);
  r.url = row.text(at++);
  r.status = row.text(at++);
  r.error_code = static_cast<int>(row.integer(at++));
  r.num_segments = row.integer(at++);
  r.num_media = row.integer(at++);
  r.duration_s = row.integer(at++);
  r.callback_url = row.text(at++);
  r.created = wall_from_us(row.integer(at++));
  r.updated = wall_from_us(row.integer(at++));
  r.sent = time_at(row, at++);
  r.ended = time_at(row, at++);
  return r;
}

Params resource_params(const Resource& r) {
  return {r.sid,
          kind_text(r.kind),
          r.account_sid,
          r.messaging_service_sid,
          r.to,
          r.from,
          r.text,
          r.twiml,
          r.url,
          r.status,
          std::int64_t{r.error_code},
          r.num_segments,
          r.num_media,
          r.duration_s,
          r.callback_url,
          to_us(r.created),
          to_us(r.updated),
          time_or_null(r.sent),
          time_or_null(r.ended)};
}

Step read_step(const Row& row) {
  Step step;
  step.sequence = row.integer(0);
  step.status = row.text(1);
  step.error_code = static_cast<int>(row.integer(2));
  step.due = wall_from_us(row.integer(3));
  step.callback_due = wall_from_us(row.integer(4));
  step.applied = row.integer(5) != 0;
  step.reported = row.integer(6) != 0;
  step.callback = row.text(7);
  return step;
}

Result<std::vector<Resource>> query_resources(Reader& reader, std::string_view where, Params params) {
  HF_TRY(const Rows rows,
         reader.query(fmt::format("SELECT {} FROM phone_resource {}", kResourceColumns, where), std::move(params)));
  std::vector<Resource> out;
  out.reserve(rows.size());
  for (const Row& row : rows) out.push_back(read_resource(row));
  return out;
}

Result<std::vector<Step>> query_steps(Reader& reader, const std::string& sid) {
  HF_TRY(const Rows rows,
         reader.query(fmt::format("SELECT {} FROM phone_step WHERE sid = ? ORDER BY sequence", kStepColumns), {sid}));
  std::vector<Step> steps;
  for (const Row& row : rows) steps.push_back(read_step(row));
  return steps;
}

Result<void> insert_life(Transaction& tx, const Life& life) {
  HF_TRY(const std::int64_t inserted,
         tx.execute(fmt::format("INSERT INTO phone_resource ({}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                                kResourceColumns),
                    resource_params(life.resource)));
  HF_ASSERT(inserted == 1);
  for (const Step& step : life.steps) {
    Params params = {life.resource.sid,
                     step.sequence,
                     step.status,
                     std::int64_t{step.error_code},
                     to_us(step.due),
                     to_us(step.callback_due),
                     std::int64_t{0},
                     std::int64_t{step.reported ? 1 : 0},
                     std::string(step.reported ? "due" : "none")};
    HF_TRY(tx.execute(fmt::format("INSERT INTO phone_step (sid, {}) VALUES (?,?,?,?,?,?,?,?,?)", kStepColumns),
                      std::move(params)));
  }
  return ok();
}

/// The conditions of a list query, and the parameters they bind.
struct Where {
  std::string text = "WHERE kind = ?";
  Params params;
  void add(std::string_view condition, sql::Value value) {
    text += fmt::format(" AND {}", condition);
    params.push_back(std::move(value));
  }
};

Where where_of(const ListQuery& query) {
  Where where;
  where.params.push_back(kind_text(query.kind));
  if (!query.to.empty()) where.add("to_address = ?", query.to);
  if (!query.sender.empty()) where.add("from_address = ?", query.sender);
  if (!query.status.empty()) where.add("status = ?", query.status);
  if (query.sent.from) where.add("sent_at_us >= ?", to_us(*query.sent.from));
  if (query.sent.until) where.add("sent_at_us < ?", to_us(*query.sent.until));
  return where;
}

Result<std::vector<Resource>> query_page(Reader& reader, const ListQuery& query) {
  Where where = where_of(query);
  if (!query.after_sid.empty()) {
    HF_TRY(const auto last,
           reader.query_one("SELECT created_at_us FROM phone_resource WHERE sid = ?", {query.after_sid}));
    if (!last) return std::vector<Resource>{};
    where.add("(created_at_us < ?", last->integer(0));
    where.text += " OR (created_at_us = ? AND sid < ?))";
    where.params.push_back(last->integer(0));
    where.params.push_back(query.after_sid);
  }
  where.params.push_back(static_cast<std::int64_t>(query.page_size + 1));
  return query_resources(reader, where.text + " ORDER BY created_at_us DESC, sid DESC LIMIT ?",
                         std::move(where.params));
}

Result<CustomerTotals> query_totals(Reader& reader) {
  CustomerTotals totals;
  HF_TRY(const Rows kinds, reader.query(fmt::format(
                               "SELECT kind, CASE WHEN to_address LIKE 'whatsapp:%' THEN 1 ELSE 0 END AS w, COUNT(*), "
                               "SUM(CASE WHEN status IN {} THEN 1 ELSE 0 END) FROM phone_resource GROUP BY kind, w",
                               kNotSeen)));
  for (const Row& row : kinds) {
    const std::int64_t count = row.integer(2);
    totals.not_delivered += row.integer(3);
    if (row.text(0) == "call") {
      totals.calls += count;
    } else {
      totals.messages += count;
      (row.integer(1) != 0 ? totals.whatsapp : totals.sms) += count;
    }
  }
  HF_TRY(const auto customers, reader.query_one("SELECT COUNT(DISTINCT to_address) FROM phone_resource"));
  totals.customers = customers->integer(0);
  HF_TRY(const auto duplicates,
         reader.query_one(
             fmt::format("SELECT COALESCE(SUM(times - 1), 0) FROM (SELECT COUNT(*) AS times FROM phone_resource "
                         "WHERE status NOT IN {} GROUP BY kind, to_address, text HAVING COUNT(*) > 1) AS repeated",
                         kNotSeen)));
  totals.duplicates = duplicates->integer(0);
  return totals;
}

Result<std::vector<CustomerView>> query_customers(Reader& reader, const std::string& after, const std::string& to,
                                                  std::size_t limit) {
  HF_TRY(const Rows names,
         to.empty() ? reader.query("SELECT DISTINCT to_address FROM phone_resource WHERE to_address > ? "
                                   "ORDER BY to_address LIMIT ?",
                                   {after, static_cast<std::int64_t>(limit)})
                    : reader.query("SELECT DISTINCT to_address FROM phone_resource WHERE to_address = ?", {to}));
  std::vector<CustomerView> out;
  for (const Row& name : names) {
    HF_TRY(std::vector<Resource> received,
           query_resources(reader, "WHERE to_address = ? ORDER BY created_at_us, sid", {name.text(0)}));
    out.push_back({name.text(0), std::move(received)});
  }
  return out;
}

Result<std::vector<Life>> query_unfinished(Reader& reader) {
  HF_TRY(std::vector<Resource> resources,
         query_resources(
             reader,
             "WHERE sid IN (SELECT sid FROM phone_step WHERE applied = 0 OR reported = 1) ORDER BY created_at_us, sid",
             {}));
  std::vector<Life> lives;
  for (Resource& resource : resources) {
    HF_TRY(std::vector<Step> steps, query_steps(reader, resource.sid));
    lives.push_back({std::move(resource), std::move(steps)});
  }
  return lives;
}

}  // namespace

wire::twilio::Message to_message(const Resource& r) {
  wire::twilio::Message m;
  m.sid = r.sid;
  m.account_sid = r.account_sid;
  m.messaging_service_sid = r.messaging_service_sid;
  m.to = r.to;
  m.from = r.from;
  m.body = r.text;
  m.status = r.status;
  m.num_segments = static_cast<std::size_t>(r.num_segments);
  m.num_media = static_cast<std::size_t>(r.num_media);
  if (r.sent && r.error_code == 0) m.price = fmt::format("-{:.5f}", 0.0075 * static_cast<double>(r.num_segments));
  if (r.error_code != 0) m.error_code = r.error_code;
  m.date_created = r.created;
  m.date_updated = r.updated;
  m.date_sent = r.sent;
  return m;
}

wire::twilio::Call to_call(const Resource& r) {
  wire::twilio::Call c;
  c.sid = r.sid;
  c.account_sid = r.account_sid;
  c.to = r.to;
  c.from = r.from;
  c.status = r.status;
  if (r.status == "completed") c.duration_s = static_cast<int>(r.duration_s);
  c.date_created = r.created;
  c.date_updated = r.updated;
  c.start_time = r.sent;
  c.end_time = r.ended;
  return c;
}

std::string to_json(const Resource& resource) {
  return resource.kind == Kind::message ? wire::twilio::to_json(to_message(resource))
                                        : wire::twilio::to_json(to_call(resource));
}

Task<> Store::migrate() { return database_.migrate("phone", migrations()); }

Task<> Store::create(Life life) {
  std::function<Result<void>(Transaction&)> work = [life = std::move(life)](Transaction& tx) {
    return insert_life(tx, life);
  };
  co_return co_await database_.write(std::move(work));
}

Task<std::vector<Life>> Store::unfinished() {
  std::function<Result<std::vector<Life>>(Reader&)> work = query_unfinished;
  co_return co_await database_.read(std::move(work));
}

Task<> Store::apply(std::vector<Applied> applied) {
  std::function<Result<void>(Transaction&)> work = [applied = std::move(applied)](Transaction& tx) -> Result<void> {
    for (const auto& [r, sequence] : applied) {
      HF_TRY(tx.execute(
          "UPDATE phone_resource SET status = ?, error_code = ?, duration_s = ?, from_address = ?, updated_at_us = ?, "
          "sent_at_us = ?, ended_at_us = ? WHERE sid = ?",
          {r.status, std::int64_t{r.error_code}, r.duration_s, r.from, to_us(r.updated), time_or_null(r.sent),
           time_or_null(r.ended), r.sid}));
      HF_TRY(tx.execute("UPDATE phone_step SET applied = 1 WHERE sid = ? AND sequence = ?", {r.sid, sequence}));
    }
    return ok();
  };
  co_return co_await database_.write(std::move(work));
}

Task<> Store::callback_done(std::string sid, std::int64_t sequence, std::string outcome) {
  std::function<Result<void>(Transaction&)> work = [=](Transaction& tx) -> Result<void> {
    HF_TRY(tx.execute("UPDATE phone_step SET reported = 0, callback = ? WHERE sid = ? AND sequence = ?",
                      {outcome, sid, sequence}));
    return ok();
  };
  co_return co_await database_.write(std::move(work));
}

Task<> Store::set_text(std::string sid, std::string text) {
  std::function<Result<void>(Transaction&)> work = [=](Transaction& tx) -> Result<void> {
    HF_TRY(tx.execute("UPDATE phone_resource SET text = ? WHERE sid = ?", {text, sid}));
    return ok();
  };
  co_return co_await database_.write(std::move(work));
}

Task<std::optional<Resource>> Store::find(Kind kind, std::string sid) {
  std::function<Result<std::optional<Resource>>(Reader&)> work =
      [=](Reader& reader) -> Result<std::optional<Resource>> {
    HF_TRY(std::vector<Resource> found, query_resources(reader, "WHERE sid = ? AND kind = ?", {sid, kind_text(kind)}));
    if (found.empty()) return std::optional<Resource>{};
    return std::optional<Resource>(std::move(found.front()));
  };
  co_return co_await database_.read(std::move(work));
}

Task<std::vector<Resource>> Store::list(ListQuery query) {
  std::function<Result<std::vector<Resource>>(Reader&)> work = [query = std::move(query)](Reader& reader) {
    return query_page(reader, query);
  };
  co_return co_await database_.read(std::move(work));
}

Task<CustomerTotals> Store::totals() {
  std::function<Result<CustomerTotals>(Reader&)> work = query_totals;
  co_return co_await database_.read(std::move(work));
}

Task<std::vector<CustomerView>> Store::customers(std::string after, std::string to, std::size_t limit) {
  std::function<Result<std::vector<CustomerView>>(Reader&)> work = [=](Reader& reader) {
    return query_customers(reader, after, to, limit);
  };
  co_return co_await database_.read(std::move(work));
}

Task<std::vector<Step>> Store::steps(std::string sid) {
  std::function<Result<std::vector<Step>>(Reader&)> work = [=](Reader& reader) { return query_steps(reader, sid); };
  co_return co_await database_.read(std::move(work));
}

}  // namespace hf::phone
