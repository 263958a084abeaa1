#pragma once

/// What goes up a Telemetry stream: a bounded queue with a reader at its end. Strand only.

#include <deque>
#include <utility>

#include "sys/wait.h"
#include "wire/rocketmq/messaging_service.h"

namespace hf::mq {

class CommandQueue final : public StreamReader<wire::rocketmq::pb::TelemetryCommand> {
 public:
  using Command = wire::rocketmq::pb::TelemetryCommand;
  static constexpr std::size_t kLimit = 1024;

  explicit CommandQueue(sys::Clock& clock) : wake_(clock) {}

  /// False if the queue is full or closed; then `command` is dropped.
  bool push(Command command) {
    if (closed_ || commands_.size() >= kLimit) return false;
    commands_.push_back(std::move(command));
    wake_.notify_all();
    return true;
  }
  /// The reader sees the end at once; what was not read is dropped.
  void close() {
    closed_ = true;
    commands_.clear();
    wake_.notify_all();
  }
  /// For the next stream.
  void reset() {
    closed_ = false;
    commands_.clear();
  }

  Task<std::optional<Command>> read() override {
    while (commands_.empty() && !closed_) co_await wake_.wait();
    if (closed_) co_return std::nullopt;
    Command command = std::move(commands_.front());
    commands_.pop_front();
    co_return std::optional(std::move(command));
  }

 private:
  sys::Event wake_;
  std::deque<Command> commands_;
  bool closed_ = false;
};

}  // namespace hf::mq
