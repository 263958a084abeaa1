#include "shop/two_phase/inventory.h"

#include <boost/json/serialize.hpp>
#include <charconv>

#include "shop/two_phase/branch_service.h"
#include "shop/two_phase/inventory_store.h"
#include "shop/two_phase/requests.h"

namespace hf::shop::two_phase {
namespace {

namespace json = boost::json;

participant::TwoPhaseConfig named(participant::TwoPhaseConfig link) {
  link.name = "inventory";
  return link;
}

json::object to_json(const StockItem& item) {
  json::object object = {{"itemId", item.item_id},
                         {"amount", item.amount},
                         {"unitPrice", item.unit_price},
                         {"reserved", item.reserved},
                         {"sold", item.sold}};
  if (item.opening) object["opening"] = *item.opening;
  return object;
}

/// The price that the caller reckons with. Errors: invalid.
Result<std::optional<std::int64_t>> expected_total(const net::HttpRequest& request) {
  const auto header = request.headers.get(kTotalHeader);
  if (!header) return std::optional<std::int64_t>();
  std::int64_t total = 0;
  const auto [end, error] = std::from_chars(header->data(), header->data() + header->size(), total);
  if (error == std::errc() && end == header->data() + header->size() && total >= 0) return std::optional(total);
  return Error{Code::invalid, std::string(kTotalHeader) + " must be an integer from 0 on"};
}

}  // namespace

struct Inventory::Impl {
  Impl(sys::World world, InventoryConfig config_, participant::TwoPhaseConfig link, sql::Database& database,
       participant::SendHttp send)
      : config(std::move(config_)),
        store(database),
        service(std::move(world), config.branches, named(std::move(link)), database, InventoryStore::settle,
                std::move(send)) {
    service.router().add("POST", "/inventory/getTotalPrice",
                         [this](net::HttpRequest request, net::PathValues) { return total(std::move(request)); });
    service.router().add("POST", "/inventory/updateStock",
                         [this](net::HttpRequest request, net::PathValues) { return update(std::move(request)); });
    service.router().add("GET", "/inventory/stock", [this](net::HttpRequest, net::PathValues) { return stock(); });
  }

  /// A read: it takes no part in the transaction, so it may be asked outside of one.
  asio::awaitable<net::HttpResponse> total(net::HttpRequest request) {
    const std::variant<OrderRequest, BadRequest> parsed = parse_order(request.body);
    if (const auto* bad = std::get_if<BadRequest>(&parsed)) co_return refuse(*bad);
    const OrderRequest& asked = std::get<OrderRequest>(parsed);
    const Result<std::int64_t> price = co_await store.total_price(asked.item_id, asked.qty);
    if (!price) co_return answer_error(price.error());
    net::HttpResponse response = net::HttpResponse::json(200, std::to_string(*price));
    response.headers.add(std::string(kKeepsHeader), service.keeps() == participant::Keeps::xa ? "xa" : "reservation");
    co_return response;
  }

  asio::awaitable<net::HttpResponse> update(net::HttpRequest request) {
    const std::variant<OrderRequest, BadRequest> parsed = parse_order(request.body);
    if (const auto* bad = std::get_if<BadRequest>(&parsed)) co_return refuse(*bad);
    const Result<std::optional<std::int64_t>> total = expected_total(request);
    if (!total) co_return answer_error(total.error());
    const OrderRequest& asked = std::get<OrderRequest>(parsed);
    participant::Work work = InventoryStore::take(asked.item_id, asked.qty, *total);
    co_return co_await service.in_branch(std::move(request), std::move(work));
  }

  asio::awaitable<net::HttpResponse> stock() {
    const Result<std::vector<StockItem>> all = co_await store.items();
    if (!all) co_return answer_error(all.error());
    json::array list;
    for (const StockItem& item : *all) list.push_back(to_json(item));
    co_return net::HttpResponse::json(200, json::serialize(json::object{{"stock", std::move(list)}}) + "\n");
  }

  const InventoryConfig config;
  InventoryStore store;
  BranchService service;
};

Inventory::Inventory(sys::World world, InventoryConfig config, participant::TwoPhaseConfig link,
                     sql::Database& database, participant::SendHttp send)
    : impl_(std::make_unique<Impl>(std::move(world), std::move(config), std::move(link), database, std::move(send))) {}
Inventory::~Inventory() = default;

Task<> Inventory::start() {
  HF_CO_TRY(std::vector<SampleStock> stock, parse_stock(impl_->config.stock));
  HF_CO_TRY(co_await impl_->store.open(std::move(stock)));
  co_return co_await impl_->service.start();
}

net::HttpHandler Inventory::handler() {
  return [this](net::HttpRequest request) { return impl_->service.router().handle(std::move(request)); };
}

participant::Branches& Inventory::branches() { return impl_->service.branches(); }

asio::awaitable<void> Inventory::close() { co_await impl_->service.close(); }

}  // namespace hf::shop::two_phase
