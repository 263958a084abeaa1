#include "sql/mysql/connection.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "sql/mysql/values.h"

namespace hf::sql::mysql {
namespace {

/// Texts come from our own code, so there are few; beyond this somebody builds SQL from data, and the cache starts
/// anew (the server bounds them, too: max_prepared_stmt_count).
constexpr std::size_t kStatementsMax = 256;

/// The first words of statements that end the transaction a unit runs in, or change its session; DDL commits silently.
constexpr std::array<std::string_view, 22> kDriversWords = {
    "ALTER",  "BEGIN",  "COMMIT",   "CREATE",    "DROP", "FLUSH", "GRANT",    "KILL",   "LOAD", "LOCK", "OPTIMIZE",
    "RENAME", "REVOKE", "ROLLBACK", "SAVEPOINT", "SET",  "START", "TRUNCATE", "UNLOCK", "USE",  "XA",   "RELEASE"};

/// Of those that give rows; the others are writes (INSERT … RETURNING).
constexpr std::array<std::string_view, 6> kReadingWords = {"SELECT", "SHOW", "EXPLAIN", "DESCRIBE", "DESC", "WITH"};

std::string first_word(std::string_view sql) {
  const auto letter = [](unsigned char c) { return std::isalpha(c) != 0; };
  const auto* const first = std::find_if(sql.begin(), sql.end(), letter);
  std::string word(first, std::find_if_not(first, sql.end(), letter));
  for (char& c : word) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return word;
}

template <std::size_t n>
bool begins_with_one_of(std::string_view sql, const std::array<std::string_view, n>& words) {
  return std::ranges::find(words, first_word(sql)) != words.end();
}

struct FreeResult {
  void operator()(MYSQL_RES* result) const { ::mysql_free_result(result); }
};

/// On every way out: what a statement still holds of its result would block the next one.
struct FreeAtEnd {
  MYSQL_STMT* statement;
  ~FreeAtEnd() { ::mysql_stmt_free_result(statement); }
};

/// After the others the transaction is as it was, without the statement: the unit's business.
bool ends_transaction(const Verdict& verdict) {
  return verdict.close || (verdict.error_class != ErrorClass::business && verdict.error_class != ErrorClass::bug);
}

/// Another process that migrates is waited for; a table that a forgotten transaction holds, not for ever.
constexpr std::chrono::seconds kSchemaLockWait{60};

SessionOptions options_for(const Settings& settings, Purpose purpose) {
  SessionOptions out = settings.session;
  if (purpose == Purpose::read) out.isolation = Isolation::repeatable_read;
  if (purpose == Purpose::schema) {
    out.statement_timeout = out.transaction_timeout = std::chrono::hours(1);
    out.lock_timeout = kSchemaLockWait;
  }
  return out;
}

void set_options(MYSQL* mysql, const Settings& settings, Purpose purpose) {
  const auto seconds = [](std::chrono::milliseconds ms) {
    return static_cast<unsigned>(std::chrono::ceil<std::chrono::seconds>(ms).count());
  };
  const unsigned connect = seconds(settings.connect_timeout);
  const unsigned answer = purpose == Purpose::schema ? 2 * 3600 : seconds(settings.answer_timeout);
  const unsigned off = 0;
  const unsigned tcp = MYSQL_PROTOCOL_TCP;
  const my_bool yes = 1, no = 0;
  if (settings.socket.empty()) ::mysql_options(mysql, MYSQL_OPT_PROTOCOL, &tcp);  // also for "localhost"
  ::mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &connect);
  ::mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &answer);
  ::mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &answer);
  ::mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &off);  // a server could ask for any file of ours
  ::mysql_options(mysql, MYSQL_OPT_RECONNECT, &no);      // silently, without settings and in the middle of anything
  ::mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  if (settings.tls == Tls::off) return;
  ::mysql_options(mysql, MYSQL_OPT_SSL_ENFORCE, &yes);
  ::mysql_options(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, settings.tls == Tls::verify ? &yes : &no);
  if (!settings.tls_ca.empty()) ::mysql_options(mysql, MYSQL_OPT_SSL_CA, settings.tls_ca.c_str());
}

