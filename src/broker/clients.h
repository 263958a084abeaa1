#pragma once

/// Who is connected: settings, announced topics, liveness, and the stream by which a client can be asked something.
///
///   any call ─▶ known ── Settings ─▶ registered ── NotifyClientTermination, or no call and no stream for
///                                                  client_expiry ─▶ gone (settings kept for settings_grace)
///
/// Memory only: clients say it all again after a restart. Pure but for the links it keeps.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "broker/config.h"
#include "broker/ids.h"
#include "broker/telemetry_link.h"

namespace hf::broker {

struct Client {
  ClientNumber number = 0;
  std::string id;
  std::string peer, language, version;
  pb::ClientType type = pb::CLIENT_TYPE_UNSPECIFIED;
  bool registered = false;  ///< Settings came
  bool gone = false;        ///< expired or said goodbye; what was renewed for it has been released
  std::string group;        ///< of consumers
  std::set<TopicId> publishes;
  Monotonic last_seen;
  std::shared_ptr<TelemetryLink> link;  ///< the newest stream; may be closed
  bool reachable() const { return link && link->open(); }
};

class Clients {
 public:
  Clients(Duration expiry, Duration grace, std::size_t limit) : expiry_(expiry), grace_(grace), limit_(limit) {}

  /// Any call of a client. nullptr: too many clients.
  Client* seen(const std::string& id, Monotonic now);
  Client* find(const std::string& id);
  Client* find(ClientNumber number);
  /// Lives: an open stream, or a call within the expiry.
  bool alive(ClientNumber number, Monotonic now) const;
  /// Its Settings said it publishes these; replaces what it said before.
  void publishes(Client& client, std::set<TopicId> topics);
  /// NotifyClientTermination. False: unknown.
  bool terminate(const std::string& id);
  /// Clients that expired since the last call; forgets those whose grace is over.
  std::vector<ClientNumber> expire(Monotonic now);

  /// Whom to ask about a half message: its sender if it can be reached, else the next producer of the topic in turn.
  std::shared_ptr<TelemetryLink> whom_to_ask(const std::string& sender, TopicId topic);
  bool has_producer(TopicId topic) const;
  std::vector<const Client*> list() const;
  std::size_t size() const { return by_id_.size(); }

 private:
  bool alive(const Client& client, Monotonic now) const;
  Duration expiry_, grace_;
  std::size_t limit_;
  std::unordered_map<std::string, std::unique_ptr<Client>> by_id_;
  std::unordered_map<ClientNumber, Client*> by_number_;
  std::map<TopicId, std::vector<ClientNumber>> producers_;
  ClientNumber last_ = 0;
  std::size_t turn_ = 0;
};

}  // namespace hf::broker
