#include "sql/mysql/classify.h"

#include <gtest/gtest.h>

#include <span>

namespace hf::sql::mysql {
namespace {

using enum ErrorClass;

constexpr Phase kPhases[] = {Phase::statement, Phase::commit, Phase::rollback, Phase::xa};

/// One row of the error table of docs/protocols/oceanbase.md: what it is in phase statement and as the answer to
/// COMMIT.
struct Case {
  const char* what;
  ServerError error;
  unsigned internal;
  ErrorClass statement;
  Code code;
  ErrorClass commit;
};

constexpr Case kOceanBase[] = {
    {"query timeout",
     {4012, "HY000", "Timeout, query has reached the maximum query timeout: 10000000(us)"},
     4012,
     retry_transaction,
     Code::unavailable,
     ambiguous},
    {"RPC post error", {4012, "HY000", "RPC post error"}, 4012, retry_transaction, Code::unavailable, ambiguous},
    {"transaction timeout",
     {4012, "25000", "Transaction timeout occurred"},
     6210,
     retry_transaction,
     Code::unavailable,
     ambiguous},
    {"statement timeout",
     {4012, "25000", "Statement timeout occurred"},
     6212,
     retry_transaction,
     Code::unavailable,
     ambiguous},
    {"result unknown",
     {4012, "25000", "Transaction result is unknown"},
     6225,
     retry_transaction,
     Code::unavailable,
     ambiguous},
    {"transaction RPC timeout",
     {4012, "25000", "Transaction rpc timeout"},
     6230,
     retry_transaction,
     Code::unavailable,
     ambiguous},
    {"a timeout nobody has seen yet",
     {4012, "25000", "Something"},
     6210,
     retry_transaction,
     Code::unavailable,
     ambiguous},
    {"rolled back",
     {6002, "40000", "Transaction rollbacked"},
     6002,
     retry_transaction,
     Code::unavailable,
     retry_transaction},
    {"killed", {6002, "25000", "Transaction is killed"}, 6211, retry_transaction, Code::unavailable, retry_transaction},
    {"partition frozen",
     {6002, "25000", "Partition is frozen"},
     6214,
     retry_transaction,
     Code::unavailable,
     retry_transaction},
    {"exiting", {6002, "25000", "Transaction exiting"}, 6223, retry_transaction, Code::unavailable, ambiguous},
    {"needs rollback",
     {6002, "25000", "Transaction needs rollback"},
     6224,
     retry_transaction,
     Code::unavailable,
     retry_transaction},
    {"too many contexts",
     {6002, "25000", "Too many transaction context"},
     6234,
     retry_transaction,
     Code::unavailable,
     retry_transaction},
    {"context gone",
     {6002, "HY000", "Transaction context does not exist"},
     6213,
     retry_transaction,
     Code::unavailable,
     ambiguous},
    {"idle timeout",
     {6002, "25000", "Transaction idle timeout occurred"},
     6278,
     retry_transaction,
     Code::unavailable,
     retry_transaction},
    {"too many participants", {6002, "40000", "Too many transaction participants"}, 6282, bug, Code::internal, bug},
    {"lock wait, also NOWAIT",
     {1205, "HY000", "Lock wait timeout exceeded; try restarting transaction"},
     1205,
     retry_transaction,
     Code::unavailable,
     retry_transaction},
    {"deadlock", {1213, "40001", "Deadlock"}, 1213, retry_transaction, Code::unavailable, retry_transaction},
    {"cannot serialize",
     {6235, "25000", "can't serialize access for this transaction"},
     6235,
     retry_transaction,
     Code::unavailable,
     retry_transaction},
    {"not the master",
     {4038, "HY000", "The server is not the master"},
     4038,
     retry_statement,
     Code::unavailable,
     ambiguous},
    {"snapshot too old", {4138, "HY000", "Snapshot is discarded"}, 4138, retry_statement, Code::unavailable, ambiguous},
    {"location missing",
     {4225, "HY000", "Log stream location not exist"},
     4225,
     retry_statement,
     Code::unavailable,
     ambiguous},
    {"replica not readable",
     {6231, "HY000", "Replica not readable"},
     6231,
     retry_statement,
     Code::unavailable,
     ambiguous},
    {"tenant memory", {4030, "HY000", "Over tenant memory limits"}, 4030, overload, Code::exhausted, ambiguous},
    {"server memory",
     {4013, "HY001", "No memory or reach tenant memory limit"},
     4013,
     overload,
     Code::exhausted,
     ambiguous},
    {"row locked", {6005, "HY000", "Lock row conflict"}, 6005, retry_transaction, Code::unavailable, ambiguous},
    {"set changed", {6001, "HY000", "Transaction set changed"}, 6001, retry_transaction, Code::unavailable, ambiguous},
    {"needs retry", {6241, "25000", "Statement need retry"}, 6241, retry_statement, Code::unavailable, ambiguous},
    {"state unknown", {6222, "HY000", "Transaction state unknown"}, 6222, reconnect, Code::unavailable, ambiguous},
    {"already decided", {6204, "HY000", "Transaction already decided"}, 6204, reconnect, Code::unavailable, ambiguous},
    {"already committed",
     {6233, "HY000", "Transaction has been committed"},
     6233,
     reconnect,
     Code::unavailable,
     ambiguous},
    {"initializing", {8001, "08004", "Server is initializing"}, 8001, reconnect, Code::unavailable, ambiguous},
    {"checksum", {8002, "08004", "Checksum error"}, 8002, reconnect, Code::unavailable, ambiguous},
    {"stopping", {8003, "08004", "Server is stopping"}, 8003, reconnect, Code::unavailable, ambiguous},
    {"wrong cluster", {8004, "08004", "Cluster not match"}, 8004, reconnect, Code::unavailable, ambiguous},
    {"wrong tenant", {8005, "08005", "Tenant not in this server"}, 8005, reconnect, Code::unavailable, ambiguous},
    {"any other fatal one", {8777, "HY000", "Fatal"}, 8777, reconnect, Code::unavailable, ambiguous},
    {"not supported", {4007, "0A000", "Not supported feature or function"}, 4007, bug, Code::invalid, bug},
    {"a check does not hold", {3819, "HY000", "check constraint violated"}, 3819, business, Code::conflict, business},
    {"a number nobody listed", {4999, "HY000", "?"}, 4999, bug, Code::internal, ambiguous},
};

constexpr Case kCommon[] = {
    {"gone away", {2006, "HY000", "Server has gone away"}, 2006, retry_transaction, Code::unavailable, ambiguous},
    {"lost",
     {2013, "HY000", "Lost connection to server during query"},
     2013,
     retry_transaction,
     Code::unavailable,
     ambiguous},
    {"lost, with a system error",
     {2055, "HY000", "Lost connection, system error 104"},
     2055,
     retry_transaction,
     Code::unavailable,
     ambiguous},
    {"no socket", {2002, "HY000", "Can't connect to local server"}, 2002, reconnect, Code::unavailable, reconnect},
    {"no listener", {2003, "HY000", "Can't connect to server"}, 2003, reconnect, Code::unavailable, reconnect},
    {"killed", {1927, "70100", "Connection was killed"}, 1927, reconnect, Code::unavailable, ambiguous},
    {"shutting down", {1053, "08S01", "Server shutdown in progress"}, 1053, reconnect, Code::unavailable, ambiguous},
    {"query killed",
     {1317, "70100", "Query execution was interrupted"},
     1317,
     retry_transaction,
     Code::unavailable,
     ambiguous},
    {"duplicate key", {1062, "23000", "Duplicate entry"}, 1062, business, Code::conflict, business},
    {"a child is there",
     {1451, "23000", "Cannot delete or update a parent row"},
     1451,
     business,
     Code::conflict,
     business},
    {"no parent", {1452, "23000", "Cannot add or update a child row"}, 1452, business, Code::conflict, business},
    {"NULL", {1048, "23000", "Column 'a' cannot be null"}, 1048, business, Code::invalid, business},
    {"not this character set", {1366, "22007", "Incorrect string value"}, 1366, business, Code::invalid, business},
    {"too long", {1406, "22001", "Data too long for column"}, 1406, business, Code::invalid, business},
    {"out of range", {1264, "22003", "Out of range value"}, 1264, business, Code::invalid, business},
    {"lock wait",
     {1205, "HY000", "Lock wait timeout exceeded"},
     1205,
     retry_transaction,
     Code::unavailable,
     retry_transaction},
    {"deadlock", {1213, "40001", "Deadlock found"}, 1213, retry_transaction, Code::unavailable, retry_transaction},
    {"changed since the snapshot",
     {1020, "HY000", "Record has changed since last read"},
     1020,
     retry_transaction,
     Code::unavailable,
     retry_transaction},
    {"NOWAIT",
     {3572, "HY000", "lock(s) could not be acquired immediately and NOWAIT is set"},
     3572,
     retry_transaction,
     Code::unavailable,
     ambiguous},
    {"savepoint gone",
     {1305, "42000", "SAVEPOINT u1 does not exist"},
     1305,
     retry_transaction,
     Code::unavailable,
     ambiguous},
    {"no such function", {1305, "42000", "FUNCTION f does not exist"}, 1305, bug, Code::invalid, bug},
    {"read-only server",
     {1290, "HY000", "running with the --read-only option"},
     1290,
     business,
     Code::denied,
     business},
    {"read-only mode", {1836, "HY000", "Running in read-only mode"}, 1836, business, Code::denied, business},
    {"read-only transaction", {1792, "25006", "READ ONLY transaction"}, 1792, business, Code::denied, business},
    {"too many connections", {1040, "08004", "Too many connections"}, 1040, overload, Code::exhausted, overload},
    {"disk full", {1021, "HY000", "Disk full"}, 1021, overload, Code::exhausted, ambiguous},
    {"table full", {1114, "HY000", "The table is full"}, 1114, overload, Code::exhausted, ambiguous},
    {"engine: disk full",
     {1030, "HY000", "Got error 28 \"No space left on device\""},
     1030,
     overload,
     Code::exhausted,
     ambiguous},
    {"engine: other", {1030, "HY000", "Got error 122"}, 1030, retry_transaction, Code::unavailable, ambiguous},
    {"wrong password", {1045, "28000", "Access denied"}, 1045, bug, Code::denied, bug},
    {"no right", {1142, "42000", "INSERT command denied"}, 1142, bug, Code::denied, bug},
    {"no database", {1049, "42000", "Unknown database"}, 1049, bug, Code::invalid, bug},
    {"syntax", {1064, "42000", "You have an error in your SQL syntax"}, 1064, bug, Code::invalid, bug},
    {"no table", {1146, "42S02", "Table doesn't exist"}, 1146, bug, Code::invalid, bug},
    {"not supported", {1235, "42000", "not yet supported"}, 1235, bug, Code::invalid, bug},
    {"damaged table", {1194, "HY000", "Table is marked as crashed"}, 1194, bug, Code::corrupt, ambiguous},
    {"commands out of order", {2014, "HY000", "Commands out of sync"}, 2014, bug, Code::internal, ambiguous},
    {"a number nobody listed", {1999, "HY000", "?"}, 1999, bug, Code::internal, ambiguous},
    {"not listed, connection", {1998, "08S01", "?"}, 1998, reconnect, Code::unavailable, ambiguous},
    {"not listed, constraint", {1998, "23000", "?"}, 1998, business, Code::conflict, business},
    {"not listed, rollback", {1998, "40001", "?"}, 1998, retry_transaction, Code::unavailable, retry_transaction},
    {"a trigger's refusal", {1644, "45000", "sold out"}, 1644, business, Code::conflict, business},
};

constexpr Case kMariaDb[] = {
    {"a check does not hold", {4025, "23000", "CONSTRAINT `a` failed"}, 4025, business, Code::conflict, business},
    {"max_statement_time",
     {1969, "70100", "max_statement_time exceeded"},
     1969,
     retry_transaction,
     Code::unavailable,
     ambiguous},
    {"4012 is a syntax error here", {4012, "HY000", "Window specification"}, 4012, bug, Code::internal, ambiguous},
};
constexpr Case kMySql[] = {
    {"a check does not hold",
     {3819, "HY000", "Check constraint is violated"},
     3819,
     business,
     Code::conflict,
     business},
    {"max_execution_time",
     {3024, "HY000", "maximum statement execution time exceeded"},
     3024,
     retry_transaction,
     Code::unavailable,
     ambiguous},
    {"idle too long",
     {4031, "HY000", "disconnected by the server because of inactivity"},
     4031,
     retry_transaction,
     Code::unavailable,
     ambiguous},
};

void walk(Flavour flavour, std::span<const Case> cases) {
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(to_string(flavour)) + ": " + c.what);
    EXPECT_EQ(internal_number(flavour, c.error), c.internal);
    const Verdict statement = classify(flavour, Phase::statement, c.error);
    EXPECT_EQ(to_string(statement.error_class), to_string(c.statement));
    EXPECT_EQ(to_string(statement.code), to_string(c.code));
    const Verdict commit = classify(flavour, Phase::commit, c.error);
    EXPECT_EQ(to_string(commit.error_class), to_string(c.commit));
    const bool open = c.commit == ambiguous;
    EXPECT_EQ(to_string(commit.code), to_string(open ? Code::timeout : c.code));
    EXPECT_TRUE(!open || commit.close) << "the marker is asked on a new connection";
    const Verdict rollback = classify(flavour, Phase::rollback, c.error);
    EXPECT_EQ(rollback, (Verdict{reconnect, Code::unavailable, true}));
    const Verdict xa = classify(flavour, Phase::xa, c.error);
    EXPECT_EQ(to_string(xa.error_class), to_string(c.statement));
    EXPECT_EQ(to_string(xa.code), to_string(open ? Code::timeout : c.code)) << "a branch may be prepared";
    for (const Phase phase : kPhases) {
      const Verdict verdict = classify(flavour, phase, c.error);
      EXPECT_TRUE(phase == Phase::commit || verdict.error_class != ambiguous);
      EXPECT_TRUE(verdict.error_class != reconnect || verdict.close);
      EXPECT_NE(verdict.error_class, ok);
    }
  }
}

