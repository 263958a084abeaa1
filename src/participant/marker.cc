#include "participant/marker.h"

namespace hf::participant {
namespace {

std::optional<TxState> state_from(std::string_view text) {
  if (text == "committed") return TxState::committed;
  if (text == "rolled_back") return TxState::rolled_back;
  return std::nullopt;
}

}  // namespace

Result<void> mark(sql::Transaction& tx, const std::string& tx_id, WallTime now) {
  HF_TRY(const bool ours, tx.insert_if_absent("INSERT INTO tx_marker (tx_id, state, at_us) VALUES (?, 'committed', ?)",
                                              {tx_id, to_us(now)}));
  if (!ours) return Error{Code::conflict, "check-back has rolled this transaction back"};
  return ok();
}

Result<void> take_back(sql::Transaction& tx, const std::string& tx_id) {
  HF_TRY(const std::int64_t changed, tx.execute("UPDATE tx_marker SET state = 'rolled_back' WHERE tx_id = ?", {tx_id}));
  HF_ASSERT(changed == 1);  // mark() comes first
  return ok();
}

Result<std::optional<TxState>> check_back(sql::Transaction& tx, const std::string& tx_id, WallTime now) {
  HF_TRY(const bool inserted,
         tx.insert_if_absent("INSERT INTO tx_marker (tx_id, state, at_us) VALUES (?, 'rolled_back', ?)",
                             {tx_id, to_us(now)}));
  HF_TRY(const std::optional<TxState> found, find_marker(tx, tx_id));
  return decide_check(inserted, found);
}

Result<std::optional<TxState>> find_marker(sql::Reader& reader, const std::string& tx_id) {
  HF_TRY(const auto row, reader.query_one("SELECT state FROM tx_marker WHERE tx_id = ?", {tx_id}));
  return row ? state_from(row->text(0)) : std::optional<TxState>();
}

std::optional<TxState> decide_check(bool inserted, std::optional<TxState> found) {
  return inserted ? TxState::rolled_back : found;
}

}  // namespace hf::participant
