#pragma once

/// One client's connection to one endpoint, as the application sees nothing of it: the driver around LinkMachine.

#include <optional>
#include <string>

#include "mq/cancellation.h"
#include "mq/command_queue.h"
#include "mq/config.h"
#include "mq/link_machine.h"
#include "sys/wait.h"
#include "sys/world.h"

namespace hf::mq {

namespace pb = ::apache::rocketmq::v2;

class Link;

/// What a link asks of its client.
class LinkOwner {
 public:
  virtual ~LinkOwner() = default;
  virtual wire::rocketmq::CallContext context(Monotonic deadline) = 0;
  virtual pb::Settings settings() const = 0;
  virtual pb::HeartbeatRequest heartbeat() const = 0;
  virtual void on_settings(const pb::Settings& settings) = 0;
  /// Everything else the server wants; must not wait.
  virtual void on_command(Link& link, pb::TelemetryCommand command) = 0;
};

class Link final : private StreamWriter<pb::TelemetryCommand> {
 public:
  Link(sys::World world, const ClientConfig& config, LinkOwner& owner, pb::Endpoints endpoints,
       wire::rocketmq::MessagingService& service);

  /// Opens Telemetry, keeps it open, sends Settings and heartbeats; until stop(). Then the stream has ended, too.
  asio::awaitable<void> run();
  void stop();
  /// Who waits for the server's answer waits no longer; the stream stays, for what is to be finished.
  void refuse_waiters();

  /// Our Settings are others now: they are sent.
  void settings_changed();
  /// Waits until the server has taken our Settings as they are now. Errors: timeout · unavailable (stopped) · invalid,
  /// denied: the server does not want them (the link goes on trying, for the next caller).
  Task<> settled(Monotonic deadline);
  /// The server has taken our Settings once, and we know its limits; the stream may be down just now.
  bool known() const { return known_; }
  bool ready() const { return machine_.state() == LinkMachine::State::ready; }
  /// Answers a command of the server. Dropped when there is no stream: the server asks again.
  void reply(pb::TelemetryCommand command);

  const std::string& name() const { return name_; }  ///< "127.0.0.1:8081"
  const pb::Endpoints& endpoints() const { return endpoints_; }
  wire::rocketmq::MessagingService& service() { return service_; }

 private:
  Task<> write(pb::TelemetryCommand command) override;  // what came down
  asio::awaitable<void> stream();
  asio::awaitable<void> heartbeat();
  void send_settings();
  void refused(Error error);

  sys::World world_;
  const ClientConfig& config_;
  LinkOwner& owner_;
  const pb::Endpoints endpoints_;
  const std::string name_;
  wire::rocketmq::MessagingService& service_;
  LinkMachine machine_;
  CommandQueue up_;
  Cancellation cancellation_;
  sys::Event wake_, changed_;
  sys::TaskGroup tasks_;
  std::optional<Error> last_error_;
  bool streaming_ = false, stopping_ = false, refusing_ = false, known_ = false;
  metrics::Counter& opened_;
};

}  // namespace hf::mq
