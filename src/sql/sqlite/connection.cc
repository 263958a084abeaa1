#include "sql/sqlite/connection.h"

#include <sqlite3.h>

#include <cctype>

#include "sql/sqlite/classify.h"

namespace hf::sql::sqlite {
namespace {

/// Texts come from our own code, so there are few; beyond this somebody builds SQL from data, and the cache starts
/// anew.
constexpr std::size_t kStatementsMax = 256;

/// Another process can hold the write lock only if an operator opened the file with a tool of his own: wait for him,
/// not for ever.
constexpr int kBusyTimeoutMs = 5000;

int keep_wal_frames(void* connection_frames, sqlite3*, const char*, int frames) {
  *static_cast<int*>(connection_frames) = frames;
  return SQLITE_OK;
}

Value column_value(sqlite3_stmt* statement, int column) {
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
      return sqlite3_column_int64(statement, column);
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement, column);
    case SQLITE_NULL:
      return nullptr;
    default: {
      const void* bytes = sqlite3_column_blob(statement, column);
      const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
      return size == 0 ? std::string() : std::string(static_cast<const char*>(bytes), size);
    }
  }
}

int bind_value(sqlite3_stmt* statement, int at, const Value& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return sqlite3_bind_int64(statement, at, *integer);
  if (const auto* real = std::get_if<double>(&value)) return sqlite3_bind_double(statement, at, *real);
  if (const auto* text = std::get_if<std::string>(&value)) {
    // Not copied: the parameters outlive the step.
    return sqlite3_bind_text64(statement, at, text->data(), text->size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  return sqlite3_bind_null(statement, at);
}

bool only_space(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isspace(c) || c == ';'; });
}

/// Resets on every way out; a statement left in the middle would hold its snapshot open.
struct ResetAtEnd {
  sqlite3_stmt* statement;
  ~ResetAtEnd() {
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
  }
};

}  // namespace

void set_up_library() {
  // No memory statistics: their mutex keeps two reading threads at the speed of one (stack.md §7: 0.5 → 2.4 M reads/s).
  static const bool done = [] {
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
    return sqlite3_initialize() == SQLITE_OK;
  }();
  HF_ASSERT(done);
}

Result<std::unique_ptr<Connection>> Connection::open(const std::string& path, Access access, const char* vfs) {
  set_up_library();
  const int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                    (access == Access::write ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READWRITE);
  sqlite3* db = nullptr;
  const int rc = sqlite3_open_v2(path.c_str(), &db, flags, vfs);
  std::unique_ptr<Connection> connection(new Connection(db, path));
  if (rc != SQLITE_OK) return connection->failure(rc, "open");
  HF_TRY(connection->configure(access));
  return connection;
}

Connection::~Connection() {
  forget_statements();
  sqlite3_close(db_);
}

Result<void> Connection::configure(Access access) {
  sqlite3_busy_timeout(db_, kBusyTimeoutMs);
  sqlite3_wal_hook(db_, &keep_wal_frames, &wal_frames_);  // replaces the automatic checkpoint: we choose the moment
  constexpr std::string_view kPragmas[] = {
      "PRAGMA synchronous=FULL",  // a commit is on the disk when it returns (P2)
      "PRAGMA foreign_keys=ON",
      "PRAGMA temp_store=MEMORY",  // savepoints keep their undo in memory: no second file that can fail
      "PRAGMA mmap_size=0",        // a disk error must come back as an error; under mmap it is a SIGBUS
      "PRAGMA trusted_schema=OFF",
      "PRAGMA cell_size_check=ON",  // finds a damaged page when it is read, for a few comparisons
  };
  // First, for it reads the header: a file that is not a database ends here. Readers find WAL already set.
  if (access == Access::write) {
    HF_TRY(const Rows mode, query("PRAGMA journal_mode=WAL"));
    if (mode.empty() || mode[0].text(0) != "wal") {
      return Error{Code::invalid, path_ + ": the file system does not support SQLite's WAL (shared memory, locks)"};
    }
  } else {
    HF_TRY(query("SELECT count(*) FROM sqlite_schema"));
  }
  for (const std::string_view pragma : kPragmas) HF_TRY(run(pragma, {}, nullptr));
  // Upper limits, taken only as pages are touched. The writer holds the hot pages of every table; a reader a working
  // set.
  HF_TRY(run(access == Access::write ? "PRAGMA cache_size=-32768" : "PRAGMA cache_size=-8192", {}, nullptr));
  if (access == Access::read) HF_TRY(run("PRAGMA query_only=ON", {}, nullptr));
  return ok();
}

Result<Rows> Connection::query(std::string_view sql, Params params) {
  Rows rows;
  HF_TRY(run(sql, params, &rows));
  return rows;
}