std::string join(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : "; ") + part;
  return out;
}

}  // namespace

void set_up_library() {
  static const bool done = ::mysql_library_init(0, nullptr, nullptr) == 0;
  HF_ASSERT(done);
}

// ---- opening -------------------------------------------------------------------------------------------------------

Result<std::unique_ptr<Connection>> Connection::open(const Settings& settings, Purpose purpose) {
  set_up_library();
  std::unique_ptr<Connection> connection(new Connection());
  connection->url_ = settings.display();
  HF_TRY(connection->connect(settings, purpose));
  return connection;
}

Connection::~Connection() {
  forget_statements();
  ::mysql_close(mysql_);
}

Result<void> Connection::connect(const Settings& settings, Purpose purpose) {
  mysql_ = ::mysql_init(nullptr);
  HF_ASSERT(mysql_ != nullptr);
  set_options(mysql_, settings, purpose);
  const char* socket = settings.socket.empty() ? nullptr : settings.socket.c_str();
  const char* host = socket != nullptr ? "localhost" : settings.host.c_str();
  // Rows matched, not rows changed: as SQLite counts them, and what a guarded UPDATE must know.
  const unsigned long flags = CLIENT_FOUND_ROWS | CLIENT_MULTI_STATEMENTS;
  if (::mysql_real_connect(mysql_, host, settings.user.c_str(), settings.password.c_str(), nullptr,
                           socket != nullptr ? 0U : settings.port, socket, flags) == nullptr) {
    return failure_of(Phase::statement, "login");
  }
  flavour_ = flavour_of(::mysql_get_server_info(mysql_));
  if (flavour_ == Flavour::mysql) {  // or a proxy in front of something else
    HF_TRY(const Rows comment, control_query("SELECT @@version_comment"));
    flavour_ = flavour_of(comment.at(0).text_or(0, ""));
  }
  flavour_ = settings.flavour.value_or(flavour_);
  HF_TRY(set_up_session(settings, purpose));
  if (purpose == Purpose::write) HF_TRY(check_durability());
  return choose_database(settings);
}

Result<void> Connection::set_up_session(const Settings& settings, Purpose purpose) {
  HF_TRY(control(join(session_settings(flavour_, options_for(settings, purpose)))));
  if (purpose != Purpose::schema || flavour_ == Flavour::oceanbase) return ok();
  return control(fmt::format("SET lock_wait_timeout = {}", kSchemaLockWait.count()));
}

Result<void> Connection::choose_database(const Settings& settings) {
  constexpr unsigned kUnknownDatabase = 1049;
  if (::mysql_select_db(mysql_, settings.database.c_str()) == 0) return ok();
  Error error = failure_of(Phase::statement, "USE " + settings.database);
  if (!settings.create || last_failure_->number != kUnknownDatabase) return error;
  HF_TRY(control(fmt::format("CREATE DATABASE IF NOT EXISTS `{}` CHARACTER SET utf8mb4 COLLATE {}", settings.database,
                             collation(flavour_))));
  if (::mysql_select_db(mysql_, settings.database.c_str()) == 0) return ok();
  return failure_of(Phase::statement, "USE " + settings.database);
}

/// What such a server acknowledges, it may forget: a commit, or a PREPARED branch. Checked at each login, for a server
/// may come back with other settings.
Result<void> Connection::check_durability() {
  if (flavour_ == Flavour::oceanbase) return ok();  // its log is replicated; these variables mean nothing there
  HF_TRY(const Rows rows, control_query("SELECT @@innodb_flush_log_at_trx_commit, @@log_bin, @@sync_binlog"));
  const Row& row = rows.at(0);
  if (row.integer(0) != 1) {
    return Error{Code::invalid, fmt::format("{}: innodb_flush_log_at_trx_commit is {}: a crash of the server loses "
                                            "acknowledged commits. Set it to 1",
                                            url_, row.integer(0))};
  }
  shows_commits_early_ = row.integer(1) == 0;
  // With a binary log it is that log which decides, at recovery, whether a transaction was committed.
  if (row.integer(1) != 0 && row.integer(2) != 1) {
    return Error{Code::invalid, fmt::format("{}: sync_binlog is {}: a crash of the machine loses acknowledged commits. "
                                            "Set it to 1",
                                            url_, row.integer(2))};
  }
  return ok();
}

