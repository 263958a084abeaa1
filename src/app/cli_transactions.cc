#include <utility>

#include "app/command_line.h"

namespace hf::app {

void add_transactions(CommandLine& line) {
  auto* tx = line.app().add_subcommand("tx", "transactional messages nobody has decided yet");
  tx->require_subcommand(1);
  auto id = std::make_shared<std::string>(), state = std::make_shared<std::string>();

  auto* list = tx->add_subcommand("list", "pending and parked ones");
  list->add_option("--state", *state, "pending, parked, committed or rolled_back");
  line.on_client(list,
                 [state](AdminClient& client, Format format) { return list_transactions(client, *state, format); });

  auto* show = tx->add_subcommand("show", "one, with its history");
  show->add_option("id", *id, "transaction id, message id or key")->required();
  line.on_client(show, [id](AdminClient& client, Format format) { return show_transaction(client, *id, format); });

  const std::pair<const char*, const char*> actions[] = {{"commit", "decide: make it consumable"},
                                                         {"rollback", "decide: discard it"},
                                                         {"recheck", "ask its producers again, from the first check"}};
  for (const auto& [action, what] : actions) {
    auto* act = tx->add_subcommand(action, what);
    act->add_option("id", *id, "transaction id")->required();
    line.on_client(act, [id, name = std::string(action)](AdminClient& client, Format format) {
      return act_on_transaction(client, name, *id, format);
    });
  }
}

}  // namespace hf::app
