#pragma once

/// A log on a simulated disk, and what it should hold. For the tests of this folder.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/log.h"
#include "log/log.h"
#include "sys/sim.h"

namespace hf::log {

/// What a test compares: position, kind, body.
struct Seen {
  std::uint64_t position = 0;
  int kind = 0;
  std::string body;
  bool operator==(const Seen&) const = default;
};

class TestLog {
 public:
  explicit TestLog(std::uint64_t seed = 1) : sim(seed) {
    set_level(Level::off);
    options.segment_bytes = options.first_segment_bytes = 4096;
    options.batch_bytes_max = 4096;
  }
  ~TestLog() { crash(sys::SimDisk::Unsynced::kept); }
  TestLog(const TestLog&) = delete;
  TestLog& operator=(const TestLog&) = delete;

  Result<void> open(std::optional<Position> from = std::nullopt) {
    replayed_.clear();
    HF_TRY(log_, Log::open(sim.world(), kDir, options, from, [this](const RecordView& view) {
             replayed_.push_back({view.position.value, view.kind, std::string(as_text(view.body))});
             return ok();
           }));
    return ok();
  }
  Log* operator->() { return log_.get(); }
  bool is_open() const { return log_ != nullptr; }

  /// Appends; waits a little (virtual) when the next segment is not ready.
  Position put(std::string body, Kind kind = 1) {
    for (;;) {
      const Result<Position> position = log_->append(kind, {as_bytes(body)});
      if (position) {
        pending_.push_back({position->value, kind, std::move(body)});
        return *position;
      }
      HF_ASSERT(position.error().code == Code::exhausted);
      HF_ASSERT(sim.run_until_done(log_->wait_for_room(body.size(), sim.clock().now() + 1h)));
    }
  }
  void flush() {
    HF_ASSERT(sim.run_until_done(log_->flush()));
    settle();
  }
  Position put_durable(std::string body, Kind kind = 1) {
    const Position position = put(std::move(body), kind);
    flush();
    return position;
  }
  /// Moves what has become durable to acknowledged().
  void settle() {
    while (!pending_.empty() && pending_.front().position < log_->durable_end().value) {
      acknowledged_.push_back(std::move(pending_.front()));
      pending_.erase(pending_.begin());
    }
  }
  void close() {
    HF_ASSERT(sim.run_until_done(log_->close()));
    settle();
    log_.reset();
    sim.run_ready();
  }
  /// The process, and maybe the machine, dies now.
  void crash(sys::SimDisk::Unsynced unsynced) {
    if (log_) settle();
    sim.disk().crash(unsynced);
    log_.reset();
    sim.run_ready();
  }

  const std::vector<Seen>& acknowledged() const { return acknowledged_; }
  const std::vector<Seen>& pending() const { return pending_; }
  const std::vector<Seen>& replayed() const { return replayed_; }
  /// After a recovery: what it found is what there is.
  void accept_replayed() {
    acknowledged_ = replayed_;
    pending_.clear();
  }
  std::vector<Seen> scanned(Position from = {}) {
    std::vector<Seen> all;
    Log::Cursor cursor = log_->scan(std::max(from, log_->oldest()));
    for (;;) {
      Result<std::optional<RecordView>> next = cursor.next();
      HF_ASSERT(next);
      if (!*next) return all;
      all.push_back({(*next)->position.value, (*next)->kind, std::string(as_text((*next)->body))});
    }
  }
  std::string path(const std::string& name) const { return std::string(kDir) + "/" + name; }

  sys::SimWorld sim;
  Options options;
  static constexpr const char* kDir = "/data/log";

 private:
  std::unique_ptr<Log> log_;
  std::vector<Seen> replayed_, acknowledged_, pending_;
};

}  // namespace hf::log
