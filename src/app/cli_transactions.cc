#include <optional>
#include <tuple>
#include <utility>

#include "app/command_line.h"
#include "console/coordinator_commands.h"

namespace hf::app {
namespace {

/// Global transactions, beside transactional messages: which of them `tx list` shows.
void add_global_lists(CLI::App& list, const std::shared_ptr<std::optional<console::GlobalList>>& global) {
  const std::tuple<const char*, console::GlobalList, const char*> flags[] = {
      {"--open", console::GlobalList::open, "global transactions that are not finished"},
      {"--in-doubt", console::GlobalList::in_doubt, "global ones with a decision that not all have acknowledged"},
      {"--heuristic", console::GlobalList::heuristic, "global ones that ended against the decision, or by hand"},
      {"--finished", console::GlobalList::finished, "the latest global ones"}};
  for (const auto& [name, which, what] : flags) {
    list.add_flag_callback(name, [global, which] { *global = which; }, what);
  }
}

void add_resolve(CommandLine& line, CLI::App& tx) {
  auto* resolve = tx.add_subcommand("resolve",
                                    "a global transaction: abort what nobody decided; or wait no longer "
                                    "for who does not acknowledge what is decided");
  auto id = std::make_shared<std::string>(), reason = std::make_shared<std::string>();
  auto commit = std::make_shared<bool>(false), abort = std::make_shared<bool>(false);
  resolve->add_option("id", *id, "its id")->required();
  resolve->add_option("--reason", *reason, "recorded first")->required();
  auto participant = std::make_shared<std::string>();
  resolve->add_option("--participant", *participant, "decide one service's branch in doubt, without the coordinator");
  auto* decision = resolve->add_option_group("decision");
  decision->add_flag("--commit", *commit, "it is committed; give up who does not answer");
  decision->add_flag("--abort", *abort, "abort it; or it is aborted, give up who does not answer");
  decision->require_option(1);
  line.on_client(resolve, [id, participant, commit, abort, reason](AdminClient& client, Format format) {
    HF_ASSERT(*commit != *abort);  // the group wants exactly one
    return console::resolve_global_transaction(client, *id, *participant, *commit ? "commit" : "abort", *reason,
                                               format);
  });
}

}  // namespace

void add_transactions(CommandLine& line) {
  auto* tx = line.app().add_subcommand("tx", "transactions: transactional messages, global ones");
  tx->require_subcommand(1);
  auto id = std::make_shared<std::string>(), state = std::make_shared<std::string>();

  auto* list = tx->add_subcommand("list", "pending and parked ones");
  list->add_option("--state", *state, "pending, parked, committed or rolled_back");
  auto global = std::make_shared<std::optional<console::GlobalList>>();
  add_global_lists(*list, global);
  line.on_client(list, [state, global](AdminClient& client, Format format) {
    return *global ? console::list_global_transactions(client, **global, format)
                   : list_transactions(client, *state, format);
  });
  add_resolve(line, *tx);

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
