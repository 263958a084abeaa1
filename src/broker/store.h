#pragma once

/// What is written, in which order, and how it is found again: the state machine on one side, the log on the other.
///
/// Order of everything: a record is appended; when it is durable it is applied to the state (State::apply, the same
/// call as at replay); only then does anybody hear of it. So nothing is answered, delivered or counted that a crash
/// could take back (P2), and half of the restart is tested by every request.

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/config.h"
#include "broker/state.h"
#include "log/log.h"
#include "sys/wait.h"
#include "sys/world.h"

namespace hf::broker {

/// The records of one request on their way. Shared between the request and the store, which outlives neither.
class Commit {
 public:
  /// Suspends until all its records are durable and applied. Error: why the log died; then it is unknown which are
  /// there.
  Task<> durable();
  /// Of the first message that became consumable by it; the messages of one request follow one another.
  std::optional<QueueOffset> first_offset() const { return offset_; }

 private:
  friend class Store;
  std::size_t waiting_ = 0;
  std::optional<QueueOffset> offset_;
  std::optional<Error> error_;
  std::function<void()> resume_;
};

/// A stored message as bytes: `message` is a serialized apache.rocketmq.v2.Message.
struct StoredBody {
  RecordKind kind = RecordKind::message;
  TopicId topic;
  std::int64_t stored_at_us = 0;
  std::shared_ptr<const std::string> bytes;
  std::size_t message_at = 0;  ///< where the message begins in `bytes`
  std::string_view message() const { return std::string_view(*bytes).substr(message_at); }
};

class Store {
 public:
  /// Called on the strand after a batch was applied: where messages became consumable, and who has something again.
  struct Listener {
    std::function<void(TopicId)> grew;
    std::function<void(SubscriptionId)> opened;
    std::function<void(RecordKind kind, std::string_view body, Position position)> applied;
    std::function<void(const Error&)> failed;
  };

  /// Opens or makes the folder, brings `state` to where the log ends. Errors as log::Log::open.
  static Result<std::unique_ptr<Store>> open(sys::World world, const BrokerConfig& config, std::string dir,
                                             State& state, Listener listener);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  /// Appends one record and remembers what to do when it is durable. `head` is the encoded record; `message`, if any,
  /// follows it on disk and stays in memory for a while. With `commit`: it waits for this record too.
  /// Errors (nothing was taken): exhausted: too much waits, or the disk is full · unavailable: the log is dead.
  Result<Position> append(RecordKind kind, std::string head, std::shared_ptr<const std::string> message,
                          const std::shared_ptr<Commit>& commit, log::Urgency urgency = log::Urgency::now);
  /// Until `position` is durable and applied.
  Task<> durable(Position position);

  /// Bodies of messages or half messages, in the order asked; a missing or damaged one is an error of its own.
  Task<std::vector<Result<StoredBody>>> read(std::vector<Position> positions);
  /// One whole record, for history.
  Result<log::Record> read_record(Position position) const { return log_->read({position}); }
  log::Log& log() { return *log_; }

  /// Snapshots and retention, until stop().
  asio::awaitable<void> maintain();
  /// Writes what is waiting, a last snapshot, and closes.
  Task<> stop();
  /// A snapshot now, then what retention allows; also what maintain() does.
  Task<> snapshot();
  void retain();

  std::size_t waiting() const { return pending_.size(); }
  const std::optional<Error>& failure() const { return failure_; }

 private:
  struct Pending {
    Position position;
    RecordKind kind;
    std::string head;
    std::shared_ptr<Commit> commit;
  };
  struct Cached {
    Position position;
    StoredBody body;
  };

  Store(sys::World world, const BrokerConfig& config, std::string dir, State& state, Listener listener);
  void on_durable(Position end);
  void on_failed(const Error& error);
  void complete(Commit& commit);
  void resume_all();
  void remember(RecordKind kind, Position position, const std::string& head,
                std::shared_ptr<const std::string> message);
  std::optional<StoredBody> cached(Position position) const;
  static Result<StoredBody> read_body(const log::Log& log, Position position);

  sys::World world_;
  const BrokerConfig& config_;
  const std::string dir_;
  State& state_;
  Listener listener_;
  std::unique_ptr<sys::Worker> reader_, keeper_;
  std::unique_ptr<log::Log> log_;
  std::deque<Pending> pending_;
  std::vector<std::function<void()>> resumable_;
  std::deque<Cached> cache_;  ///< in the order of the log
  std::size_t cache_bytes_ = 0;
  std::optional<Error> failure_;
  Position snapshot_at_ = 0, oldest_snapshot_ = 0;
  std::uint64_t snapshot_size_ = 0;
  bool stopping_ = false, snapshotting_ = false;
  sys::Event wake_;
  metrics::Counter& unread_removed_;
};

}  // namespace hf::broker
