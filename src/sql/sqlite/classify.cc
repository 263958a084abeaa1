#include "sql/sqlite/classify.h"

#include <sqlite3.h>

namespace hf::sql::sqlite {
namespace {

Code classify_primary(int primary) {
  switch (primary) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_SCHEMA:    // re-prepared too often: somebody keeps changing the schema
    case SQLITE_PROTOCOL:  // lost the race for the WAL index
    case SQLITE_INTERRUPT:
    case SQLITE_ABORT:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
      return Code::unavailable;
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_NOLFS:
      return Code::exhausted;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return Code::denied;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
      return Code::corrupt;
    case SQLITE_CONSTRAINT:
      return Code::conflict;
    case SQLITE_ERROR:  // SQL that does not parse, a missing table
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
    case SQLITE_TOOBIG:
      return Code::invalid;
    default:
      return Code::internal;
  }
}

}  // namespace

Code classify(int extended_code) {
  switch (extended_code) {
    case SQLITE_CONSTRAINT_NOTNULL:  // the statement forgot a value: ours to correct, nobody else's row is involved
    case SQLITE_CONSTRAINT_DATATYPE:
      return Code::invalid;
    case SQLITE_IOERR_NOMEM:
      return Code::exhausted;
    case SQLITE_IOERR_CORRUPTFS:
    case SQLITE_IOERR_DATA:
      return Code::corrupt;
    default:
      return classify_primary(extended_code & 0xff);
  }
}

bool ends_writing(int extended_code) {
  if (extended_code == SQLITE_IOERR_NOMEM) return false;
  const int primary = extended_code & 0xff;
  return primary == SQLITE_IOERR || primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB;
}

}  // namespace hf::sql::sqlite
