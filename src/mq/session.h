#pragma once

/// One producer or consumer towards the broker: its client id, its Settings, the routes of its topics, a link to every
/// endpoint they name. One strand. Producers and consumers are built on it; applications do not see it.

#include <map>
#include <memory>
#include <string>

#include "mq/link.h"
#include "mq/route.h"
#include "mq/server_settings.h"
#include "mq/transport.h"
#include "wire/rocketmq/message_id.h"

namespace hf::mq {

class Session final : private LinkOwner {
 public:
  using Recover = std::function<void(Link&, pb::RecoverOrphanedTransactionCommand)>;

  /// `settings`: client_type, and publishing or subscription; the rest is filled in here.
  Session(sys::World world, const ClientConfig& config, Transport& transport, pb::Settings settings);
  ~Session() override;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Who answers check-backs. Without one they are logged and ignored: the broker asks again, and others.
  void on_recover(Recover recover) { recover_ = std::move(recover); }

  /// Learns the routes of the topics in the Settings and waits until every endpoint in them knows us. May be called
  /// again after an error.
  Task<> start(Monotonic deadline);
  /// Nothing new: who waits for a route or a session gets `unavailable`. Calls to the server still go through.
  void begin_close();
  /// Ends every link (NotifyClientTermination first) and background task. Awaited before destruction, when no call of
  /// this session is under way any more.
  asio::awaitable<void> close();
  bool closing() const { return closing_; }

  /// Known, or asked for now: transient failures are repeated until `deadline`. A producer's new topic is announced.
  Task<std::shared_ptr<const Route>> route(std::string topic, Monotonic deadline);
  /// The link to an endpoint of a route; opened when it is first named.
  Link& link(const pb::Endpoints& endpoints);
  /// By the name a ReceivedMessage carries. nullptr: not a link of ours.
  Link* find_link(const std::string& name);

  wire::rocketmq::CallContext context(Monotonic deadline) override;
  std::string next_message_id() { return message_ids_.next(world_.clock.wall()); }
  const std::string& client_id() const { return client_id_; }
  const ServerSettings& server() const { return server_; }
  Monotonic request_deadline(Monotonic limit) const {
    return std::min(limit, world_.clock.now() + config_.request_timeout);
  }
  const sys::World& world() const { return world_; }
  const ClientConfig& config() const { return config_; }

 private:
  pb::Settings settings() const override { return settings_; }
  pb::HeartbeatRequest heartbeat() const override;
  void on_settings(const pb::Settings& settings) override { server_ = ServerSettings::from(settings); }
  void on_command(Link& link, pb::TelemetryCommand command) override;

  Task<std::shared_ptr<const Route>> ask_route(std::string topic, Monotonic deadline);
  std::shared_ptr<const Route> learn(const std::string& topic, Route route);
  void announce(const std::string& topic);
  asio::awaitable<void> refresh_routes();
  asio::awaitable<void> say_goodbye(Link& link);
  std::vector<std::string> topics() const;

  sys::World world_;
  const ClientConfig& config_;
  Transport& transport_;
  pb::Settings settings_;
  const std::string client_id_;
  wire::rocketmq::MessageIdMaker message_ids_;
  ServerSettings server_;
  Recover recover_;
  std::map<std::string, std::shared_ptr<const Route>> routes_;
  std::map<std::string, std::unique_ptr<Link>> links_;  // by name; never removed before close
  sys::Event wake_;
  sys::TaskGroup tasks_;
  bool started_ = false, closing_ = false, closed_ = false;
  std::uint64_t requests_ = 0;
  std::string date_time_, authorization_;  // of the current second
  std::int64_t signed_second_ = -1;
};

}  // namespace hf::mq
