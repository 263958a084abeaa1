#include "app/command_line.h"
#include "console/outbox_commands.h"

namespace hf::app {

void add_outbox(CommandLine& line) {
  auto* outbox = line.app().add_subcommand("outbox", "messages of the services that wait to be published");
  outbox->require_subcommand(1);
  auto id = std::make_shared<std::string>(), service = std::make_shared<std::string>(),
       state = std::make_shared<std::string>(), reason = std::make_shared<std::string>();

  auto* list = outbox->add_subcommand("list", "what is not finished; what is blocked, and why");
  list->add_option("--state", *state, "pending, held, sent, done, blocked or skipped");
  line.on_client(list,
                 [state](AdminClient& client, Format format) { return console::list_outbox(client, *state, format); });

  auto* unblock = outbox->add_subcommand("unblock", "try a blocked message anew; what waits behind it goes on");
  auto* skip = outbox->add_subcommand("skip", "give a blocked message up; what waits behind it goes on");
  for (CLI::App* command : {unblock, skip}) {
    command->add_option("id", *id, "its id, as the list shows it")->required();
    command->add_option("--service", *service, "shop or inventory; default: whoever has it");
  }
  skip->add_option("--reason", *reason, "who decided, and why: stays with the row")->required();
  line.on_client(unblock, [service, id](AdminClient& client, Format format) {
    return console::unblock_outbox(client, *service, *id, format);
  });
  line.on_client(skip, [service, id, reason](AdminClient& client, Format format) {
    return console::skip_outbox(client, *service, *id, *reason, format);
  });
}

}  // namespace hf::app