// ---- statements ----------------------------------------------------------------------------------------------------

Result<Rows> Connection::query(std::string_view sql, Params params) {
  HF_TRY(MYSQL_STMT * statement, run(sql, params));
  const FreeAtEnd free{statement};
  if (::mysql_stmt_field_count(statement) == 0) {
    count_changes(statement);
    return Rows();
  }
  std::optional<Rows> rows = fetch_all(statement);
  if (!rows) return failure_of(statement, sql);
  if (!begins_with_one_of(sql, kReadingWords)) rows_changed_ += std::max<std::int64_t>(1, std::ssize(*rows));
  return std::move(*rows);
}

Result<std::vector<std::string>> Connection::columns(std::string_view sql) {
  HF_TRY(MYSQL_STMT * statement, prepare(sql));
  const std::unique_ptr<MYSQL_RES, decltype(&::mysql_free_result)> result(::mysql_stmt_result_metadata(statement),
                                                                          &::mysql_free_result);
  std::vector<std::string> names;
  if (!result) return names;  // a statement without rows
  const MYSQL_FIELD* const fields = ::mysql_fetch_fields(result.get());
  for (unsigned i = 0; i < ::mysql_num_fields(result.get()); ++i) names.emplace_back(fields[i].name);
  return names;
}

Result<std::int64_t> Connection::execute(std::string_view sql, Params params) {
  HF_TRY(MYSQL_STMT * statement, run(sql, params));
  const FreeAtEnd free{statement};
  if (::mysql_stmt_field_count(statement) == 0) return count_changes(statement);
  if (::mysql_stmt_store_result(statement) != 0) return failure_of(statement, sql);
  return 0;
}

/// Not INSERT IGNORE: that would also swallow values that do not fit, NULLs and missing parents. A duplicate key leaves
/// the transaction as it was.
Result<bool> Connection::insert_if_absent(std::string_view sql, Params params) {
  constexpr unsigned kDuplicateKey = 1062;
  expects_ = kDuplicateKey;
  const Result<std::int64_t> inserted = execute(sql, std::move(params));
  expects_ = 0;
  if (inserted) return true;
  if (last_failure_ && last_failure_->number == kDuplicateKey && !broken_) return false;
  return inserted.error();
}

std::int64_t Connection::count_changes(MYSQL_STMT* statement) {
  const auto rows = static_cast<std::int64_t>(::mysql_stmt_affected_rows(statement));
  rows_changed_ += rows;
  return rows;
}

Result<MYSQL_STMT*> Connection::run(std::string_view sql, const Params& params) {
  if (broken_) return broken_->error;
  HF_TRY(MYSQL_STMT * statement, prepare(sql));
  const std::size_t wanted = ::mysql_stmt_param_count(statement);
  if (wanted != params.size()) {
    return our_fault(fmt::format("{} parameters given, {} wanted: {}", params.size(), wanted, sql));
  }
  Binds binds(params);
  if (!params.empty() && ::mysql_stmt_bind_param(statement, binds.data()) != 0) return failure_of(statement, sql);
  if (::mysql_stmt_execute(statement) != 0) return failure_of(statement, sql);
  return statement;
}

