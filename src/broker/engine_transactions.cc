// Half messages: stored, decided, asked about, parked.

#include "base/log.h"
#include "broker/engine.h"
#include "broker/messages.h"

namespace hf::broker {
namespace {

constexpr std::size_t kChecksAtOnce = 256;
/// A client that does not take a command for this long counts as not reached.
constexpr Duration kCheckPatience = 5s;

}  // namespace

Result<Position> Engine::send(TopicId topic, std::uint32_t tag_hash, std::string message,
                              const std::shared_ptr<Commit>& commit) {
  const MessageHeader header{topic, tag_hash, to_us(world_.clock.wall())};
  HF_TRY(const Position position, store_->append(RecordKind::message, encode(header),
                                                 std::make_shared<const std::string>(std::move(message)), commit));
  metrics_.sent.add();
  return position;
}

Result<Engine::HalfSent> Engine::send_half(TopicId topic, std::uint32_t tag_hash, std::string message,
                                           Duration first_check, std::string_view sender,
                                           const std::shared_ptr<Commit>& commit) {
  if (state_.halves().size() >= config_.check_back.max_pending) {
    return Error{Code::exhausted, "too many undecided half messages"};
  }
  HalfHeader header;
  header.message = {topic, tag_hash, to_us(world_.clock.wall())};
  header.nonce = static_cast<std::uint32_t>(world_.random.u64());
  header.first_check_ms = static_cast<std::uint32_t>(first_check / 1ms);
  header.sender = sender.substr(0, UINT16_MAX);
  HF_TRY(const Position position, store_->append(RecordKind::half, encode(header),
                                                 std::make_shared<const std::string>(std::move(message)), commit));
  metrics_.halves.add();
  return HalfSent{position, header.nonce};
}

Task<> Engine::end_transaction(TopicId topic, Position half, std::uint32_t nonce, Verdict verdict, Decider decider) {
  if (const auto info = state_.halves().find(half); info && info->half.topic != topic) {
    co_return Error{Code::not_found, "the transaction is not of this topic"};
  }
  const HalfMessages::Outcome outcome = state_.halves().decide(half, nonce, verdict);
  switch (outcome.answer) {
    case HalfMessages::Answer::unknown:
      co_return co_await settled_before(half, nonce, topic, verdict);
    case HalfMessages::Answer::same:
    case HalfMessages::Answer::conflict:
      // What was decided is told only when it cannot be taken back any more.
      if (outcome.wait_for != 0) HF_CO_TRY(co_await store_->durable(outcome.wait_for));
      if (outcome.answer == HalfMessages::Answer::same) co_return ok();
      metrics_.decision_conflicts.add();
      co_return Error{Code::conflict, fmt::format("{} refused: decided otherwise before", to_string(verdict))};
    case HalfMessages::Answer::accepted:
      break;
  }
  auto commit = std::make_shared<Commit>();
  const DecisionRecord record{half, verdict, decider, to_us(world_.clock.wall())};
  const Result<Position> at = store_->append(RecordKind::decision, encode(record), nullptr, commit);
  if (!at) {
    state_.halves().cancel(half);
    check_wake_.notify_all();
    co_return at.error();
  }
  state_.halves().deciding(half, *at);
  HF_CO_TRY(co_await commit->durable());
  (verdict == Verdict::commit ? metrics_.committed : metrics_.rolled_back).add();
  co_return ok();
}

/// Not among the undecided: was it decided, or was it never there? The log knows.
Task<> Engine::settled_before(Position half, std::uint32_t nonce, TopicId topic, Verdict verdict) {
  const Error nothing{Code::not_found, "no such transaction"};
  if (state_.halves().find(half)) co_return nothing;  // undecided, and the nonce was wrong
  const Result<log::Record> record = store_->read_record(half);
  if (!record || static_cast<RecordKind>(record->kind) != RecordKind::half) co_return nothing;
  HF_CO_TRY(const StoredHalf stored, decode_half(as_bytes(record->body)));
  if (stored.header.nonce != nonce || stored.header.message.topic != topic) co_return nothing;
  const Verdict before = state_.halves().was_rolled_back(half) ? Verdict::rollback : Verdict::commit;
  if (before == verdict) co_return ok();
  metrics_.decision_conflicts.add();
  co_return Error{Code::conflict,
                  fmt::format("{} refused: there was a {} before", to_string(verdict), to_string(before))};
}

asio::awaitable<void> Engine::run_check_backs() {
  while (!stopping_ && !store_->failure()) {
    const Monotonic now = world_.clock.now();
    const std::size_t room = kChecksAtOnce - std::min(kChecksAtOnce, checks_running_);
    for (const HalfMessages::DueHalf& due : state_.halves().due(now, room)) {
      if (due.what == HalfMessages::Due::park) {
        park(due.position);
      } else {
        ++checks_running_;
        tasks_.spawn("broker.check", check(due.position));
      }
    }
    check_wake_at_ = checks_running_ >= kChecksAtOnce ? Monotonic::max() : state_.halves().next_due();
    if (check_wake_at_ > world_.clock.now()) co_await check_wake_.wait_until(check_wake_at_);
  }
}

asio::awaitable<void> Engine::check(Position half) {
  const std::optional<HalfMessages::Info> info = state_.halves().find(half);
  std::shared_ptr<TelemetryLink> link;
  if (info) link = clients_.whom_to_ask(info->half.sender, info->half.topic);
  bool delivered = false;
  if (link) {
    Result<std::vector<Result<StoredBody>>> bodies = co_await store_->read({half});
    if (bodies && bodies->front()) {
      pb::TelemetryCommand command;
      command.mutable_status()->set_code(pb::OK);
      auto& recover = *command.mutable_recover_orphaned_transaction_command();
      recover.set_transaction_id(transaction_id(half, info->half.nonce));
      const bool readable = dress_half_message(*bodies->front(), *recover.mutable_message());
      delivered = readable && co_await link->deliver(std::move(command), world_.clock.now() + kCheckPatience);
    } else {
      metrics_.damaged.add();
      log::error("broker.half.unreadable", {{"transaction_id", transaction_id(half, info->half.nonce)}});
    }
  }
  const Monotonic now = world_.clock.now();
  if (delivered) {
    metrics_.checks.add();
    const int checks = state_.halves().checked(half, now);
    const HalfEventRecord record{half, static_cast<std::uint32_t>(checks), to_us(world_.clock.wall())};
    // Lost with a crash it costs one check more; nobody waits for it.
    (void)store_->append(RecordKind::checked, encode(record), nullptr, nullptr, log::Urgency::lazy);
    log::debug("broker.half.checked", {{"position", half}, {"checks", checks}});
  } else if (info) {
    metrics_.checks_nobody.add();
    state_.halves().nobody_to_ask(half, now);
  }
  --checks_running_;
  check_wake_.notify_all();
}

void Engine::park(Position half) {
  const std::optional<HalfMessages::Info> info = state_.halves().find(half);
  if (!info || info->deciding) return;
  const HalfEventRecord record{half, static_cast<std::uint32_t>(info->checks), to_us(world_.clock.wall())};
  if (!store_->append(RecordKind::parked, encode(record), nullptr, nullptr)) {
    state_.halves().park_later(half, world_.clock.now());
    return;
  }
  metrics_.parked.add();
  log::warn("broker.half.parked", {{"transaction_id", transaction_id(half, info->half.nonce)},
                                   {"topic", state_.topic(info->half.topic).name},
                                   {"checks", info->checks},
                                   {"sender", info->half.sender}});
}

Task<> Engine::restart_half(Position half) {
  const std::optional<HalfMessages::Info> info = state_.halves().find(half);
  if (!info) co_return Error{Code::not_found, "no undecided half message is there"};
  if (info->deciding) co_return Error{Code::conflict, "it is being decided"};
  auto commit = std::make_shared<Commit>();
  const HalfEventRecord record{half, 0, to_us(world_.clock.wall())};
  HF_CO_TRY([[maybe_unused]] const Position at, store_->append(RecordKind::restarted, encode(record), nullptr, commit));
  co_return co_await commit->durable();
}

bool Engine::recheck_half(Position half) {
  const bool scheduled = state_.halves().recheck(half, world_.clock.now());
  check_wake_.notify_all();
  return scheduled;
}

}  // namespace hf::broker
