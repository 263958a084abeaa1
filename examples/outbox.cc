/// Outbox: an order and the message that tells of it, in one local transaction.

#include "participant/outbox.h"

#include "example.h"

using namespace hf;

namespace {

/// The broker of this example: it keeps what it is sent. In a service: `producer->send_batch(std::move(messages))`.
participant::Publish into(std::vector<mq::Message>& published, sys::Event& arrived) {
  return [&](std::vector<mq::Message> messages) -> Task<std::vector<Result<mq::SendReceipt>>> {
    std::vector<Result<mq::SendReceipt>> receipts;
    for (mq::Message& message : messages) {
      receipts.emplace_back(mq::SendReceipt{message.message_id, "", 0});
      published.push_back(std::move(message));
    }
    arrived.notify_all();
    co_return receipts;
  };
}

Task<> place_order(sql::Database& database, participant::Outbox& outbox, std::string id) {
  // [the call: C13]
  std::function<Result<void>(sql::Transaction&)> work = [&](sql::Transaction& tx) -> Result<void> {
    HF_TRY(tx.execute("INSERT INTO orders (id, total_minor) VALUES (?, 7900)", {id}));
    return outbox.put(tx, {.topic = "orders", .body = "{\"order\":\"" + id + "\"}", .aggregate = id, .id = id});
  };
  HF_CO_TRY(co_await database.write(std::move(work)));
  outbox.committed();
  // [end]
  co_return ok();
}

Task<> run(sys::World& world, sql::Database& database) {
  std::vector<mq::Message> published;
  sys::Event arrived(world.clock);
  participant::Outbox outbox(world, database, {}, into(published, arrived));
  std::vector<std::string> business_tables{"orders"};
  HF_CO_TRY(co_await outbox.start(std::move(business_tables)));
  HF_CO_TRY(co_await place_order(database, outbox, "o-1"));
  const Result<void> again = co_await place_order(database, outbox, "o-1");  // fails, and leaves no message
  while (published.empty() && co_await arrived.wait_until(world.clock.now() + 10s)) continue;
  co_await outbox.close();
  HF_CO_TRY(example::expect(!again, "the second order of that id was stored"));
  HF_CO_TRY(example::expect(published.size() == 1, "not exactly one message was published"));
  std::printf("published %s to %s\n", published[0].keys[0].c_str(), published[0].topic.c_str());
  co_return ok();
}

}  // namespace

int main() {
  return example::run({std::string("CREATE TABLE orders (id VARCHAR(64) NOT NULL PRIMARY KEY, total_minor BIGINT)")},
                      run);
}
