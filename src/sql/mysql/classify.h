#pragma once

/// What an error of a MySQL-protocol server means: for the driver (repeat? resolve? close?) and for its caller (Code).
/// Pure.
///
/// The number alone does not tell. OceanBase sends 4012 for a query that took too long and for a transaction whose
/// result nobody knows; a lost connection is harmless before COMMIT was sent and ambiguous after; MariaDB's 4012 is a
/// syntax error. So the key is server, phase, number, SQLSTATE and text (docs/protocols/oceanbase.md has the table).

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "sql/mysql/flavour.h"

namespace hf::sql::mysql {

/// What was being answered.
enum class Phase : std::uint8_t {
  statement,  ///< login, and everything inside a transaction: nothing of it is decided yet
  commit,     ///< COMMIT, or a write on autocommit: the answer is the decision
  rollback,
  xa,  ///< XA START, END, PREPARE, COMMIT, ROLLBACK, RECOVER
};

enum class ErrorClass : std::uint8_t {
  ok,
  business,           ///< an answer, not a fault: duplicate key, check, wrong value. The transaction lives
  retry_statement,    ///< nothing happened: alone, repeat it; inside a transaction, as retry_transaction
  retry_transaction,  ///< ROLLBACK, then the whole transaction again, after a jittered pause
  ambiguous,          ///< the transaction may be committed: the marker row tells. Only in phase commit
  reconnect,          ///< this session is of no use; what it had open dies with it
  overload,           ///< the server is out of something: back off for seconds, shed load
  bug,                ///< our statement, our settings, or damage: never repeated
};
std::string_view to_string(ErrorClass error_class);

struct ServerError {
  unsigned number = 0;  ///< as on the wire; 0: no error. 2000 … 2999 are the client library's own
  std::string_view sqlstate;
  std::string_view text;
};

struct Verdict {
  ErrorClass error_class;
  /// What the caller gets when nobody repeats, or repeating did not help. In phase xa `timeout`: it may have been done.
  Code code;
  /// Close the connection: it is broken, or only its end makes the rollback certain.
  bool close;
  bool operator==(const Verdict&) const = default;
};

/// In phase commit everything is ambiguous that is not known to have failed: asking the marker is always right, and
/// costs one statement. In phase rollback every error closes the connection, which rolls back. A lost connection in
/// phase statement is retry_transaction, because an uncommitted transaction dies with its session.
Verdict classify(Flavour flavour, Phase phase, const ServerError& error);

/// OceanBase's own number behind the one on the wire, told by SQLSTATE and text (6210 "transaction timeout", 6225
/// "transaction result is unknown" both come as 4012); elsewhere the number itself. For logs and metrics.
unsigned internal_number(Flavour flavour, const ServerError& error);

}  // namespace hf::sql::mysql
