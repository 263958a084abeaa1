#include "participant/outbox_store.h"

#include "participant/in_list.h"
#include "participant/outbox_message.h"

namespace hf::participant {
namespace {

std::vector<sql::Migration> migrations() {
  return {{1,
           "outbox",
           {R"(CREATE TABLE outbox (
  id           VARCHAR(64)  NOT NULL PRIMARY KEY,
  aggregate_id VARCHAR(128) NOT NULL,
  seq          BIGINT       NOT NULL,
  state        VARCHAR(16)  NOT NULL,
  due_at_us    BIGINT       NOT NULL,
  owner        VARCHAR(64)  NOT NULL,
  topic        VARCHAR(127) NOT NULL,
  tag          VARCHAR(255) NOT NULL,
  message_id   VARCHAR(64)  NOT NULL,
  attributes   LONGTEXT     NOT NULL,
  body         LONGBLOB     NOT NULL,
  awaits_done  BIGINT       NOT NULL,
  attempts     BIGINT       NOT NULL,
  refusals     BIGINT       NOT NULL,
  error        TEXT         NOT NULL,
  put_at_us    BIGINT       NOT NULL,
  sent_at_us   BIGINT       NOT NULL,
  done_at_us   BIGINT       NOT NULL))",
            "CREATE INDEX outbox_due ON outbox (state, due_at_us)",
            "CREATE INDEX outbox_order ON outbox (aggregate_id, sent_at_us, seq)"}}};
}

constexpr std::string_view kSelectEntry =
    "SELECT id, aggregate_id, topic, message_id, state, error, attempts, refusals, put_at_us, sent_at_us, done_at_us, "
    "due_at_us FROM outbox ";

OutboxEntry entry_from(const sql::Row& row) {
  OutboxEntry entry;
  entry.id = row.text(0);
  entry.aggregate = row.text(1);
  entry.topic = row.text(2);
  entry.message_id = row.text(3);
  entry.state = row.text(4);
  entry.error = row.text(5);
  entry.attempts = row.integer(6);
  entry.refusals = row.integer(7);
  entry.put_at_us = row.integer(8);
  entry.sent_at_us = row.integer(9);
  entry.done_at_us = row.integer(10);
  entry.due_at_us = row.integer(11);
  return entry;
}

/// id, aggregate_id, topic, tag, message_id, attributes, body, awaits_done, attempts, refusals, put_at_us
ClaimedRow claimed_from(const sql::Row& row) {
  ClaimedRow claimed;
  claimed.id = row.text(0);
  claimed.aggregate = row.text(1);
  claimed.message.topic = row.text(2);
  claimed.message.tag = row.text(3);
  claimed.message.message_id = row.text(4);
  claimed.message.keys = {claimed.id};
  read_attributes(row.text(5), claimed.message);
  claimed.message.body = row.text(6);
  claimed.tried = {row.integer(8), row.integer(9), row.integer(7) != 0};
  claimed.put_at_us = row.integer(10);
  return claimed;
}

std::vector<std::string> first_texts(const sql::Rows& rows) {
  std::vector<std::string> texts;
  texts.reserve(rows.size());
  for (const sql::Row& row : rows) texts.push_back(row.text(0));
  return texts;
}

std::int64_t us(Duration duration) { return std::chrono::duration_cast<std::chrono::microseconds>(duration).count(); }

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  });
}

/// 0: no row in `state`.
Result<std::int64_t> next_due(sql::Reader& reader, const char* state) {
  HF_TRY(const auto next, reader.query_one("SELECT MIN(due_at_us) FROM outbox WHERE state = ?", {state}));
  return next ? next->integer_or(0, 0) : 0;
}

/// Of the owners of this opening; empty where other processes may be owners beside us.
std::string prefix_of(const sql::Database& database) {
  return database.sole_opening().empty() ? "" : fmt::format("{}-", database.sole_opening());
}

