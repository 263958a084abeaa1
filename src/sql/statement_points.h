#pragma once

/// Passes statements on, each behind the fault point `sql.before_statement`: tests kill between any two of a unit.

#include <utility>

#include "sql/database.h"
#include "sys/fault_points.h"

namespace hf::sql {

/// Lives inside a unit of work. Reads pass without: they leave nothing to be half done.
class StatementPoints final : public Transaction {
 public:
  StatementPoints(Transaction& tx, sys::FaultPoints& faults) : tx_(tx), faults_(faults) {}

  Result<Rows> query(std::string_view sql, Params params) override { return tx_.query(sql, std::move(params)); }
  Result<std::vector<std::string>> columns(std::string_view sql) override { return tx_.columns(sql); }
  Result<std::int64_t> execute(std::string_view sql, Params params) override {
    HF_TRY(faults_.reach_blocking("sql.before_statement"));
    return tx_.execute(sql, std::move(params));
  }
  Result<bool> insert_if_absent(std::string_view sql, Params params) override {
    HF_TRY(faults_.reach_blocking("sql.before_statement"));
    return tx_.insert_if_absent(sql, std::move(params));
  }

 private:
  Transaction& tx_;
  sys::FaultPoints& faults_;
};

}  // namespace hf::sql
