#include "coordinator/store.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/crc32c.h"

namespace hf::coordinator {
namespace {

using sql::Params;
using sql::Reader;
using sql::Row;
using sql::Rows;

constexpr std::string_view kColumns =
    "gtrid, state, decision, refused_by, reason, began_at_us, decided_at_us, ended_at_us, damaged, participants, "
    "story, crc";

const std::vector<sql::Migration>& migrations() {
  // MEDIUMTEXT: a story, or 64 participants with long URLs, may be longer than MySQL's TEXT.
  static const std::vector<sql::Migration> all = {
      {1,
       "decisions",
       {
           "CREATE TABLE coordinator_identity (coordinator VARCHAR(12) NOT NULL PRIMARY KEY, epoch BIGINT NOT NULL, "
           "started_at_us BIGINT NOT NULL)",
           "CREATE TABLE coordinator_tx (gtrid VARCHAR(64) NOT NULL PRIMARY KEY, coordinator VARCHAR(12) NOT NULL, "
           "state VARCHAR(12) NOT NULL, decision VARCHAR(8) NOT NULL, refused_by VARCHAR(128) NOT NULL, "
           "reason TEXT NOT NULL, began_at_us BIGINT NOT NULL, decided_at_us BIGINT NOT NULL, "
           "ended_at_us BIGINT NOT NULL, damaged BIGINT NOT NULL, participants MEDIUMTEXT NOT NULL, "
           "story MEDIUMTEXT NOT NULL, crc BIGINT NOT NULL)",
           "CREATE INDEX coordinator_tx_end ON coordinator_tx (coordinator, ended_at_us)",
           "CREATE TABLE coordinator_heuristic (gtrid VARCHAR(64) NOT NULL, participant VARCHAR(128) NOT NULL, "
           "found VARCHAR(16) NOT NULL, decided VARCHAR(8) NOT NULL, reason TEXT NOT NULL, at_us BIGINT NOT NULL, "
           "PRIMARY KEY (gtrid, participant, found))",
           "CREATE INDEX coordinator_heuristic_time ON coordinator_heuristic (at_us)",
       }}};
  return all;
}

std::string decision_text(const Transaction& tx) {
  return tx.decision ? std::string(wire::two_phase::to_string(*tx.decision)) : std::string();
}

/// Over what decides a recovery. The story is for people.
std::int64_t crc_of(const std::string& gtrid, const std::string& decision, std::int64_t ended_us,
                    const std::string& participants) {
  return crc32c(as_bytes(fmt::format("{}|{}|{}|{}", gtrid, decision, ended_us, participants)));
}

Params to_params(const Transaction& tx, const std::string& coordinator) {
  const std::string decision = decision_text(tx), participants = encode_participants(tx.participants);
  return {tx.gtrid,
          coordinator,
          std::string(to_string(tx.state)),
          decision,
          tx.refused_by,
          tx.reason,
          tx.began_us,
          tx.decided_us,
          tx.ended_us,
          std::int64_t{tx.damaged ? 1 : 0},
          participants,
          encode_story(tx.story),
          crc_of(tx.gtrid, decision, tx.ended_us, participants)};
}

Error damaged(const std::string& gtrid, std::string_view what) {
  return Error{Code::corrupt, fmt::format("the record of transaction {} is damaged: {}", gtrid, what)};
}

Result<Transaction> read(const Row& row) {
  Transaction tx;
  tx.gtrid = row.text(0);
  const std::optional<State> state = state_from(row.text(1));
  if (!state) return damaged(tx.gtrid, "its state");
  tx.state = *state;
  tx.decision = wire::two_phase::decision_from(row.text(2));
  tx.refused_by = row.text(3);
  tx.reason = row.text(4);
  tx.began_us = row.integer(5);
  tx.decided_us = row.integer(6);
  tx.ended_us = row.integer(7);
  tx.damaged = row.integer(8) != 0;
  if (crc_of(tx.gtrid, row.text(2), tx.ended_us, row.text(9)) != row.integer(11)) {
    return damaged(tx.gtrid, "its checksum");
  }
  HF_TRY(tx.participants, decode_participants(row.text(9)));
  HF_TRY(tx.story, decode_story(row.text(10)));
  return tx;
}

Result<std::vector<Transaction>> read_all(Reader& reader, std::string_view where, Params params) {
  HF_TRY(const Rows rows,
         reader.query(fmt::format("SELECT {} FROM coordinator_tx {}", kColumns, where), std::move(params)));
  std::vector<Transaction> out;
  out.reserve(rows.size());
  for (const Row& row : rows) {
    HF_TRY(Transaction tx, read(row));
    out.push_back(std::move(tx));
  }
  return out;
}

Result<std::optional<Transaction>> read_one(Reader& reader, const std::string& gtrid) {
  HF_TRY(std::vector<Transaction> found, read_all(reader, "WHERE gtrid = ?", {gtrid}));
  if (found.empty()) return std::optional<Transaction>();
  return std::optional<Transaction>(std::move(found.front()));
}

/// Writes the row as it is in `tx`, unless the one that is there has the other decision: then false.
Result<bool> put(sql::Transaction& db, const Transaction& tx, const std::string& coordinator) {
  Params row = to_params(tx, coordinator);
  HF_TRY(const bool inserted,
         db.insert_if_absent("INSERT INTO coordinator_tx (gtrid, coordinator, state, decision, refused_by, reason, "
                             "began_at_us, decided_at_us, ended_at_us, damaged, participants, story, crc) "
                             "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
                             row));
  if (inserted) return true;
  Params update(row.begin() + 2, row.end());
  update.push_back(tx.gtrid);
  update.push_back(decision_text(tx));
  HF_TRY(const std::int64_t changed,
         db.execute("UPDATE coordinator_tx SET state = ?, decision = ?, refused_by = ?, reason = ?, began_at_us = ?, "
                    "decided_at_us = ?, ended_at_us = ?, damaged = ?, participants = ?, story = ?, crc = ? "
                    "WHERE gtrid = ? AND (decision = '' OR decision = ?)",
                    std::move(update)));
  return changed == 1;
}

Result<void> put_all(sql::Transaction& db, const std::vector<Heuristic>& heuristics) {
  for (const Heuristic& h : heuristics) {
    HF_TRY(const bool inserted,
           db.insert_if_absent("INSERT INTO coordinator_heuristic (gtrid, participant, found, decided, reason, at_us) "
                               "VALUES (?,?,?,?,?,?)",
                               {h.gtrid, h.participant, h.found, h.decided, h.reason, h.at_us}));
    static_cast<void>(inserted);  // a repetition: the first words stay
  }
  return ok();
}

}  // namespace

Store::Store(sql::Database& database, std::string coordinator)
    : database_(database), coordinator_(std::move(coordinator)) {}

Task<> Store::migrate() { co_return co_await database_.migrate("coordinator", migrations()); }

Result<void> Store::prove_epoch(sql::Transaction& tx) const {
  HF_ASSERT(epoch_ > 0);
  HF_TRY(const std::int64_t rows,
         tx.execute("UPDATE coordinator_identity SET epoch = epoch WHERE coordinator = ? AND epoch = ?",
                    {coordinator_, static_cast<std::int64_t>(epoch_)}));
  if (rows == 1) return ok();
  return Error{Code::denied,
               fmt::format("another process has taken the identity \"{}\" after epoch {}", coordinator_, epoch_)};
}

Task<std::uint64_t> Store::take_epoch(WallTime now) {
  std::function<Result<std::uint64_t>(sql::Transaction&)> work = [id = coordinator_,
                                                                  now](sql::Transaction& tx) -> Result<std::uint64_t> {
    HF_TRY(const bool first,
           tx.insert_if_absent("INSERT INTO coordinator_identity (coordinator, epoch, started_at_us) VALUES (?,?,?)",
                               {id, std::int64_t{0}, to_us(now)}));
    static_cast<void>(first);
    HF_TRY(const std::int64_t raised,
           tx.execute("UPDATE coordinator_identity SET epoch = epoch + 1, started_at_us = ? WHERE coordinator = ?",
                      {to_us(now), id}));
    HF_ASSERT(raised == 1);
    HF_TRY(const auto row, tx.query_one("SELECT epoch FROM coordinator_identity WHERE coordinator = ?", {id}));
    HF_ASSERT(row.has_value());
    return static_cast<std::uint64_t>(row->integer(0));
  };
  HF_CO_TRY(epoch_, co_await database_.write<std::uint64_t>(std::move(work)));
  co_return epoch_;
}

Task<> Store::record_commit(Transaction decided) {
  HF_ASSERT(decided.decision == Decision::commit);
  std::function<Result<void>(sql::Transaction&)> work = [this, decided](sql::Transaction& tx) -> Result<void> {
    HF_TRY(prove_epoch(tx));
    HF_TRY(const bool written, put(tx, decided, coordinator_));
    if (!written) return Error{Code::conflict, "an abort is recorded"};
    return ok();
  };
  co_return co_await database_.write(std::move(work));
}

Task<Decision> Store::resolve_commit(Transaction aborted) {
  HF_ASSERT(aborted.decision == Decision::abort);
  std::function<Result<Decision>(sql::Transaction&)> work = [this, aborted](sql::Transaction& tx) -> Result<Decision> {
    HF_TRY(prove_epoch(tx));
    HF_TRY(const bool written, put(tx, aborted, coordinator_));
    return written ? Decision::abort : Decision::commit;
  };
  co_return co_await database_.write<Decision>(std::move(work));
}

Task<> Store::record_heuristics(std::vector<Heuristic> heuristics) {
  std::function<Result<void>(sql::Transaction&)> work = [this, heuristics](sql::Transaction& tx) -> Result<void> {
    HF_TRY(prove_epoch(tx));
    return put_all(tx, heuristics);
  };
  co_return co_await database_.write(std::move(work));
}

Task<> Store::save(std::vector<Transaction> transactions, std::vector<Heuristic> damages) {
  std::function<Result<void>(sql::Transaction&)> work = [this, transactions = std::move(transactions),
                                                         damages =
                                                             std::move(damages)](sql::Transaction& tx) -> Result<void> {
    HF_TRY(prove_epoch(tx));
    HF_TRY(put_all(tx, damages));
    for (const Transaction& one : transactions) {
      HF_TRY(const bool written, put(tx, one, coordinator_));
      // Undecided over decided: an earlier picture that came late (several writers). The other decision never is there.
      static_cast<void>(written);
    }
    return ok();
  };
  co_return co_await database_.write(std::move(work));
}

Task<std::vector<Transaction>> Store::unfinished() {
  std::function<Result<std::vector<Transaction>>(Reader&)> work = [id = coordinator_](Reader& reader) {
    return read_all(reader, "WHERE coordinator = ? AND ended_at_us = 0", {id});
  };
  co_return co_await database_.read<std::vector<Transaction>>(std::move(work));
}

Task<std::optional<Transaction>> Store::find(std::string gtrid) {
  std::function<Result<std::optional<Transaction>>(Reader&)> work = [gtrid](Reader& reader) {
    return read_one(reader, gtrid);
  };
  co_return co_await database_.read<std::optional<Transaction>>(std::move(work));
}

Task<std::vector<Transaction>> Store::finished(std::size_t limit) {
  std::function<Result<std::vector<Transaction>>(Reader&)> work = [id = coordinator_, limit](Reader& reader) {
    return read_all(reader, "WHERE coordinator = ? AND ended_at_us > 0 ORDER BY ended_at_us DESC LIMIT ?",
                    {id, static_cast<std::int64_t>(limit)});
  };
  co_return co_await database_.read<std::vector<Transaction>>(std::move(work));
}

Task<std::vector<Heuristic>> Store::heuristics(std::string gtrid, std::size_t limit) {
  std::function<Result<std::vector<Heuristic>>(Reader&)> work =
      [gtrid, limit](Reader& reader) -> Result<std::vector<Heuristic>> {
    const std::string where = gtrid.empty() ? "" : "WHERE gtrid = ?";
    Params params;
    if (!gtrid.empty()) params.push_back(gtrid);
    params.push_back(static_cast<std::int64_t>(limit));
    HF_TRY(const Rows rows, reader.query("SELECT gtrid, participant, decided, found, reason, at_us FROM "
                                         "coordinator_heuristic " +
                                             where + " ORDER BY at_us DESC LIMIT ?",
                                         std::move(params)));
    std::vector<Heuristic> out;
    for (const Row& row : rows) {
      out.push_back({row.text(0), row.text(1), row.text(2), row.text(3), row.text(4), row.integer(5)});
    }
    return out;
  };
  co_return co_await database_.read<std::vector<Heuristic>>(std::move(work));
}

Task<std::int64_t> Store::count_heuristics() {
  std::function<Result<std::int64_t>(Reader&)> work = [](Reader& reader) -> Result<std::int64_t> {
    HF_TRY(const auto row, reader.query_one("SELECT COUNT(*) FROM coordinator_heuristic"));
    return row->integer(0);
  };
  co_return co_await database_.read<std::int64_t>(std::move(work));
}

Task<std::int64_t> Store::forget(WallTime before, std::size_t limit) {
  std::function<Result<std::int64_t>(sql::Transaction&)> work = [this, before,
                                                                 limit](sql::Transaction& tx) -> Result<std::int64_t> {
    HF_TRY(prove_epoch(tx));
    HF_TRY(const Rows rows, tx.query("SELECT gtrid FROM coordinator_tx WHERE coordinator = ? AND ended_at_us > 0 AND "
                                     "ended_at_us < ? AND damaged = 0 LIMIT ?",
                                     {coordinator_, to_us(before), static_cast<std::int64_t>(limit)}));
    for (const Row& row : rows) {
      HF_TRY(const std::int64_t gone, tx.execute("DELETE FROM coordinator_tx WHERE gtrid = ?", {row.text(0)}));
      HF_ASSERT(gone == 1);
    }
    return static_cast<std::int64_t>(rows.size());
  };
  co_return co_await database_.write<std::int64_t>(std::move(work));
}

}  // namespace hf::coordinator
