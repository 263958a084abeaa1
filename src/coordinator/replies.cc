#include "coordinator/replies.h"

#include "coordinator/codec.h"
#include "net/http_problem.h"

namespace hf::coordinator {
namespace {

constexpr std::size_t kHeuristicsShown = 1000;

}  // namespace

asio::awaitable<net::HttpResponse> story_reply(const CoordinatorConfig& config, Engine& engine, Store& store,
                                               std::string gtrid) {
  const Result<std::optional<Transaction>> found = co_await engine.find(gtrid);
  if (!found) co_return net::problem(found.error());
  if (!*found) {
    co_return net::problem(Error{Code::not_found,
                                 "nothing is stored of this transaction: it was never begun, was "
                                 "aborted by a crash, or ended long ago"});
  }
  const Result<std::vector<Heuristic>> damages = co_await store.heuristics(gtrid, kHeuristicsShown);
  if (!damages) co_return net::problem(damages.error());
  co_return net::HttpResponse::json(200, story_json(**found, config.id, *damages));
}

}  // namespace hf::coordinator