bool is_open(std::string_view state) { return state == "pending" || state == "held" || state == "blocked"; }

}  // namespace

OutboxStore::OutboxStore(sys::World& world, sql::Database& database, const OutboxConfig& config)
    : world_(world),
      database_(database),
      config_(config),
      owner_(fmt::format("{}{}-{}", prefix_of(database), config.name.substr(0, 30), world.random.hex(8))) {}

Task<> OutboxStore::open() { co_return co_await database_.migrate("outbox", migrations()); }

Task<std::int64_t> OutboxStore::take_over() {
  const std::string ours = prefix_of(database_);
  if (ours.empty()) co_return 0;
  std::function<Result<std::int64_t>(sql::Transaction&)> work = [this, like = ours + "%"](sql::Transaction& tx) {
    return tx.execute(
        "UPDATE outbox SET owner = '', due_at_us = ? WHERE state = 'pending' AND owner <> '' AND owner NOT LIKE ?",
        {now_us(), like});
  };
  co_return co_await database_.write<std::int64_t>(std::move(work));
}

Task<> OutboxStore::expect_table(std::string table) {
  if (!is_name(table)) co_return Error{Code::invalid, fmt::format("\"{}\" is no table's name", table)};
  std::function<Result<bool>(sql::Reader&)> work = [table](sql::Reader& reader) -> Result<bool> {
    HF_TRY(reader.query(fmt::format("SELECT 1 FROM {} WHERE 1 = 0", table)));
    return true;
  };
  const Result<bool> there = co_await database_.read<bool>(std::move(work));
  if (there) co_return ok();
  if (there.error().code != Code::invalid && there.error().code != Code::not_found) co_return there.error();
  co_return Error{
      Code::invalid,
      fmt::format("the outbox is in {}, but there is no business table {} in that database: a message and the rows it "
                  "tells of are written in one local transaction, which no two databases share. Put the outbox where "
                  "the business tables are",
                  database_.url(), table)};
}

Result<void> OutboxStore::put(sql::Transaction& tx, OutboxMessage message) const {
  if (message.id.empty()) message.id = world_.random.hex(16);
  HF_TRY(check(message));
  const std::int64_t now = now_us();
  std::optional<std::int64_t> last_open;
  if (!message.aggregate.empty()) {
    HF_TRY(const auto last,
           tx.query_one("SELECT MAX(seq) FROM outbox WHERE aggregate_id = ? AND sent_at_us = 0", {message.aggregate}));
    if (last && !last->is_null(0)) last_open = last->integer(0);
  }
  const Place place = place_of(last_open, now);
  const std::string message_id = message_id_of(message.topic, message.id);
  const std::string attributes = attributes_of(message);
  std::string aggregate = message.aggregate.empty() ? message.id : std::move(message.aggregate);
  HF_TRY(
      tx.execute("INSERT INTO outbox (id, aggregate_id, seq, state, due_at_us, owner, topic, tag, message_id, "
                 "attributes, body, awaits_done, attempts, refusals, error, put_at_us, sent_at_us, done_at_us) "
                 "VALUES (?, ?, ?, ?, ?, '', ?, ?, ?, ?, ?, ?, 0, 0, '', ?, 0, 0)",
                 {std::move(message.id), std::move(aggregate), place.sequence, std::string(to_string(place.state)), now,
                  std::move(message.topic), std::move(message.tag), message_id, attributes, std::move(message.body),
                  std::int64_t{message.awaits_done ? 1 : 0}, now}));
  return ok();
}

