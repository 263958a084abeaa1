/// Barrier: a branch operation takes effect once, and never after its undo, in whatever order the calls come.

#include "participant/barrier.h"

#include "example.h"

using namespace hf;
using participant::Op;
using participant::Verdict;

namespace {

Task<Verdict> call(sys::World& world, sql::Database& database, std::string gid, Op op, std::int64_t change) {
  std::function<Result<Verdict>(sql::Transaction&)> work = [&](sql::Transaction& tx) {
    participant::Barrier barrier({gid, "01"}, world.clock.wall());
    return barrier.call(tx, op, [&](sql::Transaction& inside) -> Result<void> {
      HF_TRY(inside.execute("UPDATE account SET frozen = frozen + ? WHERE id = 1", {change}));
      return ok();
    });
  };
  co_return co_await database.write<Verdict>(std::move(work));
}

Task<> run(sys::World& world, sql::Database& database) {
  HF_CO_TRY(const Verdict tried, co_await call(world, database, "g1", Op::try_, 30));
  HF_CO_TRY(const Verdict repeated, co_await call(world, database, "g1", Op::try_, 30));
  HF_CO_TRY(const Verdict undone, co_await call(world, database, "g1", Op::cancel, -30));
  HF_CO_TRY(const Verdict early, co_await call(world, database, "g2", Op::cancel, -30));
  HF_CO_TRY(const Verdict late, co_await call(world, database, "g2", Op::try_, 30));
  HF_CO_TRY(example::expect(tried == Verdict::run && repeated == Verdict::duplicate, "a repeated try ran"));
  HF_CO_TRY(example::expect(undone == Verdict::run, "the cancel did not run"));
  HF_CO_TRY(example::expect(early == Verdict::null_undo, "there was something to undo"));
  HF_CO_TRY(example::expect(late == Verdict::duplicate, "a try ran after its cancel"));
  std::printf("nothing is frozen\n");
  co_return ok();
}

}  // namespace

int main() {
  const std::vector<std::string> tables = {
      std::string(participant::kBarrierTable),
      "CREATE TABLE account (id BIGINT NOT NULL PRIMARY KEY, frozen BIGINT NOT NULL CHECK (frozen >= 0))",
      "INSERT INTO account (id, frozen) VALUES (1, 0)"};
  return example::run(tables, run);
}