Result<MYSQL_STMT*> Connection::prepare(std::string_view sql) {
  if (auto found = statements_.find(sql); found != statements_.end()) return found->second;
  if (begins_with_one_of(sql, kDriversWords)) {
    return our_fault("not in a unit of work (schemas change in migrations): " + std::string(sql));
  }
  if (statements_.size() >= kStatementsMax) forget_statements();
  MYSQL_STMT* statement = ::mysql_stmt_init(mysql_);
  HF_ASSERT(statement != nullptr);
  const my_bool yes = 1;
  ::mysql_stmt_attr_set(statement, STMT_ATTR_UPDATE_MAX_LENGTH, &yes);
  if (::mysql_stmt_prepare(statement, sql.data(), static_cast<unsigned long>(sql.size())) != 0) {
    Error error = failure_of(statement, sql);
    ::mysql_stmt_close(statement);
    return error;
  }
  statements_.emplace(std::string(sql), statement);
  return statement;
}

void Connection::forget_statements() {
  for (const auto& [sql, statement] : statements_) ::mysql_stmt_close(statement);
  statements_.clear();
}

// ---- the driver's own ----------------------------------------------------------------------------------------------

Result<void> Connection::begin(std::string_view sql, Phase phase) {
  HF_ASSERT(usable_);
  broken_.reset();
  last_failure_.reset();
  rows_changed_ = 0;
  return control(sql, phase);
}

Result<void> Connection::control(std::string_view sql, Phase phase) {
  HF_TRY(control_query(sql, phase));
  return ok();
}

Result<Rows> Connection::control_query(std::string_view sql, Phase phase) {
  if (::mysql_real_query(mysql_, sql.data(), static_cast<unsigned long>(sql.size())) != 0) {
    return failure_of(phase, sql);
  }
  Rows rows;
  for (int more = 0; more == 0; more = ::mysql_next_result(mysql_)) {
    const std::unique_ptr<MYSQL_RES, FreeResult> result(::mysql_store_result(mysql_));
    if (result) append(rows, result.get());
    if (::mysql_errno(mysql_) != 0) return failure_of(phase, sql);
    if (::mysql_more_results(mysql_) == 0) return rows;
  }
  return failure_of(phase, sql);  // mysql_next_result found an error: the statements behind it did not run
}

void Connection::append(Rows& rows, MYSQL_RES* result) {
  const unsigned columns = ::mysql_num_fields(result);
  while (MYSQL_ROW row = ::mysql_fetch_row(result)) {
    const unsigned long* sizes = ::mysql_fetch_lengths(result);
    std::vector<Value> values(columns);
    for (unsigned i = 0; i < columns; ++i) {
      if (row[i] != nullptr) values[i] = std::string(row[i], sizes[i]);
    }
    rows.emplace_back(std::move(values));
  }
}

// ---- errors --------------------------------------------------------------------------------------------------------

Error Connection::failure_of(Phase phase, std::string_view sql) {
  return failure(phase, {::mysql_errno(mysql_), ::mysql_sqlstate(mysql_), ::mysql_error(mysql_)}, sql);
}

Error Connection::failure_of(MYSQL_STMT* statement, std::string_view sql) {
  return failure(Phase::statement,
                 {::mysql_stmt_errno(statement), ::mysql_stmt_sqlstate(statement), ::mysql_stmt_error(statement)}, sql);
}

Error Connection::failure(Phase phase, const ServerError& server, std::string_view sql) {
  const Verdict verdict = classify(flavour_, phase, server);
  const unsigned number = internal_number(flavour_, server);
  Error error{verdict.code,
              fmt::format("{}: {} [{} {}{}] in: {}", url_, server.text, server.number, server.sqlstate,
                          number == server.number ? "" : fmt::format(", {}", number), sql.substr(0, 200))};
  remember({verdict, error, number});
  return error;
}

Error Connection::our_fault(std::string message) {
  Error error{Code::invalid, std::move(message)};
  remember({{ErrorClass::bug, Code::invalid, false}, error, 0});
  return error;
}

void Connection::remember(Failure failure) {
  if (failure.verdict.close) usable_ = false;
  const bool expected = expects_ != 0 && failure.number == expects_;
  const bool ends = latch_ == Latch::every_failure ? !expected : ends_transaction(failure.verdict);
  if (ends && !broken_) broken_ = failure;
  last_failure_ = std::move(failure);
}

}  // namespace hf::sql::mysql