Result<bool> OutboxStore::done(sql::Transaction& tx, const std::string& id) const {
  HF_TRY(const auto row, tx.query_one("SELECT state, aggregate_id FROM outbox WHERE id = ?", {id}));
  if (!row || row->text(0) == "done" || row->text(0) == "skipped") return false;
  const std::int64_t now = now_us();
  // A reply may come before the relay has recorded that it published: then nothing is left for it to record.
  HF_TRY(
      tx.execute("UPDATE outbox SET state = 'done', owner = '', error = '', due_at_us = ?, done_at_us = ?, "
                 "sent_at_us = CASE WHEN sent_at_us = 0 THEN ? ELSE sent_at_us END WHERE id = ?",
                 {now + us(config_.keep), now, now, id}));
  if (is_open(row->text(0))) {
    const std::string aggregate[] = {row->text(1)};
    HF_TRY(release_next(tx, aggregate));
  }
  return true;
}

Result<bool> OutboxStore::resend(sql::Transaction& tx, const std::string& id) const {
  HF_TRY(
      tx.execute("UPDATE outbox SET state = 'pending', due_at_us = ?, sent_at_us = 0, done_at_us = 0 "
                 "WHERE id = ? AND state IN ('sent', 'done')",
                 {now_us(), id}));
  HF_TRY(const auto row, tx.query_one("SELECT state FROM outbox WHERE id = ?", {id}));
  return row.has_value() && row->text(0) != "skipped";
}

Task<Claimed> OutboxStore::claim(std::size_t limit) {
  std::function<Result<Claimed>(sql::Transaction&)> work = [this, limit](sql::Transaction& tx) {
    return claim_in(tx, static_cast<std::int64_t>(limit));
  };
  co_return co_await database_.write<Claimed>(std::move(work));
}

Result<Claimed> OutboxStore::claim_in(sql::Transaction& tx, std::int64_t limit) const {
  const std::int64_t now = now_us(), lease_end = now + us(config_.lease);
  HF_TRY(const sql::Rows due,
         tx.query("SELECT id FROM outbox WHERE state = 'pending' AND due_at_us <= ? ORDER BY due_at_us LIMIT ?",
                  {now, limit}));
  Claimed claimed;
  if (due.empty()) {
    HF_TRY(claimed.next_due_us, next_due(tx, "pending"));
    return claimed;
  }
  const std::vector<std::string> ids = first_texts(due);
  sql::Params claim = {owner_, lease_end, now};
  const std::string list = in_list(ids, claim);
  // Another relay may have been faster since the SELECT: what it claimed is not due any more and stays its own.
  HF_TRY(tx.execute(
      "UPDATE outbox SET owner = ?, due_at_us = ? WHERE state = 'pending' AND due_at_us <= ? AND id IN " + list,
      std::move(claim)));
  sql::Params mine = {owner_, lease_end};
  const std::string same_list = in_list(ids, mine);
  HF_TRY(const sql::Rows rows,
         tx.query("SELECT id, aggregate_id, topic, tag, message_id, attributes, body, awaits_done, attempts, refusals, "
                  "put_at_us FROM outbox WHERE owner = ? AND due_at_us = ? AND state = 'pending' AND id IN " +
                      same_list,
                  std::move(mine)));
  for (const sql::Row& row : rows) claimed.rows.push_back(claimed_from(row));
  HF_TRY(claimed.next_due_us, next_due(tx, "pending"));
  return claimed;
}

Task<std::int64_t> OutboxStore::record(std::vector<Tally> tallies) {
  std::function<Result<std::int64_t>(sql::Transaction&)> work =
      [this, tallies = std::move(tallies)](sql::Transaction& tx) { return record_in(tx, tallies); };
  co_return co_await database_.write<std::int64_t>(std::move(work));
}

