#pragma once

/// The server's end of one client's Telemetry stream: commands in a bounded queue, one writer.

#include <deque>
#include <memory>

#include "base/stream.h"
#include "sys/wait.h"
#include "wire/rocketmq/messaging_service.h"

namespace hf::broker {

namespace pb = ::apache::rocketmq::v2;

/// Strand only. Shared by the stream's handler and whoever has something to tell the client.
class TelemetryLink {
 public:
  explicit TelemetryLink(sys::Clock& clock) : clock_(clock), wake_(clock) {}

  /// Queued; false if the stream is closed or 1 024 commands wait already.
  bool post(pb::TelemetryCommand command);
  /// True once the command was taken by the stream; false if it was not by `deadline` (then it may still be), or the
  /// stream is closed.
  asio::awaitable<bool> deliver(pb::TelemetryCommand command, Monotonic deadline);
  bool open() const { return !closed_; }

  /// Writes what is queued until close(); `out` outlives it.
  asio::awaitable<void> run(StreamWriter<pb::TelemetryCommand>& out);
  void close();

 private:
  struct Item {
    pb::TelemetryCommand command;
    bool settled = false, written = false;
    std::unique_ptr<sys::Event> done;  ///< if somebody waits
  };
  std::shared_ptr<Item> enqueue(pb::TelemetryCommand command);
  static void settle(Item& item, bool written);

  sys::Clock& clock_;
  std::deque<std::shared_ptr<Item>> queue_;
  sys::Event wake_;
  bool closed_ = false;
};

}  // namespace hf::broker
