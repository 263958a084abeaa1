#include "participant/inbox.h"

#include "base/log.h"
#include "participant/in_list.h"
#include "sys/wait.h"

namespace hf::participant {
namespace {

std::vector<sql::Migration> migrations() {
  return {{1,
           "inbox",
           {R"(CREATE TABLE inbox (
  consumer    VARCHAR(64)  NOT NULL,
  message_key VARCHAR(128) NOT NULL,
  result      LONGBLOB     NOT NULL,
  at_us       BIGINT       NOT NULL,
  PRIMARY KEY (consumer, message_key)))",
            "CREATE INDEX inbox_age ON inbox (at_us)"}}};
}

std::int64_t us(Duration duration) { return std::chrono::duration_cast<std::chrono::microseconds>(duration).count(); }

}  // namespace

Result<void> check(const InboxConfig& config) {
  if (config.keep < 1min || config.keep > 365 * 24h) return Error{Code::invalid, "inbox.keep must be 1 min … 365 d"};
  if (config.scan < 100ms || config.scan > 24h) return Error{Code::invalid, "inbox.scan must be 100 ms … 1 d"};
  if (config.remove_batch < 1 || config.remove_batch > 1000) {
    return Error{Code::invalid, "inbox.remove_batch must be 1 … 1000"};
  }
  return ok();
}

struct Inbox::Impl {
  Impl(sys::World w, sql::Database& d, InboxConfig c)
      : world(std::move(w)),
        database(d),
        config(std::move(c)),
        stop(world.clock),
        tasks(world.executor, world.clock),
        handled(of("handled")),
        replayed(of("replayed")),
        removed(world.metrics.counter("holdfast_participant_inbox_removed_total", "Keys removed after retention",
                                      {{"inbox", config.name}})) {}

  metrics::Counter& of(const char* outcome) {
    return world.metrics.counter("holdfast_participant_inbox_messages_total",
                                 "Runs of an idempotent effect, by outcome; a run whose commit failed is counted too",
                                 {{"inbox", config.name}, {"outcome", outcome}});
  }

  asio::awaitable<void> scan() {
    while (!stopping) {
      const Result<std::int64_t> gone = co_await remove_old();
      if (!gone) {
        log::warn("participant.inbox.scan_failed", {{"inbox", config.name}, {"error", gone.error().to_string()}});
      } else if (*gone > 0) {
        removed.add(static_cast<double>(*gone));
        if (*gone >= static_cast<std::int64_t>(config.remove_batch)) continue;
      }
      if (!stopping) co_await stop.wait_until(world.clock.now() + config.scan);
    }
  }

  /// Looks with a read, so that an idle inbox writes nothing.
  Task<std::int64_t> remove_old() {
    const std::int64_t before = to_us(world.clock.wall()) - us(config.keep);
    const auto limit = static_cast<std::int64_t>(config.remove_batch);
    std::function<Result<std::int64_t>(sql::Reader&)> look = [before](sql::Reader& reader) -> Result<std::int64_t> {
      HF_TRY(const auto oldest, reader.query_one("SELECT MIN(at_us) FROM inbox"));
      return oldest && oldest->integer_or(0, before) < before ? 1 : 0;
    };
    HF_CO_TRY(const std::int64_t any, co_await database.read<std::int64_t>(std::move(look)));
    if (any == 0) co_return 0;
    std::function<Result<std::int64_t>(sql::Transaction&)> work =
        [before, limit](sql::Transaction& tx) -> Result<std::int64_t> {
      HF_TRY(
          const sql::Rows old,
          tx.query("SELECT consumer, message_key FROM inbox WHERE at_us < ? ORDER BY at_us LIMIT ?", {before, limit}));
      for (const sql::Row& row : old) {
        HF_TRY(tx.execute("DELETE FROM inbox WHERE consumer = ? AND message_key = ?", {row.text(0), row.text(1)}));
      }
      return static_cast<std::int64_t>(old.size());
    };
    co_return co_await database.write<std::int64_t>(std::move(work));
  }

  sys::World world;
  sql::Database& database;
  const InboxConfig config;
  bool stopping = false;
  sys::Event stop;
  sys::TaskGroup tasks;
  metrics::Counter &handled, &replayed, &removed;
};

Inbox::Inbox(sys::World world, sql::Database& database, InboxConfig config)
    : impl_(std::make_unique<Impl>(std::move(world), database, std::move(config))) {}
Inbox::~Inbox() = default;

Task<> Inbox::start() {
  HF_CO_TRY(check(impl_->config));
  HF_CO_TRY(co_await impl_->database.migrate("inbox", migrations()));
  impl_->tasks.spawn("inbox.scan", impl_->scan());
  co_return ok();
}

Result<Handled> Inbox::once(sql::Transaction& tx, const std::string& consumer, const std::string& key,
                            const Effect& effect) const {
  if (consumer.empty() || consumer.size() > 64 || key.empty() || key.size() > 128) {
    return Error{Code::invalid, "a consumer has 1 … 64 bytes, a message's key 1 … 128"};
  }
  // The key comes first: it waits for another copy of the message that is being handled, before any hot row is touched.
  HF_TRY(const bool ours,
         tx.insert_if_absent("INSERT INTO inbox (consumer, message_key, result, at_us) VALUES (?, ?, '', ?)",
                             {consumer, key, to_us(impl_->world.clock.wall())}));
  if (!ours) {
    HF_TRY(const auto row,
           tx.query_one("SELECT result FROM inbox WHERE consumer = ? AND message_key = ?", {consumer, key}));
    if (!row) return Error{Code::unavailable, "the key was there and is gone"};  // removed right now
    impl_->replayed.add();
    return Handled{row->text(0), true};
  }
  HF_TRY(impl_->world.faults.reach_blocking("inbox.between"));
  HF_TRY(std::string result, effect());
  if (!result.empty()) {
    HF_TRY(tx.execute("UPDATE inbox SET result = ? WHERE consumer = ? AND message_key = ?", {result, consumer, key}));
  }
  impl_->handled.add();
  return Handled{std::move(result), false};
}

asio::awaitable<void> Inbox::close() {
  impl_->stopping = true;
  impl_->stop.notify_all();
  co_await impl_->tasks.join();
}

}  // namespace hf::participant
