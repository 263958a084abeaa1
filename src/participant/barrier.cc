#include "participant/barrier.h"

#include <fmt/format.h>

namespace hf::participant {
namespace {

/// What an operation undoes (dtm barrier.go).
std::optional<Op> origin_of(Op op) {
  switch (op) {
    case Op::cancel:
      return Op::try_;
    case Op::compensate:
    case Op::rollback:
      return Op::action;
    case Op::try_:
    case Op::confirm:
    case Op::action:
    case Op::commit:
    case Op::msg:
      return std::nullopt;
  }
  return std::nullopt;
}

Result<bool> insert_row(sql::Transaction& tx, const BranchId& branch, std::string_view op, std::string_view reason,
                        const std::string& barrier_id, WallTime now) {
  return tx.insert_if_absent(
      "INSERT INTO barrier (gid, branch_id, op, barrier_id, trans_type, reason, at_us) VALUES (?, ?, ?, ?, ?, ?, ?)",
      {branch.gid, branch.branch_id, std::string(op), barrier_id, branch.trans_type, std::string(reason), to_us(now)});
}

}  // namespace

std::string_view to_string(Op op) {
  switch (op) {
    case Op::try_:
      return "try";
    case Op::confirm:
      return "confirm";
    case Op::cancel:
      return "cancel";
    case Op::action:
      return "action";
    case Op::compensate:
      return "compensate";
    case Op::commit:
      return "commit";
    case Op::rollback:
      return "rollback";
    case Op::msg:
      return "msg";
  }
  return "";
}

Verdict decide(Op op, bool origin_new, bool current_new) {
  if (origin_of(op) && origin_new) return Verdict::null_undo;
  return current_new ? Verdict::run : Verdict::duplicate;
}

Result<bool> Barrier::insert(sql::Transaction& tx, Op op, Op reason, const std::string& barrier_id) const {
  return insert_row(tx, branch_, to_string(op), to_string(reason), barrier_id, now_);
}

Result<Verdict> Barrier::call(sql::Transaction& tx, Op op, const Work& work) {
  const std::string barrier_id = fmt::format("{:02}", ++calls_);
  bool origin_new = false;
  if (const std::optional<Op> origin = origin_of(op)) {
    HF_TRY(origin_new, insert(tx, *origin, op, barrier_id));
  }
  HF_TRY(const bool current_new, insert(tx, op, op, barrier_id));
  const Verdict verdict = decide(op, origin_new, current_new);
  if (verdict == Verdict::run) HF_TRY(work(tx));
  return verdict;
}

Result<bool> query_prepared(sql::Transaction& tx, const BranchId& branch, WallTime now) {
  const BranchId message{branch.gid, "00", branch.trans_type};
  HF_TRY(insert_row(tx, message, to_string(Op::msg), to_string(Op::rollback), "01", now));
  HF_TRY(const auto row, tx.query_one("SELECT reason FROM barrier WHERE gid = ? AND branch_id = '00' AND op = 'msg' "
                                      "AND barrier_id = '01'",
                                      {branch.gid}));
  return row.has_value() && row->text(0) == to_string(Op::msg);
}

Result<std::int64_t> remove_barriers(sql::Transaction& tx, WallTime before, std::int64_t limit) {
  HF_TRY(const sql::Rows old,
         tx.query("SELECT gid, branch_id, op, barrier_id FROM barrier WHERE at_us < ? ORDER BY at_us LIMIT ?",
                  {to_us(before), limit}));
  for (const sql::Row& row : old) {
    HF_TRY(tx.execute("DELETE FROM barrier WHERE gid = ? AND branch_id = ? AND op = ? AND barrier_id = ?",
                      {row.text(0), row.text(1), row.text(2), row.text(3)}));
  }
  return static_cast<std::int64_t>(old.size());
}

}  // namespace hf::participant
