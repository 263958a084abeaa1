#include "conformance/mq/rig.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace hf::mq::test {
namespace {

/// The value, or the end of the test program with the reason.
template <class T>
T must(Result<T> result) {
  if (!result) std::fprintf(stderr, "%s\n", result.error().to_string().c_str());
  return std::move(result).value();
}

class EmbeddedRig final : public Rig {
 public:
  explicit EmbeddedRig(broker::BrokerConfig config) : config_(std::move(config)) { start_broker(); }
  ~EmbeddedRig() override { stop_broker(); }
  sys::World& world() override { return sim_.world(); }
  broker::Broker& broker() override { return *broker_; }
  std::unique_ptr<Client> client() override { return must(Client::make(world(), ClientConfig{}, &broker_->service())); }
  void stop_broker() override {
    EXPECT_TRUE(run(broker_->stop()));
    broker_.reset();
  }
  void start_broker() override { broker_ = must(broker::Broker::open(world(), config_, "/data")); }

 private:
  void run_to_end(asio::awaitable<void> task) override { sim_.run_until_done(std::move(task)); }
  const broker::BrokerConfig config_;
  sys::SimWorld sim_{11};
  std::unique_ptr<broker::Broker> broker_;
};

class GrpcRig final : public Rig {
 public:
  GrpcRig(broker::BrokerConfig config, bool tls) : config_(std::move(config)), tls_(tls) {
    std::string pattern = testing::TempDir() + "hf_mq_XXXXXX";
    dir_ = ::mkdtemp(pattern.data());
    start_broker();
  }
  ~GrpcRig() override {
    stop_broker();
    loop_.drain(1s);
    std::filesystem::remove_all(dir_);
  }
  sys::World& world() override { return loop_.world(); }
  broker::Broker& broker() override { return *broker_; }
  std::unique_ptr<Client> client() override {
    ClientConfig config;
    config.url = (tls_ ? "rocketmqs://127.0.0.1:" : "rocketmq://127.0.0.1:") + std::to_string(port_);
    config.verify = false;         // the broker's certificate is its own
    config.request_timeout = 30s;  // no request is repeated because a disk was slow
    config.reconnect_min = 200ms;
    config.reconnect_max = 400ms;
    return must(Client::make(world(), std::move(config)));
  }
  void stop_broker() override {
    run(listener_->drain(world().clock.now()));
    listener_.reset();
    EXPECT_TRUE(run(broker_->stop()));
    broker_.reset();
  }
  void start_broker() override {
    broker_ = must(broker::Broker::open(world(), config_, dir_));
    auto grpc = std::make_shared<net::GrpcService>();
    broker::register_messaging_service(*grpc, broker_->service(), world());
    net::ListenerOptions options;
    options.name = "broker";
    options.port = port_;
    options.grpc = std::move(grpc);
    options.tls = net::TlsServerConfig{};
    listener_ = must(net::Listener::start(world(), std::move(options)));
    port_ = listener_->port();
  }

 private:
  void run_to_end(asio::awaitable<void> task) override { loop_.run_until_done(std::move(task)); }
  const broker::BrokerConfig config_;
  const bool tls_;
  std::string dir_;
  sys::Loop loop_;
  std::uint16_t port_ = 0;
  std::unique_ptr<broker::Broker> broker_;
  std::unique_ptr<net::Listener> listener_;
};

}  // namespace

broker::BrokerConfig quick_config() {
  broker::BrokerConfig config;
  config.segment_bytes = 8 << 20;
  config.snapshot_every = 1 << 20;
  config.check_back.first_after = 300ms;
  config.check_back.interval = 500ms;
  config.groups = {{.name = "audit", .max_attempts = 3},
                   {.name = "dead"}};  // these see a topic from its first message on
  return config;
}

std::unique_ptr<Rig> Rig::make(Way way, broker::BrokerConfig config) {
  if (way == Way::embedded) return std::make_unique<EmbeddedRig>(std::move(config));
  return std::make_unique<GrpcRig>(std::move(config), way == Way::grpc_tls);
}

bool Rig::eventually(Duration limit, std::function<bool()> condition) {
  const Monotonic end = world().clock.now() + limit;
  while (!condition()) {
    if (world().clock.now() >= end) return false;
    run(world().clock.sleep_for(5ms));
  }
  return true;
}

}  // namespace hf::mq::test
