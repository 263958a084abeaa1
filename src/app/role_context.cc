#include "app/role_context.h"

namespace hf::app {

Result<std::unique_ptr<mq::Client>> RoleContext::message_client(const std::string& name) {
  mq::ClientConfig client;
  client.url = config.messages;
  client.access_key = config.messages_access_key;
  client.secret_key = config.messages_secret_key;
  client.name = "holdfast-" + name;
  if (broker != nullptr && config.messages == "embedded:") {
    client.access_key = config.broker_access_key;
    client.secret_key = config.broker_secret_key;
  }
  return mq::Client::make(world, client, broker);
}

}  // namespace hf::app
