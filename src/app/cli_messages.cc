#include "app/command_line.h"

namespace hf::app {
namespace {

void add_dead_letters(CommandLine& line) {
  auto* dlq = line.app().add_subcommand("dlq", "what was given up: messages and deliveries");
  dlq->require_subcommand(1);
  line.on_client(dlq->add_subcommand("list", "all, with the reason"),
                 [](AdminClient& client, Format format) { return list_dead_letters(client, format); });
  auto id = std::make_shared<std::string>();
  auto* redrive = dlq->add_subcommand("redrive", "send one on again");
  redrive->add_option("id", *id, "its id in `dlq list`")->required();
  line.on_client(redrive,
                 [id](AdminClient& client, Format format) { return redrive_dead_letter(client, *id, format); });
}

void add_topics(CommandLine& line) {
  auto* topic = line.app().add_subcommand("topic", "the broker's topics");
  topic->require_subcommand(1);
  line.on_client(topic->add_subcommand("list", "all, with what they hold"),
                 [](AdminClient& client, Format format) { return list_topics(client, format); });
  auto name = std::make_shared<std::string>(), type = std::make_shared<std::string>("MIXED");
  auto* create = topic->add_subcommand("create", "a topic of a type");
  create->add_option("name", *name, "its name")->required();
  create->add_option("--type", *type, "NORMAL, TRANSACTION or MIXED")->capture_default_str();
  line.on_client(
      create, [name, type](AdminClient& client, Format format) { return create_topic(client, *name, *type, format); });
}

void add_groups(CommandLine& line) {
  auto* group = line.app().add_subcommand("group", "the broker's consumer groups");
  group->require_subcommand(1);
  line.on_client(group->add_subcommand("list", "all, with their backlog"),
                 [](AdminClient& client, Format format) { return list_groups(client, format); });
  auto name = std::make_shared<std::string>();
  auto* create = group->add_subcommand("create", "a group that sees each topic from its first message on");
  create->add_option("name", *name, "its name")->required();
  line.on_client(create, [name](AdminClient& client, Format format) { return create_group(client, *name, format); });
}

}  // namespace

void add_messages(CommandLine& line) {
  add_dead_letters(line);
  add_topics(line);
  add_groups(line);
}

}  // namespace hf::app
