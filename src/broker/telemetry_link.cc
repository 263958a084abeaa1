#include "broker/telemetry_link.h"

namespace hf::broker {
namespace {
constexpr std::size_t kQueueLimit = 1024;
}

std::shared_ptr<TelemetryLink::Item> TelemetryLink::enqueue(pb::TelemetryCommand command) {
  if (closed_ || queue_.size() >= kQueueLimit) return nullptr;
  auto item = std::make_shared<Item>();
  item->command = std::move(command);
  queue_.push_back(item);
  wake_.notify_all();
  return item;
}

bool TelemetryLink::post(pb::TelemetryCommand command) { return enqueue(std::move(command)) != nullptr; }

asio::awaitable<bool> TelemetryLink::deliver(pb::TelemetryCommand command, Monotonic deadline) {
  const std::shared_ptr<Item> item = enqueue(std::move(command));
  if (!item) co_return false;
  item->done = std::make_unique<sys::Event>(clock_);
  while (!item->settled && clock_.now() < deadline) co_await item->done->wait_until(deadline);
  co_return item->written;
}

void TelemetryLink::settle(Item& item, bool written) {
  item.settled = true;
  item.written = written;
  if (item.done) item.done->notify_all();
}

asio::awaitable<void> TelemetryLink::run(StreamWriter<pb::TelemetryCommand>& out) {
  while (!closed_) {
    if (queue_.empty()) {
      co_await wake_.wait();
      continue;
    }
    const std::shared_ptr<Item> item = queue_.front();
    queue_.pop_front();
    const Result<void> written = co_await out.write(std::move(item->command));
    settle(*item, written.has_value());
    if (!written) close();
  }
}

void TelemetryLink::close() {
  closed_ = true;
  for (const auto& item : std::exchange(queue_, {})) settle(*item, false);
  wake_.notify_all();
}

}  // namespace hf::broker
