#pragma once

/// A simulated world with a ScriptedService in it, for the tests of one client.

#include "mq/scripted_service.h"

namespace hf::mq {

class ClientFixture : public testing::Test {
 protected:
  sys::World& world() { return sim_.world(); }
  Monotonic now() { return sim_.clock().now(); }
  template <class T>
  T run(asio::awaitable<T> task) {
    return sim_.run_until_done(std::move(task));
  }
  std::size_t count(std::string_view what) const {
    return static_cast<std::size_t>(std::ranges::count(service_.trace, what));
  }
  double metric(const std::string& line) {
    const std::string all = world().metrics.expose();
    const std::size_t at = all.find("\n" + line + " ");
    return at == std::string::npos ? -1 : std::stod(all.substr(at + line.size() + 2));
  }

  sys::SimWorld sim_{7};
  ScriptedService service_{sim_.clock()};
  ClientConfig config_{};
};

}  // namespace hf::mq
