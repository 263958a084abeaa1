#pragma once

/// The coroutines that move messages from the table to the broker. They decide nothing (outbox_machine.h) and write
/// nothing themselves (outbox_store.h).
///
///   run    wakes by committed(), by a row that is due, by scan ─▶ claims ─▶ starts a send per request, goes on
///   send   publishes one request's messages ─▶ records what became of them
///   scan   every `poll`: what nobody told us about; redo, release, removal

#include "participant/outbox_machine.h"
#include "participant/outbox_store.h"
#include "sys/wait.h"

namespace hf::participant {

/// One strand. close() is awaited before it is destroyed.
class OutboxRelay {
 public:
  OutboxRelay(sys::World& world, OutboxStore& store, const OutboxConfig& config, Publish publish);
  ~OutboxRelay();
  OutboxRelay(const OutboxRelay&) = delete;
  OutboxRelay& operator=(const OutboxRelay&) = delete;

  void start();
  void wake();
  asio::awaitable<void> close();

 private:
  struct Metrics;
  asio::awaitable<void> run();
  asio::awaitable<void> idle(std::int64_t next_due_us);
  void dispatch(std::vector<ClaimedRow> rows);
  asio::awaitable<void> send(std::vector<ClaimedRow> rows);
  asio::awaitable<void> record(std::vector<Tally> tallies);
  std::vector<Tally> tally(const std::vector<ClaimedRow>& rows,
                           const Result<std::vector<Result<mq::SendReceipt>>>& verdicts);
  asio::awaitable<void> scan();
  asio::awaitable<void> do_chores(const Chores& chores);
  void note_broker(bool reached, const std::string& error);

  sys::World& world_;
  OutboxStore& store_;
  const OutboxConfig& config_;
  const Publish publish_;
  Gate gate_;
  std::size_t in_flight_ = 0;
  std::uint32_t database_failures_ = 0;
  bool woken_ = false, stopping_ = false;
  sys::Event wake_, stop_;
  sys::TaskGroup tasks_;
  std::unique_ptr<Metrics> metrics_;
};

}  // namespace hf::participant
