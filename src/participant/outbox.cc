#include "participant/outbox.h"

#include "base/log.h"
#include "participant/outbox_relay.h"
#include "participant/outbox_store.h"

namespace hf::participant {

struct Outbox::Impl {
  Impl(sys::World w, sql::Database& d, OutboxConfig c, Publish publish)
      : world(std::move(w)),
        database(d),
        config(std::move(c)),
        store(world, database, config),
        relay(world, store, config, std::move(publish)) {}

  sys::World world;
  sql::Database& database;
  const OutboxConfig config;
  OutboxStore store;
  OutboxRelay relay;
};

Outbox::Outbox(sys::World world, sql::Database& database, OutboxConfig config, Publish publish)
    : impl_(std::make_unique<Impl>(std::move(world), database, std::move(config), std::move(publish))) {}
Outbox::~Outbox() = default;

Task<> Outbox::start(std::vector<std::string> business_tables) {
  co_return co_await start(impl_->database, std::move(business_tables));
}

Task<> Outbox::start(const sql::Database& business, std::vector<std::string> business_tables) {
  HF_CO_TRY(check(impl_->config));
  if (business.url() != impl_->database.url()) {
    co_return Error{
        Code::invalid,
        fmt::format("the outbox is in {}, its business tables are in {}: a message and the rows it tells of "
                    "are written in one local transaction, which no two databases share. Give both the "
                    "same database",
                    impl_->database.url(), business.url())};
  }
  HF_CO_TRY(co_await impl_->store.open());
  for (std::string& table : business_tables) HF_CO_TRY(co_await impl_->store.expect_table(std::move(table)));
  HF_CO_TRY(const std::int64_t taken_over, co_await impl_->store.take_over());
  impl_->relay.start();
  log::info("participant.outbox.started", {{"outbox", impl_->config.name},
                                           {"database", impl_->database.url()},
                                           {"owner", impl_->store.owner()},
                                           {"taken_over", taken_over}});
  co_return ok();
}

Result<void> Outbox::put(sql::Transaction& tx, OutboxMessage message) const {
  return impl_->store.put(tx, std::move(message));
}
Result<bool> Outbox::done(sql::Transaction& tx, const std::string& id) const { return impl_->store.done(tx, id); }
Result<bool> Outbox::resend(sql::Transaction& tx, const std::string& id) const { return impl_->store.resend(tx, id); }
void Outbox::committed() { impl_->relay.wake(); }

Task<std::optional<OutboxEntry>> Outbox::find(std::string id) { return impl_->store.find(std::move(id)); }
Task<std::vector<OutboxEntry>> Outbox::list(std::string state, std::size_t limit) {
  return impl_->store.list(std::move(state), limit);
}
Task<std::map<std::string, std::int64_t>> Outbox::counts() { return impl_->store.counts(); }

Task<OutboxEntry> Outbox::unblock(std::string id) {
  HF_CO_TRY(OutboxEntry entry, co_await impl_->store.unblock(std::move(id)));
  log::info("participant.outbox.unblocked", {{"outbox", impl_->config.name}, {"outbox_id", entry.id}});
  impl_->relay.wake();
  co_return entry;
}
Task<OutboxEntry> Outbox::skip(std::string id, std::string reason) {
  HF_CO_TRY(OutboxEntry entry, co_await impl_->store.skip(std::move(id), std::move(reason)));
  log::warn("participant.outbox.skipped",
            {{"outbox", impl_->config.name}, {"outbox_id", entry.id}, {"reason", entry.error}});
  impl_->relay.wake();
  co_return entry;
}

asio::awaitable<void> Outbox::close() { return impl_->relay.close(); }

}  // namespace hf::participant
