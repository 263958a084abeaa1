#pragma once

/// The broker's administration over HTTP: JSON of what broker/admin.h tells. docs/administration.md lists the paths.

#include "broker/admin.h"
#include "net/http.h"

namespace hf::app {

/// Serves everything below /admin/broker. `admin` outlives the handler.
net::HttpHandler make_broker_admin(broker::Admin& admin);

}  // namespace hf::app
