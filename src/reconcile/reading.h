#pragma once

/// What the readers share: one snapshot of a store becomes facts.

#include <functional>
#include <string>
#include <vector>

#include "reconcile/readers.h"

namespace hf::reconcile {

using sql::Reader;
using sql::Row;

/// Fills facts of its own, which are then added to the others: a unit may run more than once.
using Fill = std::function<Result<void>(Reader&, Facts&)>;
/// `name`: whose database, for errors.
Task<> read_store(sql::Database& database, Facts& facts, Fill fill, const char* name);

/// "sms,voice" → both.
std::vector<std::string> split(const std::string& joined);

}  // namespace hf::reconcile
