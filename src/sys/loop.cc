#include "sys/loop.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

namespace hf::sys {

struct Loop::Impl {
  asio::io_context context{1};
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> guard{asio::make_work_guard(context)};
  RealClock clock;
  RealRandom random;
  RealFileSystem files;
  FaultPoints faults{clock};
  metrics::Registry metrics;
  World world{clock,
              random,
              files,
              faults,
              metrics,
              context.get_executor(),
              [](std::string name, std::size_t threads) -> std::unique_ptr<Worker> {
                return std::make_unique<ThreadWorker>(std::move(name), threads);
              }};
};

Loop::Loop() : impl_(std::make_unique<Impl>()) {}
Loop::~Loop() = default;
World& Loop::world() { return impl_->world; }
Executor Loop::executor() { return impl_->context.get_executor(); }

void Loop::run() {
  impl_->context.restart();
  impl_->context.run();
}

void Loop::stop() { impl_->context.stop(); }

bool Loop::drain(Duration limit) {
  impl_->guard.reset();
  impl_->context.restart();
  impl_->context.run_for(limit);
  const bool nothing_left = impl_->context.stopped();
  impl_->guard.emplace(asio::make_work_guard(impl_->context));
  return nothing_left;
}

void Loop::run_task(asio::awaitable<void> task) {
  std::exception_ptr thrown;
  asio::co_spawn(impl_->context, std::move(task), [&](std::exception_ptr error) {
    thrown = std::move(error);
    impl_->context.stop();
  });
  run();
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace hf::sys
