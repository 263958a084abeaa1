#pragma once

/// The commands that talk to a running Holdfast. Each prints for people, or JSON with `json`, and completes with the
/// exit code (app/cli.h): 0 yes, 1 no. Errors: could not be done; the caller prints them and exits with 2.

#include <cstdint>
#include <string>
#include <vector>

#include "console/admin_client.h"

namespace hf::console {

enum class Format { text, json };

struct OrderRequest {
  std::string mode;   ///< "message", "outbox", "2pc"; empty: what the running shop has
  std::string buyer;  ///< not in 2pc
  std::string card;   ///< in 2pc
  std::int64_t item = 0, quantity = 1;
  std::vector<std::string> channels{"sms"};
  std::string phone;
  std::string key;  ///< Idempotency-Key; empty: none is sent
};
/// Posts it in the shape that the shop's mode wants. Errors: also invalid (the running shop has another mode than
/// `request.mode`, or something that its mode needs is missing).
Task<int> place_order(AdminClient& client, OrderRequest request, Format format);

/// The story of one order, hop by hop, with times; `id` is the order's.
Task<int> show_order(AdminClient& client, std::string id, Format format);
Task<int> show_transaction(AdminClient& client, std::string id, Format format);
Task<int> show_event(AdminClient& client, std::string id, Format format);
Task<int> show_delivery(AdminClient& client, std::string id, Format format);
Task<int> show_notification(AdminClient& client, std::string id, Format format);

/// `state`: pending, parked, committed, rolled_back; empty: pending and parked.
Task<int> list_transactions(AdminClient& client, std::string state, Format format);
/// `action`: commit, rollback, recheck.
Task<int> act_on_transaction(AdminClient& client, std::string action, std::string id, Format format);

/// Dead letters of the broker's groups and of the router's deliveries.
Task<int> list_dead_letters(AdminClient& client, Format format);
Task<int> redrive_dead_letter(AdminClient& client, std::string id, Format format);

Task<int> list_topics(AdminClient& client, Format format);
Task<int> create_topic(AdminClient& client, std::string name, std::string type, Format format);
Task<int> list_groups(AdminClient& client, Format format);
Task<int> create_group(AdminClient& client, std::string name, Format format);

}  // namespace hf::console
