#include "broker/clients.h"

#include <algorithm>

namespace hf::broker {

Client* Clients::seen(const std::string& id, Monotonic now) {
  auto at = by_id_.find(id);
  if (at == by_id_.end()) {
    if (by_id_.size() >= limit_) return nullptr;
    at = by_id_.emplace(id, std::make_unique<Client>()).first;
    at->second->id = id;
    at->second->number = ++last_;
    by_number_.emplace(last_, at->second.get());
  }
  at->second->last_seen = now;
  at->second->gone = false;
  return at->second.get();
}

Client* Clients::find(const std::string& id) {
  const auto at = by_id_.find(id);
  return at == by_id_.end() ? nullptr : at->second.get();
}

Client* Clients::find(ClientNumber number) {
  const auto at = by_number_.find(number);
  return at == by_number_.end() ? nullptr : at->second;
}

bool Clients::alive(const Client& client, Monotonic now) const {
  return !client.gone && (client.reachable() || now - client.last_seen < expiry_);
}

bool Clients::alive(ClientNumber number, Monotonic now) const {
  const auto at = by_number_.find(number);
  return at != by_number_.end() && alive(*at->second, now);
}

void Clients::publishes(Client& client, std::set<TopicId> topics) {
  for (const TopicId topic : client.publishes) std::erase(producers_[topic], client.number);
  for (const TopicId topic : topics) producers_[topic].push_back(client.number);
  client.publishes = std::move(topics);
}

bool Clients::terminate(const std::string& id) {
  Client* client = find(id);
  if (client == nullptr || !client->registered) return false;
  publishes(*client, {});
  client->registered = false;
  client->gone = true;
  return true;
}

std::vector<ClientNumber> Clients::expire(Monotonic now) {
  std::vector<ClientNumber> expired;
  for (auto at = by_id_.begin(); at != by_id_.end();) {
    Client& client = *at->second;
    if (!client.gone && !alive(client, now)) {
      client.gone = true;
      expired.push_back(client.number);
    }
    if (!client.gone || client.reachable() || now - client.last_seen < grace_) {
      ++at;
      continue;
    }
    publishes(client, {});
    by_number_.erase(client.number);
    at = by_id_.erase(at);
  }
  return expired;
}

std::shared_ptr<TelemetryLink> Clients::whom_to_ask(const std::string& sender, TopicId topic) {
  if (Client* client = find(sender); client != nullptr && client->reachable()) return client->link;
  const auto at = producers_.find(topic);
  if (at == producers_.end()) return nullptr;
  const std::vector<ClientNumber>& numbers = at->second;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const Client* client = by_number_.at(numbers[(turn_ + i) % numbers.size()]);
    if (!client->reachable()) continue;
    turn_ += i + 1;
    return client->link;
  }
  return nullptr;
}

bool Clients::has_producer(TopicId topic) const {
  const auto at = producers_.find(topic);
  return at != producers_.end() && std::any_of(at->second.begin(), at->second.end(),
                                               [&](ClientNumber number) { return by_number_.at(number)->reachable(); });
}

std::vector<const Client*> Clients::list() const {
  std::vector<const Client*> list;
  for (const auto& [id, client] : by_id_) list.push_back(client.get());
  std::sort(list.begin(), list.end(), [](const Client* a, const Client* b) { return a->id < b->id; });
  return list;
}

}  // namespace hf::broker