Result<std::int64_t> OutboxStore::record_in(sql::Transaction& tx, const std::vector<Tally>& tallies) const {
  const std::int64_t now = now_us();
  std::vector<std::string> aggregates;  // those that go on
  for (const RowState state : {RowState::done, RowState::sent}) {
    std::vector<std::string> ids;
    Duration due_in = Duration::max();
    std::int64_t published_at = now;
    for (const Tally& tally : tallies) {
      if (tally.fate.state != state) continue;
      ids.push_back(tally.id);
      due_in = std::min(due_in, tally.fate.due_in);
      published_at = std::min(published_at, tally.at_us);
      if (tally.aggregate != tally.id) aggregates.push_back(tally.aggregate);
    }
    if (ids.empty()) continue;
    sql::Params params = {std::string(to_string(state)), now + us(due_in), published_at,
                          state == RowState::done ? now : std::int64_t{0}, owner_};
    const std::string list = in_list(ids, params);
    HF_TRY(
        tx.execute("UPDATE outbox SET state = ?, owner = '', error = '', attempts = attempts + 1, due_at_us = ?, "
                   "sent_at_us = ?, done_at_us = ? WHERE owner = ? AND state = 'pending' AND id IN " +
                       list,
                   std::move(params)));
  }
  for (const Tally& tally : tallies) {
    if (tally.error.empty()) continue;
    HF_TRY(
        tx.execute("UPDATE outbox SET state = ?, owner = '', error = ?, attempts = attempts + 1, "
                   "refusals = refusals + ?, due_at_us = ? WHERE owner = ? AND state = 'pending' AND id = ?",
                   {std::string(to_string(tally.fate.state)), tally.error, std::int64_t{tally.refused ? 1 : 0},
                    now + us(tally.fate.due_in), owner_, tally.id}));
  }
  return release_next(tx, aggregates);
}

Result<std::int64_t> OutboxStore::release_next(sql::Transaction& tx, std::span<const std::string> aggregates) const {
  if (aggregates.empty()) return 0;
  sql::Params params;
  const std::string list = in_list(aggregates, params);
  HF_TRY(const sql::Rows heads, tx.query("SELECT aggregate_id, MIN(seq) FROM outbox WHERE sent_at_us = 0 AND "
                                         "aggregate_id IN " +
                                             list + " GROUP BY aggregate_id",
                                         std::move(params)));
  std::int64_t released = 0;
  for (const sql::Row& head : heads) {
    HF_TRY(const std::int64_t changed,
           tx.execute("UPDATE outbox SET state = 'pending', due_at_us = ? "
                      "WHERE aggregate_id = ? AND sent_at_us = 0 AND seq = ? AND state = 'held'",
                      {now_us(), head.text(0), head.integer(1)}));
    released += changed;
  }
  return released;
}

Task<Chores> OutboxStore::look() {
  std::function<Result<Chores>(sql::Reader&)> work = [this](sql::Reader& reader) -> Result<Chores> {
    const std::int64_t now = now_us();
    const auto due = [now](std::int64_t at, Duration planned) {
      return at > 0 && (at <= now || at > now + us(planned));
    };
    Chores chores;
    HF_TRY(chores.next_due_us, next_due(reader, "pending"));
    HF_TRY(const std::int64_t sent, next_due(reader, "sent"));
    HF_TRY(const std::int64_t done, next_due(reader, "done"));
    HF_TRY(const std::int64_t skipped, next_due(reader, "skipped"));
    HF_TRY(const std::int64_t held, next_due(reader, "held"));
    HF_TRY(const auto blocked, reader.query_one("SELECT COUNT(*) FROM outbox WHERE state = 'blocked'"));
    chores.redo = due(sent, config_.redo_max);
    chores.held = held > 0 || (chores.next_due_us > now && due(chores.next_due_us, longest_wait()));
    chores.remove = (done > 0 && done <= now) || (skipped > 0 && skipped <= now);
    chores.blocked = blocked->integer(0);
    return chores;
  };
  co_return co_await database_.read<Chores>(std::move(work));
}

