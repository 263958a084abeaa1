#pragma once

/// SQLite's extended result codes as what a caller can do. Pure.

#include "base/result.h"

namespace hf::sql::sqlite {

/// Source: https://sqlite.org/rescode.html. Rows without an extended entry follow their primary code (low byte).
Code classify(int extended_code);

/// After this the file cannot be trusted to take another commit: a failed write or fsync leaves the page cache in an
/// unknown state, so nothing is retried (house policy); the connection refuses writes until the database is opened
/// anew.
bool ends_writing(int extended_code);

}  // namespace hf::sql::sqlite
