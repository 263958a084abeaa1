/// Marker and tombstone: who asks what became of a local transaction gets an answer that stays true.

#include "participant/marker.h"

#include "example.h"

using namespace hf;
using participant::TxState;

namespace {

Task<> place_order(sys::World& world, sql::Database& database, std::string tx_id) {
  std::function<Result<void>(sql::Transaction&)> work = [&](sql::Transaction& tx) -> Result<void> {
    HF_TRY(participant::mark(tx, tx_id, world.clock.wall()));
    HF_TRY(tx.execute("INSERT INTO orders (id) VALUES (?)", {tx_id}));
    return ok();
  };
  co_return co_await database.write(std::move(work));
}

/// A check-back of the broker (mq::Checker).
Task<std::optional<TxState>> check(sys::World& world, sql::Database& database, std::string tx_id) {
  std::function<Result<std::optional<TxState>>(sql::Transaction&)> work = [&](sql::Transaction& tx) {
    return participant::check_back(tx, tx_id, world.clock.wall());
  };
  co_return co_await database.write<std::optional<TxState>>(std::move(work));
}

Task<> run(sys::World& world, sql::Database& database) {
  HF_CO_TRY(co_await place_order(world, database, "t-1"));
  HF_CO_TRY(const auto committed, co_await check(world, database, "t-1"));
  HF_CO_TRY(const auto fenced, co_await check(world, database, "t-2"));  // has not begun: the tombstone
  const Result<void> late = co_await place_order(world, database, "t-2");
  HF_CO_TRY(example::expect(committed == TxState::committed, "t-1 is not committed"));
  HF_CO_TRY(example::expect(fenced == TxState::rolled_back, "t-2 is not rolled back"));
  HF_CO_TRY(example::expect(!late && late.error().code == Code::conflict, "t-2 was stored after its tombstone"));
  std::printf("t-1 committed, t-2 fenced out: %s\n", late.error().message.c_str());
  co_return ok();
}

}  // namespace

int main() {
  const std::vector<std::string> tables = {std::string(participant::kMarkerTable),
                                           "CREATE TABLE orders (id VARCHAR(64) NOT NULL PRIMARY KEY)"};
  return example::run(tables, run);
}
