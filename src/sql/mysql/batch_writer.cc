#include "sql/mysql/batch_writer.h"

#include <thread>

#include "base/log.h"
#include "sql/statement_points.h"

namespace hf::sql::mysql {
namespace {

/// How long a batch that was rolled back is tried again, all of its units together: others wait behind it.
constexpr Duration kRetryFor = 3s;
constexpr Duration kFirstPause = 1ms, kLongestPause = 100ms;
/// After a unit that failed late, so many batches have savepoints at once: such failures come in swarms (sold out).
constexpr int kCarefulBatches = 50;
/// Between two looks for a lost COMMIT while the server is away.
constexpr Duration kLookAgain = 50ms;

void fail_all(std::span<Unit* const> units, const Error& error) {
  for (Unit* unit : units) unit->result = error;
}

bool may_pass(ErrorClass error_class) {
  return error_class == ErrorClass::retry_statement || error_class == ErrorClass::retry_transaction ||
         error_class == ErrorClass::reconnect;
}

}  // namespace

BatchWriter::BatchWriter(sys::World& world, const Settings& settings, const std::string& url, Connector& connector)
    : world_(world),
      settings_(settings),
      url_(url),
      connector_(connector),
      pool_(world, connector, Purpose::write),
      markers_(world.random),
      units_done_(world.metrics.counter("holdfast_sql_units_total", "Units of work, by how they ended",
                                        {{"database", settings.database}, {"outcome", "committed"}})),
      units_failed_(world.metrics.counter("holdfast_sql_units_total", "Units of work, by how they ended",
                                          {{"database", settings.database}, {"outcome", "failed"}})),
      commits_done_(world.metrics.counter("holdfast_sql_commits_total", "Commits of whole batches",
                                          {{"database", settings.database}, {"outcome", "done"}})),
      commits_failed_(world.metrics.counter("holdfast_sql_commits_total", "Commits of whole batches",
                                            {{"database", settings.database}, {"outcome", "failed"}})),
      commit_seconds_(world.metrics.histogram("holdfast_sql_commit_seconds",
                                              "From BEGIN to durable, one batch of units",
                                              {{"database", settings.database}})) {}

void BatchWriter::run(std::span<Unit* const> batch) {
  settle(Units(batch.begin(), batch.end()), world_.clock.now() + kRetryFor);
  const auto failed = std::count_if(batch.begin(), batch.end(), [](const Unit* unit) { return !unit->result; });
  units_failed_.add(static_cast<double>(failed));
  units_done_.add(static_cast<double>(std::ssize(batch) - failed));
}

void BatchWriter::settle(Units units, Monotonic deadline) {
  Units later;  // each alone: whatever stops one of them stops no other
  Savepoints savepoints = units.size() > 1 && careful_ > 0 ? Savepoints::yes : Savepoints::no;
  if (savepoints == Savepoints::yes) --careful_;
  for (int tries = 1; !units.empty(); ++tries) {
    const Try tried = attempt(units, savepoints);
    if (tried.wants_savepoints) {
      savepoints = Savepoints::yes;
      careful_ = kCarefulBatches;
      continue;
    }
    if (!tried.failed) break;
    commits_failed_.add();
    if (!tried.again || world_.clock.now() >= deadline) {
      fail_all(units, *tried.failed);
      break;
    }
    if (tried.to_blame != nullptr && units.size() > 1) {
      std::erase(units, tried.to_blame);
      tried.to_blame->result = *tried.failed;
      later.push_back(tried.to_blame);
    } else {
      pause(tries);
    }
  }
  for (Unit* unit : later) {
    if (world_.clock.now() < deadline) settle({unit}, deadline);  // else it keeps its error
  }
}

BatchWriter::Try BatchWriter::attempt(const Units& units, Savepoints savepoints) {
  const Monotonic start = world_.clock.now();
  Result<std::unique_ptr<Connection>> taken = pool_.take();
  if (!taken) return {.failed = taken.error()};
  std::unique_ptr<Connection> connection = std::move(*taken);
  const MarkerLedger::Batch marker = markers_.begin();
  Try outcome;
  if (connection->begin(marker.sql)) {
    outcome = run_units(*connection, units, savepoints);
  } else {
    outcome = failure_of(*connection, nullptr);
  }
  const auto worked = [](const Unit* unit) { return unit->result.has_value(); };
  // Units that only looked may have seen what is not durable yet: then the commit of our marker, behind it in the same
  // log, is what they wait for.
  const bool commits = connection->rows_changed() > 0 || connection->shows_commits_early();
  if (outcome.failed || outcome.wants_savepoints || !commits || std::ranges::none_of(units, worked)) {
    roll_back(std::move(connection), marker);
    return outcome;
  }
  outcome = commit(std::move(connection), marker);
  if (!outcome.failed) {
    commits_done_.add();
    commit_seconds_.observe_seconds(std::chrono::duration<double>(world_.clock.now() - start).count());
  }
  return outcome;
}

/// A savepoint of the same name replaces the one before, so that nothing has to be released.
BatchWriter::Try BatchWriter::run_units(Connection& connection, const Units& units, Savepoints savepoints) {
  const bool alone = units.size() == 1;  // if it fails, all is rolled back
  for (Unit* unit : units) {
    if (savepoints == Savepoints::yes && !connection.control("SAVEPOINT unit")) return failure_of(connection, nullptr);
    const std::int64_t before = connection.rows_changed();
    StatementPoints statements(connection, world_.faults);
    unit->result = unit->work(statements);
    if (connection.broken()) return failure_of(connection, unit);  // also if the unit hides it
    if (unit->result || alone || connection.rows_changed() == before) continue;
    if (savepoints == Savepoints::no) return {.wants_savepoints = true};
    if (!connection.control("ROLLBACK TO SAVEPOINT unit")) return failure_of(connection, nullptr);
  }
  return {};
}

BatchWriter::Try BatchWriter::failure_of(const Connection& connection, Unit* to_blame) {
  const Connection::Failure& failure = connection.broken() ? *connection.broken() : *connection.last_failure();
  const std::string error_class(to_string(failure.verdict.error_class));
  world_.metrics
      .counter("holdfast_sql_rolled_back_total", "Batches that an error of the server ended, by its class",
               {{"database", settings_.database}, {"class", error_class}})
      .add();
  log::debug("sql.batch.rolled_back", {{"database", url_}, {"class", error_class}, {"error", failure.error.message}});
  return {.failed = failure.error, .again = may_pass(failure.verdict.error_class), .to_blame = to_blame};
}

/// Before COMMIT was sent: certain, whatever the answer to ROLLBACK.
void BatchWriter::roll_back(std::unique_ptr<Connection> connection, const MarkerLedger::Batch& marker) {
  markers_.rolled_back(marker);
  if (connection->usable()) (void)connection->control("ROLLBACK", Phase::rollback);
  if (!connection->usable()) pool_.clear();
  pool_.give(std::move(connection));
}

BatchWriter::Try BatchWriter::commit(std::unique_ptr<Connection> connection, const MarkerLedger::Batch& marker) {
  if (Result<void> injected = world_.faults.reach_blocking("sql.before_commit"); !injected) {
    roll_back(std::move(connection), marker);
    return {.failed = injected.error()};
  }
  Result<void> committed = connection->control("COMMIT", Phase::commit);
  if (!committed && connection->last_failure()->verdict.error_class != ErrorClass::ambiguous) {
    Try outcome = failure_of(*connection, nullptr);
    roll_back(std::move(connection), marker);
    return outcome;
  }
  // An error here is one of the test's: durable, and the answer is lost.
  if (committed) committed = world_.faults.reach_blocking("sql.after_commit");
  if (committed) {
    markers_.committed(marker);
    pool_.give(std::move(connection));
    return {};
  }
  connection.reset();
  pool_.clear();
  return resolved(marker, committed.error());
}

BatchWriter::Try BatchWriter::resolved(const MarkerLedger::Batch& marker, const Error& lost) {
  switch (resolve(marker, lost.message)) {
    case Ending::committed:
      markers_.committed(marker);
      return {};
    case Ending::rolled_back:
      markers_.rolled_back(marker);
      return {.failed = Error{Code::unavailable, "rolled back: " + lost.message}, .again = true};
    case Ending::unknown:
      markers_.unknown(marker);
      return {.failed = Error{Code::timeout, fmt::format("whether batch {} is committed could not be found out: {}",
                                                         marker.id, lost.message)}};
  }
  HF_ASSERT(false);
}

Ending BatchWriter::resolve(const MarkerLedger::Batch& marker, const std::string& why) {
  const Monotonic deadline = world_.clock.now() + settings_.resolve_timeout;
  Ending ending = Ending::unknown;
  int looks = 0;
  for (; ending == Ending::unknown && (looks == 0 || world_.clock.now() < deadline); ++looks) {
    if (looks > 0) std::this_thread::sleep_for(kLookAgain);
    if (Result<std::unique_ptr<Connection>> connection = connector_.connect_now(Purpose::resolve)) {
      ending = look_for(**connection, marker.id);
    }
  }
  world_.metrics
      .counter("holdfast_sql_ambiguous_commits_total", "Commits whose answer was lost, by what their marker told",
               {{"database", settings_.database}, {"resolved", std::string(to_string(ending))}})
      .add();
  log::warn(
      "sql.commit.ambiguous",
      {{"database", url_}, {"batch_id", marker.id}, {"resolved", to_string(ending)}, {"looks", looks}, {"cause", why}});
  return ending;
}

void BatchWriter::pause(int tries) {
  const Duration most = std::min<Duration>(kLongestPause, kFirstPause * (1 << std::min(tries, 10)));
  std::this_thread::sleep_for(Duration(world_.random.below(static_cast<std::uint64_t>(most.count()))));
}

}  // namespace hf::sql::mysql
