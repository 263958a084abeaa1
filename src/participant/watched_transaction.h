#pragma once

/// A transaction that remembers whether anything was written in it, and the first statement that failed, even if the
/// work hides it: MariaDB would prepare and commit the rest (docs/protocols/two-phase-commit.md).

#include <optional>
#include <utility>

#include "sql/database.h"

namespace hf::participant {

class WatchedTransaction final : public sql::Transaction {
 public:
  explicit WatchedTransaction(sql::Transaction& tx) : tx_(tx) {}

  Result<sql::Rows> query(std::string_view sql, sql::Params params) override {
    return seen(tx_.query(sql, std::move(params)));
  }
  Result<std::int64_t> execute(std::string_view sql, sql::Params params) override {
    Result<std::int64_t> changed = seen(tx_.execute(sql, std::move(params)));
    if (changed && *changed > 0) wrote_ = true;
    return changed;
  }
  Result<bool> insert_if_absent(std::string_view sql, sql::Params params) override {
    Result<bool> inserted = seen(tx_.insert_if_absent(sql, std::move(params)));
    if (inserted && *inserted) wrote_ = true;
    return inserted;
  }

  bool wrote() const { return wrote_; }
  /// What the work answered, unless a statement of it failed.
  Result<void> verdict(Result<void> answered) const {
    return answered && failed_ ? Result<void>(*failed_) : std::move(answered);
  }

 private:
  template <class T>
  Result<T> seen(Result<T> result) {
    if (!result && !failed_) failed_ = result.error();
    return result;
  }

  sql::Transaction& tx_;
  bool wrote_ = false;
  std::optional<Error> failed_;
};

}  // namespace hf::participant
