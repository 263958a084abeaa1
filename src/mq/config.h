#pragma once

/// What can be set on the message client. Every field has a default; `app` maps them to TOML.

#include <string>
#include <vector>

#include "base/time.h"

namespace hf::mq {

/// One broker, as many producers and consumers as wanted.
struct ClientConfig {
  /// "rocketmq://host:8081" (plaintext), "rocketmqs://host:8081" (TLS), or "embedded:" (the broker of this process).
  /// Several addresses: separated by ';'; the first is used. Without a port: 8081.
  std::string url = "embedded:";
  /// Both empty: calls are not signed. The secret never reaches a log.
  std::string access_key{};
  std::string secret_key{};
  /// TLS only. PEM file to trust instead of the system's; empty: the system's.
  std::string ca_file{};
  /// TLS only. false trusts any certificate, as the official clients do.
  bool verify = true;
  /// First part of the client id and of log lines: letters, digits, '-'.
  std::string name = "holdfast";

  Duration request_timeout = 3s;      ///< of one unary call; 100 ms … 60 s
  Duration heartbeat_interval = 10s;  ///< 1 s … 60 s; Apache's proxy forgets a client after 120 s
  Duration route_refresh = 30s;       ///< 1 s … 10 min
  Duration settings_refresh = 5min;   ///< 10 s … 1 h
  Duration reconnect_min = 1s;        ///< Telemetry is opened again after a wait drawn from reconnect_min …
  Duration reconnect_max = 2s;        ///< … reconnect_max; 100 ms … 1 min
  Duration drain_timeout = 30s;       ///< how long close() waits for work under way; 0 s … 1 h
};

struct ProducerConfig {
  /// Announced at start, so that their routes are known before the first send. A topic that is not listed is announced
  /// when it is first sent to.
  std::vector<std::string> topics{};
  Duration send_timeout = 10s;  ///< of a whole send, all attempts; 100 ms … 5 min
  int max_attempts = 0;         ///< 0: what the server says (Apache: 3); else 1 … 16
  int checks_in_flight = 64;    ///< check-backs answered at a time, further ones are left to the next round; 1 … 10 000
};

enum class FilterType { tag, sql };

struct Subscription {
  std::string topic{};
  std::string filter = "*";  ///< tags joined by "||", or an SQL-92 condition
  FilterType type = FilterType::tag;
};

struct ConsumerConfig {
  std::string group{};
  std::vector<Subscription> subscriptions{};  ///< at least one, each topic once
  /// How long a receive waits for a message. The server clamps it to 5 … 20 s. Push: the server's own value counts.
  Duration polling = 20s;
  int concurrency = 16;  ///< push only: handlers at a time; 1 … 10 000
  int batch = 32;        ///< push only: messages per receive; 1 … 32
};

}  // namespace hf::mq
