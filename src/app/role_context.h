#pragma once

/// What the roles of one process share.

#include <memory>
#include <string>

#include "app/config.h"
#include "app/doors.h"
#include "app/stores.h"
#include "mq/client.h"
#include "sys/world.h"

namespace hf::app {

/// One strand; outlives the roles.
struct RoleContext {
  RoleContext(sys::World w, Config c)
      : world(std::move(w)), config(std::move(c)), doors(world), stores(world, config.data) {}

  /// A client of the broker, be it of this process or another. `name`: for its logs, "shop". Errors: invalid (URL).
  Result<std::unique_ptr<mq::Client>> message_client(const std::string& name);

  sys::World world;
  Config config;
  Doors doors;
  Stores stores;
  wire::rocketmq::MessagingService* broker = nullptr;  ///< of this process, once it runs
};

}  // namespace hf::app
