#include "sql/mysql/classify.h"

#include <algorithm>
#include <array>
#include <span>

namespace hf::sql::mysql {
namespace {

enum class AtCommit : std::uint8_t {
  unsure,  ///< as the answer to COMMIT this leaves open whether it happened
  failed,  ///< certainly not committed, now or later
};
struct Meaning {
  ErrorClass error_class;
  Code code;
  AtCommit at_commit = AtCommit::unsure;
};
struct Rule {
  unsigned number;
  Meaning means;
};

constexpr Meaning kContradicts{ErrorClass::business, Code::conflict, AtCommit::failed};  // duplicate, parent, check
constexpr Meaning kWrongValue{ErrorClass::business, Code::invalid, AtCommit::failed};
constexpr Meaning kReadOnly{ErrorClass::business, Code::denied, AtCommit::failed};
constexpr Meaning kStatementAgain{ErrorClass::retry_statement, Code::unavailable};
constexpr Meaning kUndecided{ErrorClass::retry_transaction, Code::unavailable};
constexpr Meaning kRolledBack{ErrorClass::retry_transaction, Code::unavailable, AtCommit::failed};
constexpr Meaning kSessionGone{ErrorClass::reconnect, Code::unavailable};
constexpr Meaning kNotConnected{ErrorClass::reconnect, Code::unavailable, AtCommit::failed};
constexpr Meaning kTooMuch{ErrorClass::overload, Code::exhausted};
constexpr Meaning kTooManyClients{ErrorClass::overload, Code::exhausted, AtCommit::failed};
constexpr Meaning kNotAllowed{ErrorClass::bug, Code::denied, AtCommit::failed};
constexpr Meaning kNeverRuns{ErrorClass::bug, Code::invalid, AtCommit::failed};
constexpr Meaning kDamaged{ErrorClass::bug, Code::corrupt};
constexpr Meaning kOurBug{ErrorClass::bug, Code::internal};

/// OceanBase, by internal number. Source: its ob_errno.def; the reading is docs/protocols/oceanbase.md's.
constexpr Rule kOceanBase[] = {
    {4007, kNeverRuns},       // not supported
    {4012, kUndecided},       // query reached ob_query_timeout; also RPC errors (4049, 4067, 4121, 4122, 6004)
    {4013, kTooMuch},         // the server's memory
    {4030, kTooMuch},         // the tenant's memory
    {4038, kStatementAgain},  // the leader moved
    {4138, kStatementAgain},  // snapshot too old
    {4225, kStatementAgain},  // the partition is moving
    {6001, kUndecided},       // transaction set changed
    {6002, kRolledBack},
    {6005, kUndecided},       // row locked
    {6204, kSessionGone},     // already decided: this session does not know its own state
    {6210, kUndecided},       // ob_trx_timeout. "After it the server does not roll back on its own in the commit phase"
    {6211, kRolledBack},      // killed
    {6212, kUndecided},       // statement timeout
    {6213, kUndecided},       // the context is gone: rolled back, unless it was the COMMIT that ended it
    {6214, kRolledBack},      // partition frozen
    {6222, kSessionGone},     // state unknown
    {6223, kUndecided},       // "exiting" does not say which way
    {6224, kRolledBack},      // must be rolled back
    {6225, kUndecided},       // result unknown
    {6230, kUndecided},       // RPC timeout
    {6231, kStatementAgain},  // the replica is not readable
    {6233, kSessionGone},     // already committed
    {6234, kRolledBack},      // too many contexts
    {6235, kRolledBack},      // cannot serialize: REPEATABLE READ and SERIALIZABLE only
    {6241, kStatementAgain},
    {6255, kStatementAgain},                                      // XA: again
    {6278, kRolledBack},                                          // ob_trx_idle_timeout
    {6282, {ErrorClass::bug, Code::internal, AtCommit::failed}},  // too many participants: we must split it
};

/// Numbers that are the same for all three, and those of the client library (2000 …).
constexpr Rule kCommon[] = {
    {1020, kRolledBack},  // changed since the snapshot: MariaDB's innodb_snapshot_isolation
    {1021, kTooMuch},     // disk full
    {1022, kContradicts},    {1036, kReadOnly},       {1037, kTooMuch},
    {1038, kTooMuch},        {1040, kTooManyClients},  // too many connections
    {1041, kTooMuch},        {1043, kSessionGone},    {1044, kNotAllowed},
    {1045, kNotAllowed},     {1047, kSessionGone},  // a cluster's node that is not ready
    {1048, kWrongValue},                            // NULL
    {1049, kNeverRuns},                             // unknown database
    {1053, kSessionGone},                           // shutting down
    {1054, kNeverRuns},      {1062, kContradicts},    {1064, kNeverRuns},
    {1114, kTooMuch},         // table full
    {1129, kTooManyClients},  // host blocked after too many errors
    {1130, kNotAllowed},     {1135, kTooManyClients}, {1142, kNotAllowed},
    {1143, kNotAllowed},     {1146, kNeverRuns},      {1152, kSessionGone},
    {1153, kNeverRuns},  // packet too large
    {1158, kSessionGone},    {1159, kSessionGone},    {1160, kSessionGone},
    {1161, kSessionGone},    {1169, kContradicts},    {1180, kUndecided},  // error during COMMIT
    {1194, kDamaged},        {1195, kDamaged},        {1203, kTooManyClients},
    {1205, kRolledBack},  // lock wait: not rolled back by itself, but by us; at COMMIT the server refused to begin it
    {1206, kTooMuch},        {1213, kRolledBack},  // deadlock; at COMMIT a cluster's certification failed
    {1216, kContradicts},    {1217, kContradicts},    {1226, kTooManyClients},
    {1227, kNotAllowed},     {1235, kNeverRuns},      {1264, kWrongValue},
    {1265, kWrongValue},     {1290, kReadOnly},       {1292, kWrongValue},
    {1317, kUndecided},  // KILL QUERY
    {1364, kWrongValue},     {1366, kWrongValue},     {1406, kWrongValue},
    {1412, kUndecided},  // the table was altered since the snapshot
    {1451, kContradicts},    {1452, kContradicts},    {1461, kTooMuch},
    {1557, kContradicts},    {1586, kContradicts},    {1615, kStatementAgain},  // prepare it again
    {1637, kTooMuch},        {1690, kWrongValue},     {1698, kNotAllowed},
    {1712, kDamaged},        {1792, kReadOnly},       {1836, kReadOnly},
    {1877, kDamaged},        {1927, kSessionGone},  // killed
    {2002, kNotConnected},   {2003, kNotConnected},   {2005, kNotConnected},
    {2006, kUndecided},                                                    // gone away: perhaps while it was being sent
    {2012, kNotConnected},   {2013, kUndecided},      {2014, kOurBug},     // commands out of order
    {2020, kNeverRuns},      {2026, kNotConnected},   {2027, kUndecided},  // a packet nobody can read
    {2055, kUndecided},      {2059, kNeverRuns},                           // an authentication method this client lacks
    {3024, kUndecided},                                                    // max_execution_time
    {3101, kRolledBack},   // MySQL group replication refused it at COMMIT
    {3572, kUndecided},    // NOWAIT
    {3819, kContradicts},  // a check does not hold (MySQL, OceanBase)
};

constexpr Rule kMariaDb[] = {
    {1969, kUndecided},    // max_statement_time
    {4025, kContradicts},  // a check does not hold
};
constexpr Rule kMySql[] = {
    {4031, kUndecided},  // closed for being idle
};

/// XA errors, the same for all three (OceanBase maps its own 6245 … 6253 to them).
constexpr Rule kXa[] = {
    {1397, {ErrorClass::business, Code::not_found, AtCommit::failed}},
    {1398, kNeverRuns},
    {1399, {ErrorClass::bug, Code::internal, AtCommit::failed}},  // wrong state
    {1400, {ErrorClass::bug, Code::internal, AtCommit::failed}},  // work outside the branch
    {1401, kSessionGone},                                         // "check your data": nobody knows
    {1402, kRolledBack},
    {1440, {ErrorClass::business, Code::conflict, AtCommit::failed}},
    {1613, kRolledBack},
    {1614, kRolledBack},
};

static_assert(std::ranges::is_sorted(kOceanBase, {}, &Rule::number) &&
              std::ranges::is_sorted(kCommon, {}, &Rule::number) && std::ranges::is_sorted(kXa, {}, &Rule::number));

const Meaning* find(std::span<const Rule> rules, unsigned number) {
  const auto rule = std::ranges::lower_bound(rules, number, {}, &Rule::number);
  return rule != rules.end() && rule->number == number ? &rule->means : nullptr;
}

/// What nobody listed, by the class that SQL itself gives it.
Meaning by_sqlstate(std::string_view sqlstate) {
  const std::string_view state_class = sqlstate.substr(0, 2);
  if (state_class == "08") return kSessionGone;
  if (state_class == "22") return kWrongValue;
  if (state_class == "23" || sqlstate == "45000") return kContradicts;  // 45000: SIGNAL in a trigger
  if (state_class == "28") return kNotAllowed;
  if (state_class == "40") return kRolledBack;
  if (state_class == "42" || state_class == "0A") return kNeverRuns;
  if (state_class == "70") return kUndecided;
  return kOurBug;
}

std::span<const Rule> rules_of(Flavour flavour) {
  switch (flavour) {
    case Flavour::mysql:
      return kMySql;
    case Flavour::mariadb:
      return kMariaDb;
    case Flavour::oceanbase:
      return kOceanBase;
  }
  HF_ASSERT(false);
}

Meaning meaning_of(Flavour flavour, const ServerError& error) {
  const unsigned number = internal_number(flavour, error);
  if (const Meaning* own = find(rules_of(flavour), number)) return *own;
  if (flavour == Flavour::oceanbase && number >= 8000 && number < 9000) return kSessionGone;  // fatal by definition
  if (number == 1030) return says(error.text, "error 28") || says(error.text, "no space") ? kTooMuch : kUndecided;
  if (number == 1305 && says(error.text, "savepoint")) return kUndecided;  // gone with the transaction it was in
  if (const Meaning* common = find(kCommon, number)) return *common;
  if (const Meaning* xa = find(kXa, number)) return *xa;
  return by_sqlstate(error.sqlstate);
}

/// After these the library cannot use the connection any more, whatever they mean.
bool broken(Flavour flavour, const ServerError& error) {
  constexpr std::array<unsigned, 5> kLost = {2006, 2013, 2014, 2027, 2055};
  if (std::ranges::find(kLost, error.number) != kLost.end()) return true;
  return flavour == Flavour::mysql && error.number == 4031;
}

/// As the answer to XA PREPARE or XA COMMIT these leave it open, too; but the branch's id can be asked for again.
Code code_in_xa(const Meaning& meaning) { return meaning.at_commit == AtCommit::unsure ? Code::timeout : meaning.code; }

struct Text {
  unsigned number;
  std::string_view words;
};
/// First match wins.
constexpr Text kTimeouts[] = {
    {6225, "result is unknown"},
    {6230, "rpc timeout"},
    {6210, "transaction timeout"},
    {6212, "statement timeout"},
};
constexpr Text kRollbacks[] = {
    {6282, "participants"}, {6278, "idle timeout"}, {6234, "too many"}, {6213, "does not exist"},
    {6211, "killed"},       {6214, "frozen"},       {6223, "exiting"},  {6224, "rollback"},
};
unsigned told_by(std::span<const Text> texts, std::string_view text, unsigned otherwise) {
  const auto found = std::ranges::find_if(texts, [&](const Text& t) { return says(text, t.words); });
  return found != texts.end() ? found->number : otherwise;
}

}  // namespace

std::string_view to_string(ErrorClass error_class) {
  switch (error_class) {
    case ErrorClass::ok:
      return "ok";
    case ErrorClass::business:
      return "business";
    case ErrorClass::retry_statement:
      return "retry_statement";
    case ErrorClass::retry_transaction:
      return "retry_transaction";
    case ErrorClass::ambiguous:
      return "ambiguous";
    case ErrorClass::reconnect:
      return "reconnect";
    case ErrorClass::overload:
      return "overload";
    case ErrorClass::bug:
      return "bug";
  }
  HF_ASSERT(false);
}

Verdict classify(Flavour flavour, Phase phase, const ServerError& error) {
  if (error.number == 0) return {ErrorClass::ok, Code::internal, false};
  const Meaning meaning = meaning_of(flavour, error);
  const bool close = meaning.error_class == ErrorClass::reconnect || broken(flavour, error);
  switch (phase) {
    case Phase::statement:
      return {meaning.error_class, meaning.code, close};
    case Phase::commit:
      if (meaning.at_commit == AtCommit::failed) return {meaning.error_class, meaning.code, close};
      return {ErrorClass::ambiguous, Code::timeout, true};
    case Phase::rollback:
      return {ErrorClass::reconnect, Code::unavailable, true};
    case Phase::xa:
      return {meaning.error_class, code_in_xa(meaning), close};
  }
  HF_ASSERT(false);
}

unsigned internal_number(Flavour flavour, const ServerError& error) {
  if (flavour != Flavour::oceanbase) return error.number;
  if (error.number == 4012 && error.sqlstate == "25000") return told_by(kTimeouts, error.text, 6210);
  if (error.number == 6002 && error.sqlstate != "40000") return told_by(kRollbacks, error.text, 6213);
  if (error.number == 6002) return told_by({kRollbacks, 1}, error.text, 6002);
  return error.number;
}

}  // namespace hf::sql::mysql