Task<std::int64_t> OutboxStore::redo_unanswered() {
  std::function<Result<std::int64_t>(sql::Transaction&)> work = [this](sql::Transaction& tx) -> Result<std::int64_t> {
    const std::int64_t now = now_us();
    HF_TRY(tx.execute("UPDATE outbox SET due_at_us = ? WHERE state = 'sent' AND due_at_us > ?",  // a clock set back
                      {now, now + us(config_.redo_max)}));
    HF_TRY(const sql::Rows due,
           tx.query("SELECT id FROM outbox WHERE state = 'sent' AND due_at_us <= ? ORDER BY due_at_us LIMIT ?",
                    {now, static_cast<std::int64_t>(config_.batch)}));
    if (due.empty()) return 0;
    sql::Params params = {now};
    const std::string list = in_list(first_texts(due), params);
    return tx.execute(
        "UPDATE outbox SET state = 'pending', due_at_us = ?, sent_at_us = 0 WHERE state = 'sent' AND "
        "id IN " +
            list,
        std::move(params));
  };
  co_return co_await database_.write<std::int64_t>(std::move(work));
}

Task<std::int64_t> OutboxStore::release_held() {
  std::function<Result<std::int64_t>(sql::Transaction&)> work = [this](sql::Transaction& tx) -> Result<std::int64_t> {
    const std::int64_t now = now_us();
    // A wait that a clock set back made longer than any that is planned.
    HF_TRY(tx.execute("UPDATE outbox SET due_at_us = ? WHERE state = 'pending' AND due_at_us > ?",
                      {now, now + us(longest_wait())}));
    HF_TRY(const sql::Rows held,
           tx.query("SELECT aggregate_id, MIN(seq) FROM outbox WHERE state = 'held' GROUP BY aggregate_id"));
    std::int64_t released = 0;
    for (const sql::Row& first : held) {
      HF_TRY(const auto head,
             tx.query_one("SELECT MIN(seq) FROM outbox WHERE aggregate_id = ? AND sent_at_us = 0", {first.text(0)}));
      if (!head || head->integer_or(0, 0) != first.integer(1)) continue;
      HF_TRY(const std::int64_t changed,
             tx.execute("UPDATE outbox SET state = 'pending', due_at_us = ? "
                        "WHERE aggregate_id = ? AND sent_at_us = 0 AND seq = ? AND state = 'held'",
                        {now, first.text(0), first.integer(1)}));
      released += changed;
    }
    return released;
  };
  co_return co_await database_.write<std::int64_t>(std::move(work));
}

Task<std::int64_t> OutboxStore::remove_finished() {
  std::function<Result<std::int64_t>(sql::Transaction&)> work = [this](sql::Transaction& tx) -> Result<std::int64_t> {
    std::int64_t removed = 0;
    for (const char* state : {"done", "skipped"}) {
      HF_TRY(const sql::Rows due, tx.query("SELECT id FROM outbox WHERE state = ? AND due_at_us <= ? LIMIT ?",
                                           {state, now_us(), static_cast<std::int64_t>(config_.remove_batch)}));
      if (due.empty()) continue;
      sql::Params params = {state};
      const std::string list = in_list(first_texts(due), params);
      HF_TRY(const std::int64_t gone,
             tx.execute("DELETE FROM outbox WHERE state = ? AND id IN " + list, std::move(params)));
      removed += gone;
    }
    return removed;
  };
  co_return co_await database_.write<std::int64_t>(std::move(work));
}

Task<std::optional<OutboxEntry>> OutboxStore::find(std::string id) {
  using Found = std::optional<OutboxEntry>;
  std::function<Result<Found>(sql::Reader&)> work = [id = std::move(id)](sql::Reader& reader) -> Result<Found> {
    HF_TRY(const auto row, reader.query_one(std::string(kSelectEntry) + "WHERE id = ?", {id}));
    return row ? Found(entry_from(*row)) : Found();
  };
  co_return co_await database_.read<Found>(std::move(work));
}

