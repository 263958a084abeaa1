#pragma once

/// The idempotent consumer: the business key of a message and its effect are written in one local transaction.
///
///   mq::Listener listener = [&](const mq::ReceivedMessage& received) -> Task<> {
///     std::function<Result<Handled>(sql::Transaction&)> work = [&, order = order_of(received)](sql::Transaction& tx) {
///       return inbox.once(tx, "inventory", order.id, [&] { return take_stock(tx, order); });
///     };
///     HF_CO_TRY(const Handled handled, co_await database.write<Handled>(std::move(work)));
///     …                                                                // success acknowledges the message
///   };
///
/// Compiled and run: examples/inbox.cc. Table: docs/formats/participant.md.
///
///     message ─▶ key is new ─▶ effect ─▶ key, effect and result commit together ─▶ acknowledged
///            └─▶ key is known ─▶ the stored result, no effect ─▶ acknowledged
///
/// It dies before the commit: nothing of it is there, the message comes again. After the commit, before the ack: it
/// comes again and is answered from the row. Two consumers get it at once: the key's row lets one of them wait for the
/// other. An *error* of the effect takes the key back with it, so the message comes again: what is final (a refusal:
/// "sold out") is a result, not an error.

#include <functional>
#include <memory>
#include <string>

#include "base/task.h"
#include "participant/inbox_config.h"
#include "sql/database.h"
#include "sys/world.h"

namespace hf::participant {

struct Handled {
  std::string result;     ///< what the effect returned, now or the first time
  bool replayed = false;  ///< the effect ran earlier
};

/// One strand, but for once(), which belongs to units of work. `database` outlives it and has the business tables;
/// close() is awaited before it is destroyed.
class Inbox {
 public:
  Inbox(sys::World world, sql::Database& database, InboxConfig config);
  ~Inbox();
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  /// Creates the table; begins to remove old keys. Errors: invalid (configuration), those of the database.
  Task<> start();

  /// Runs `effect` in this transaction, unless `key` was handled by `consumer` before. `consumer`: 1 … 64 bytes, the
  /// group; `key`: 1 … 128 bytes that name the business operation, the same in every copy of the message. Errors:
  /// invalid (no key); the effect's own, after which nothing of this transaction may be committed; the database's.
  using Effect = std::function<Result<std::string>()>;
  Result<Handled> once(sql::Transaction& tx, const std::string& consumer, const std::string& key,
                       const Effect& effect) const;

  asio::awaitable<void> close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hf::participant
