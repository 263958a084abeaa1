#include "sys/sim.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cstdlib>
#include <map>

#include "base/log.h"

namespace hf::sys {
namespace {

/// 2026-01-01T00:00:00Z: any fixed start will do.
constexpr std::int64_t kWallStartUs = 1'767'225'600'000'000;

/// Time as a number. Timers fire in order of time, then of creation.
class SimClock final : public Clock {
 public:
  Monotonic now() const override { return now_; }
  WallTime wall() const override {
    return wall_from_us(kWallStartUs) +
           std::chrono::duration_cast<std::chrono::microseconds>(now_.time_since_epoch() + jumped_);
  }
  std::unique_ptr<Timer> call_at(Executor executor, Monotonic at, std::function<void()> fn) override {
    const Key key{std::max(at, now_), ++count_};
    timers_->emplace(key, Due{std::move(executor), std::move(fn)});
    return std::make_unique<SimTimer>(timers_, key);
  }

  std::optional<Monotonic> next() const {
    if (timers_->empty()) return std::nullopt;
    return timers_->begin()->first.at;
  }
  void advance_to(Monotonic at) { now_ = std::max(now_, at); }
  void fire_next() {
    auto entry = timers_->extract(timers_->begin());
    asio::post(entry.mapped().executor, std::move(entry.mapped().fn));
  }
  void jump_wall(Duration d) { jumped_ += d; }
  void clear() { timers_->clear(); }

 private:
  struct Key {
    Monotonic at;
    std::uint64_t order;
    auto operator<=>(const Key&) const = default;
  };
  struct Due {
    Executor executor;
    std::function<void()> fn;
  };
  using Timers = std::map<Key, Due>;
  class SimTimer final : public Timer {
   public:
    SimTimer(const std::shared_ptr<Timers>& timers, Key key) : timers_(timers), key_(key) {}
    ~SimTimer() override {
      if (auto timers = timers_.lock()) timers->erase(key_);
    }
    SimTimer(const SimTimer&) = delete;
    SimTimer& operator=(const SimTimer&) = delete;

   private:
    std::weak_ptr<Timers> timers_;
    Key key_;
  };

  Monotonic now_{};
  Duration jumped_{};
  std::uint64_t count_ = 0;
  std::shared_ptr<Timers> timers_ = std::make_shared<Timers>();
};

}  // namespace

struct SimWorld::Impl {
  explicit Impl(std::uint64_t s) : seed(s), random(s), disk_random(s + 1), disk(disk_random) {}

  const std::uint64_t seed;
  SimClock clock;
  asio::io_context context{1};
  SeededRandom random;
  SeededRandom disk_random;  // apart, so that a component's draws do not change how the disk tears
  SimDisk disk;
  FaultPoints faults{clock};
  metrics::Registry metrics;
  World world{clock,
              random,
              disk,
              faults,
              metrics,
              context.get_executor(),
              [this](const std::string&, std::size_t) -> std::unique_ptr<Worker> {
                return std::make_unique<InlineWorker>(context.get_executor());
              }};

  void run_ready() {
    context.restart();
    context.poll();
  }
};

SimWorld::SimWorld(std::uint64_t seed) : impl_(std::make_unique<Impl>(seed)) {}
SimWorld::~SimWorld() { impl_->clock.clear(); }
World& SimWorld::world() { return impl_->world; }
SimDisk& SimWorld::disk() { return impl_->disk; }
Clock& SimWorld::clock() { return impl_->clock; }
std::uint64_t SimWorld::seed() const { return impl_->seed; }
void SimWorld::run_ready() { impl_->run_ready(); }
void SimWorld::jump_wall(Duration d) { impl_->clock.jump_wall(d); }

void SimWorld::run_for(Duration d) {
  const Monotonic end = impl_->clock.now() + d;
  impl_->run_ready();
  for (auto next = impl_->clock.next(); next && *next <= end; next = impl_->clock.next()) {
    impl_->clock.advance_to(*next);
    impl_->clock.fire_next();
    impl_->run_ready();
  }
  impl_->clock.advance_to(end);
}

void SimWorld::spawn(asio::awaitable<void> task) {
  asio::co_spawn(impl_->context, std::move(task), [](const std::exception_ptr& error) {
    if (error) std::rethrow_exception(error);
  });
}

bool SimWorld::finish(const bool& done, Duration limit) {
  const Monotonic end = impl_->clock.now() + limit;
  impl_->run_ready();
  while (!done) {
    const auto next = impl_->clock.next();
    if (!next || *next > end) return false;
    impl_->clock.advance_to(*next);
    impl_->clock.fire_next();
    impl_->run_ready();
  }
  return true;
}

}  // namespace hf::sys
