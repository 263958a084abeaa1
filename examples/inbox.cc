/// Inbox: a message that comes twice takes effect once, and the second time is answered from what is stored.

#include "participant/inbox.h"

#include "example.h"

using namespace hf;

namespace {

Task<participant::Handled> take_stock(sql::Database& database, participant::Inbox& inbox, std::string order) {
  std::function<Result<participant::Handled>(sql::Transaction&)> work = [&](sql::Transaction& tx) {
    return inbox.once(tx, "inventory", order, [&]() -> Result<std::string> {
      HF_TRY(const std::int64_t taken, tx.execute("UPDATE stock SET avail = avail - 1 WHERE id = 1 AND avail >= 1"));
      return std::string(taken == 1 ? "ok" : "sold_out");  // a refusal is a result: it is final, and stored
    });
  };
  co_return co_await database.write<participant::Handled>(std::move(work));
}

Task<> run(sys::World& world, sql::Database& database) {
  participant::Inbox inbox(world, database, {});
  HF_CO_TRY(co_await inbox.start());
  HF_CO_TRY(const participant::Handled first, co_await take_stock(database, inbox, "o-1"));
  HF_CO_TRY(const participant::Handled again, co_await take_stock(database, inbox, "o-1"));
  HF_CO_TRY(const participant::Handled other, co_await take_stock(database, inbox, "o-2"));
  co_await inbox.close();
  HF_CO_TRY(example::expect(first.result == "ok" && !first.replayed, "the first message took nothing"));
  HF_CO_TRY(example::expect(again.result == "ok" && again.replayed, "the copy was not answered from what is stored"));
  HF_CO_TRY(example::expect(other.result == "sold_out", "the copy took a piece"));
  std::printf("o-1 %s, its copy %s, o-2 %s\n", first.result.c_str(), again.result.c_str(), other.result.c_str());
  co_return ok();
}

}  // namespace

int main() {
  const std::vector<std::string> tables = {"CREATE TABLE stock (id BIGINT NOT NULL PRIMARY KEY, avail BIGINT NOT NULL)",
                                           "INSERT INTO stock (id, avail) VALUES (1, 1)"};
  return example::run(tables, run);
}