Task<std::vector<OutboxEntry>> OutboxStore::list(std::string state, std::size_t limit) {
  using List = std::vector<OutboxEntry>;
  std::function<Result<List>(sql::Reader&)> work = [state = std::move(state),
                                                    limit](sql::Reader& reader) -> Result<List> {
    const std::string where =
        state.empty() ? "WHERE state IN ('blocked', 'held', 'pending', 'sent') " : "WHERE state = ? ";
    sql::Params params;
    if (!state.empty()) params.emplace_back(state);
    params.emplace_back(static_cast<std::int64_t>(limit));
    HF_TRY(const sql::Rows rows,
           reader.query(std::string(kSelectEntry) + where + "ORDER BY put_at_us, seq LIMIT ?", std::move(params)));
    HF_TRY(const sql::Rows held, reader.query("SELECT aggregate_id, COUNT(*) FROM outbox WHERE state = 'held' GROUP BY "
                                              "aggregate_id"));
    std::map<std::string, std::int64_t> behind;
    for (const sql::Row& row : held) behind[row.text(0)] = row.integer(1);
    List entries;
    for (const sql::Row& row : rows) {
      entries.push_back(entry_from(row));
      if (entries.back().state == "blocked") entries.back().behind = behind[entries.back().aggregate];
    }
    return entries;
  };
  co_return co_await database_.read<List>(std::move(work));
}

Task<std::map<std::string, std::int64_t>> OutboxStore::counts() {
  using Counts = std::map<std::string, std::int64_t>;
  std::function<Result<Counts>(sql::Reader&)> work = [](sql::Reader& reader) -> Result<Counts> {
    HF_TRY(const sql::Rows rows, reader.query("SELECT state, COUNT(*) FROM outbox GROUP BY state"));
    Counts counts;
    for (const sql::Row& row : rows) counts[row.text(0)] = row.integer(1);
    return counts;
  };
  co_return co_await database_.read<Counts>(std::move(work));
}

Task<OutboxEntry> OutboxStore::unblock(std::string id) {
  std::function<Result<OutboxEntry>(sql::Transaction&)> work = [this, id = std::move(id)](sql::Transaction& tx) {
    return decide_blocked(tx, id, false, "");
  };
  co_return co_await database_.write<OutboxEntry>(std::move(work));
}

Task<OutboxEntry> OutboxStore::skip(std::string id, std::string reason) {
  std::function<Result<OutboxEntry>(sql::Transaction&)> work = [this, id = std::move(id),
                                                                reason = std::move(reason)](sql::Transaction& tx) {
    return decide_blocked(tx, id, true, reason);
  };
  co_return co_await database_.write<OutboxEntry>(std::move(work));
}

Result<OutboxEntry> OutboxStore::decide_blocked(sql::Transaction& tx, const std::string& id, bool skip,
                                                const std::string& reason) const {
  HF_TRY(const auto row, tx.query_one(std::string(kSelectEntry) + "WHERE id = ?", {id}));
  if (!row) return Error{Code::not_found, "there is no outbox row " + id};
  const OutboxEntry before = entry_from(*row);
  if (before.state != "blocked") {
    return Error{Code::conflict, fmt::format("outbox row {} is {}, not blocked", id, before.state)};
  }
  const std::int64_t now = now_us();
  if (skip) {
    const std::string why = fmt::format("skipped: {}; it was blocked by: {}", reason, before.error);
    HF_TRY(
        tx.execute("UPDATE outbox SET state = 'skipped', error = ?, sent_at_us = ?, done_at_us = ?, due_at_us = ? "
                   "WHERE id = ? AND state = 'blocked'",
                   {why, now, now, now + us(config_.keep), id}));
    const std::string aggregate[] = {before.aggregate};
    HF_TRY(release_next(tx, aggregate));
  } else {
    HF_TRY(
        tx.execute("UPDATE outbox SET state = 'pending', refusals = 0, due_at_us = ? "
                   "WHERE id = ? AND state = 'blocked'",
                   {now, id}));
  }
  HF_TRY(const auto after, tx.query_one(std::string(kSelectEntry) + "WHERE id = ?", {id}));
  HF_ASSERT(after.has_value());
  return entry_from(*after);
}

}  // namespace hf::participant