TEST(MysqlClassify, EveryRowInEveryPhase) {
  walk(Flavour::oceanbase, kOceanBase);
  for (const Flavour flavour : {Flavour::mysql, Flavour::mariadb, Flavour::oceanbase}) walk(flavour, kCommon);
  walk(Flavour::mariadb, kMariaDb);
  walk(Flavour::mysql, kMySql);
}

TEST(MysqlClassify, NoErrorIsOk) {
  for (const Phase phase : kPhases) EXPECT_EQ(classify(Flavour::mariadb, phase, {}).error_class, ok);
}

TEST(MysqlClassify, ALostConnectionIsClosedInEveryPhase) {
  for (const Phase phase : kPhases) {
    for (const unsigned number : {2006U, 2013U, 2055U, 2027U}) {
      EXPECT_TRUE(classify(Flavour::mariadb, phase, {number, "HY000", ""}).close) << number;
    }
  }
  EXPECT_FALSE(classify(Flavour::mariadb, Phase::statement, {1213, "40001", ""}).close);
  EXPECT_FALSE(classify(Flavour::mariadb, Phase::commit, {1213, "40001", ""}).close);
}

struct XaCase {
  const char* what;
  ServerError error;
  ErrorClass error_class;
  Code code;
};
constexpr XaCase kXa[] = {
    {"unknown id, or attached to another session", {1397, "XAE04", "XAER_NOTA"}, business, Code::not_found},
    {"wrong argument", {1398, "XAE05", "XAER_INVAL"}, bug, Code::invalid},
    {"wrong state", {1399, "XAE07", "XAER_RMFAIL"}, bug, Code::internal},
    {"work outside", {1400, "XAE09", "XAER_OUTSIDE"}, bug, Code::internal},
    {"nobody knows", {1401, "XAE03", "XAER_RMERR"}, reconnect, Code::timeout},
    {"rolled back", {1402, "XA100", "XA_RBROLLBACK"}, retry_transaction, Code::unavailable},
    {"the id is taken", {1440, "XAE08", "XAER_DUPID"}, business, Code::conflict},
    {"rolled back: timeout", {1613, "XA106", "XA_RBTIMEOUT"}, retry_transaction, Code::unavailable},
    {"rolled back: deadlock", {1614, "XA102", "XA_RBDEADLOCK"}, retry_transaction, Code::unavailable},
    {"no XA at all", {1064, "42000", "syntax error near 'XA START'"}, bug, Code::invalid},
};

TEST(MysqlClassify, Xa) {
  for (const XaCase& c : kXa) {
    const Verdict verdict = classify(Flavour::oceanbase, Phase::xa, c.error);
    EXPECT_EQ(to_string(verdict.error_class), to_string(c.error_class)) << c.what;
    EXPECT_EQ(to_string(verdict.code), to_string(c.code)) << c.what;
  }
}

struct Version {
  const char* text;
  Flavour want;
};
constexpr Version kVersions[] = {
    {"5.7.25 OceanBase 4.3.1.0", Flavour::oceanbase},
    {"5.7.25-OceanBase-v4.2.1.8", Flavour::oceanbase},
    {"OceanBase_CE 4.3.5.1 (r101000042025031818-bxx)", Flavour::oceanbase},
    {"10.11.6-MariaDB-0+deb12u1-log", Flavour::mariadb},
    {"5.5.5-10.4.8-MariaDB", Flavour::mariadb},
    {"8.0.36", Flavour::mysql},
    {"", Flavour::mysql},
};
TEST(MysqlFlavour, IsToldByTheVersionText) {
  for (const Version& v : kVersions) EXPECT_EQ(flavour_of(v.text), v.want) << v.text;
}

}  // namespace
}  // namespace hf::sql::mysql