Result<std::vector<std::string>> Connection::columns(std::string_view sql) {
  HF_TRY(sqlite3_stmt* const statement, prepare(sql));
  std::vector<std::string> names;
  for (int i = 0; i < ::sqlite3_column_count(statement); ++i) names.emplace_back(::sqlite3_column_name(statement, i));
  return names;
}

Result<std::int64_t> Connection::execute(std::string_view sql, Params params) {
  const sqlite3_int64 before = sqlite3_total_changes64(db_);
  HF_TRY(run(sql, params, nullptr));
  // sqlite3_changes keeps its old value over a statement that changes nothing by kind (DDL, PRAGMA).
  return sqlite3_total_changes64(db_) == before ? 0 : sqlite3_changes64(db_);
}

Result<bool> Connection::insert_if_absent(std::string_view sql, Params params) {
  // Not INSERT OR IGNORE: that would swallow NOT NULL and CHECK violations too.
  HF_TRY(const std::int64_t inserted, execute(std::string(sql) + " ON CONFLICT DO NOTHING", std::move(params)));
  return inserted > 0;
}

bool Connection::in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }

Result<void> Connection::checkpoint(Checkpoint mode) {
  const int how = mode == Checkpoint::passive   ? SQLITE_CHECKPOINT_PASSIVE
                  : mode == Checkpoint::restart ? SQLITE_CHECKPOINT_RESTART
                                                : SQLITE_CHECKPOINT_TRUNCATE;
  int in_log = 0, copied = 0;
  const int rc = sqlite3_wal_checkpoint_v2(db_, nullptr, how, &in_log, &copied);
  if (rc != SQLITE_OK) return failure(rc, "checkpoint");
  if (mode != Checkpoint::passive) wal_frames_ = 0;
  return ok();
}

Result<sqlite3_stmt*> Connection::prepare(std::string_view sql) {
  if (auto found = statements_.find(sql); found != statements_.end()) return found->second;
  if (statements_.size() >= kStatementsMax) forget_statements();
  sqlite3_stmt* statement = nullptr;
  const char* tail = nullptr;
  const int rc =
      sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &statement, &tail);
  if (rc != SQLITE_OK) return failure(rc, sql);
  const std::string_view rest(tail, static_cast<std::size_t>(sql.data() + sql.size() - tail));
  if (statement == nullptr || !only_space(rest)) {
    sqlite3_finalize(statement);
    return Error{Code::invalid, "exactly one SQL statement at a time: " + std::string(sql)};
  }
  statements_.emplace(std::string(sql), statement);
  return statement;
}

Result<void> Connection::bind(sqlite3_stmt* statement, const Params& params) {
  const auto wanted = static_cast<std::size_t>(sqlite3_bind_parameter_count(statement));
  if (wanted != params.size()) {
    return Error{Code::invalid,
                 fmt::format("{} parameters given, {} wanted: {}", params.size(), wanted, sqlite3_sql(statement))};
  }
  for (std::size_t i = 0; i < params.size(); ++i) {
    const int rc = bind_value(statement, static_cast<int>(i) + 1, params[i]);
    if (rc != SQLITE_OK) return failure(rc, sqlite3_sql(statement));
  }
  return ok();
}

Result<void> Connection::run(std::string_view sql, const Params& params, Rows* rows) {
  HF_TRY(sqlite3_stmt * statement, prepare(sql));
  const ResetAtEnd reset{statement};
  HF_TRY(bind(statement, params));
  int rc = sqlite3_step(statement);
  for (; rc == SQLITE_ROW; rc = sqlite3_step(statement)) {
    if (rows == nullptr) continue;
    std::vector<Value> values(static_cast<std::size_t>(sqlite3_column_count(statement)));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = column_value(statement, static_cast<int>(i));
    rows->emplace_back(std::move(values));
  }
  if (rc != SQLITE_DONE) return failure(rc, sql);
  return ok();
}

Error Connection::failure(int extended_code, std::string_view sql) {
  const Code code = classify(extended_code);
  std::string message = fmt::format("{}: {}", path_, db_ == nullptr ? "out of memory" : sqlite3_errmsg(db_));
  if (code == Code::corrupt) message += " (the file is damaged: restore it from a copy)";
  if ((extended_code & 0xff) == SQLITE_FULL) message += " (no space left on the device, or the size limit is reached)";
  message += fmt::format(" [SQLite {}] in: {}", extended_code, sql.substr(0, 200));
  Error error{code, std::move(message)};
  last_error_ = error;
  if (ends_writing(extended_code) && !fatal_) fatal_ = error;
  return error;
}

void Connection::forget_statements() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  statements_.clear();
}

}  // namespace hf::sql::sqlite
