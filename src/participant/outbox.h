#pragma once

/// The local message table: a message that stands or falls with a business transaction.
///
///   HF_CO_TRY(co_await outbox.start({"orders"}));                       // once; names the business tables
///
///   std::function<Result<void>(sql::Transaction&)> work = [&](sql::Transaction& tx) -> Result<void> {
///     HF_TRY(tx.execute("INSERT INTO orders (id, total_minor) VALUES (?, ?)", {id, total}));
///     return outbox.put(tx, {.topic = "orders", .body = body, .aggregate = id});
///   };
///   HF_CO_TRY(co_await database.write(std::move(work)));
///   outbox.committed();                                                 // wakes the relay
///
/// Compiled and run: examples/outbox.cc. Tables: docs/formats/participant.md.
///
/// **Promises.** A message whose transaction committed is published at least once, whatever dies, as long as some relay
/// on this table is started again; one whose transaction did not commit is never published. A row that is published
/// again keeps its message id and its first key (the outbox id), so that a consumer recognises it (participant/inbox.h,
/// the router's event id). Messages of one aggregate are published in the order in which they were put, one after the
/// other; others do not wait for them. What the broker refuses again and again blocks its aggregate alone, where it is
/// counted, listed, explained, and can be sent on or skipped (P7).
///
///                           ┌──── an earlier one of its aggregate is still here ───▶ held
///     put ──(commit)──▶ pending ◀── its turn ────────────────────────────────────────┘
///                        │  ▲ │ ▲ the broker is away: back-off
///                        │  │ └─┘
///                        │  └───── no `done` in time (redo), or resend() ───────┐
///                        ├─ published, awaits_done ──▶ sent ────────────────────┤
///                        │                              └─ done() ──▶ done ─────┘──▶ removed after `keep`
///                        ├─ published ──▶ done
///                        └─ refused refusals_max times ──▶ blocked ── unblock ──▶ pending
///                                                             └────── skip ─────▶ skipped ──▶ removed after `keep`
///
/// Order in an aggregate is that of its transactions where the business serializes them (a row of the aggregate that
/// each of them locks, or one writer); two that really overlap have none. READ COMMITTED or SQLite is assumed.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/task.h"
#include "mq/message.h"
#include "participant/outbox_config.h"
#include "sql/database.h"
#include "sys/world.h"

namespace hf::participant {

struct OutboxMessage {
  std::string topic{};
  std::string body{};       ///< at least one byte
  std::string aggregate{};  ///< up to 128 bytes; empty: in no order with any other
  std::string id{};         ///< up to 64 bytes, unique in the table; empty: drawn
  std::string tag{};        ///< these four as in mq::Message; `keys` come after the id
  std::vector<std::string> keys{};
  std::map<std::string, std::string> properties{};
  std::string message_group{};
  bool awaits_done = false;  ///< published again until done() is called for it (a reply that must come)
};

/// One row, for people.
struct OutboxEntry {
  std::string id, aggregate, topic, message_id, state, error;
  std::int64_t attempts = 0, refusals = 0;
  std::int64_t put_at_us = 0, sent_at_us = 0, done_at_us = 0;  ///< 0: not yet
  std::int64_t due_at_us = 0;                                  ///< the next thing that happens to it: a try, removal
  std::int64_t behind = 0;                                     ///< blocked: rows of its aggregate that wait behind it
};

/// mq::Producer::send_batch: messages of one topic, one verdict each.
using Publish = std::function<Task<std::vector<Result<mq::SendReceipt>>>(std::vector<mq::Message>)>;

/// One strand, but for put(), done() and resend(), which belong to units of work. `database` outlives it and is the one
/// with the business tables; close() is awaited before it is destroyed. Any number of them may run on one table, in any
/// number of processes.
class Outbox {
 public:
  Outbox(sys::World world, sql::Database& database, OutboxConfig config, Publish publish);
  ~Outbox();
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  /// Creates the table, starts the relay. `business_tables`: where the effects of the transactions go; created before.
  /// Errors: invalid: the configuration, or a business table is not in this database, in which case no transaction
  /// could hold both the effect and its message; those of the database.
  Task<> start(std::vector<std::string> business_tables);
  /// The same, and refuses a business database that is another one than the outbox's.
  Task<> start(const sql::Database& business, std::vector<std::string> business_tables);

  /// In the business transaction. Errors: invalid (breaks a rule of the broker; nothing is written) · conflict (the id
  /// is taken); those of the database. Any of them must fail the transaction.
  Result<void> put(sql::Transaction& tx, OutboxMessage message) const;
  /// The reply to message `id` has come and what it says is written in this transaction. False: there is no such row,
  /// or it was done before.
  Result<bool> done(sql::Transaction& tx, const std::string& id) const;
  /// Publishes `id` once more: whoever asks again has lost it. False: there is no such row any more.
  Result<bool> resend(sql::Transaction& tx, const std::string& id) const;

  /// A transaction with a put(), done() or resend() in it is durable: the relay looks now. Optional: polling finds it,
  /// later.
  void committed();

  Task<std::optional<OutboxEntry>> find(std::string id);
  /// `state`: pending, held, sent, done, blocked, skipped; empty: those that need somebody or something (not done, not
  /// skipped). The oldest first, at most `limit`.
  Task<std::vector<OutboxEntry>> list(std::string state, std::size_t limit);
  /// Rows per state.
  Task<std::map<std::string, std::int64_t>> counts();
  /// A blocked row is tried anew; its aggregate goes on behind it. Errors: not_found · conflict (not blocked).
  Task<OutboxEntry> unblock(std::string id);
  /// A blocked row is given up, with a reason that is kept in it; its aggregate goes on. Errors: as above.
  Task<OutboxEntry> skip(std::string id, std::string reason);

  /// No further claims; waits for what is being published. Rows that are not recorded are published again.
  asio::awaitable<void> close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hf::participant
