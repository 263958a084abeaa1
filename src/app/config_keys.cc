#include "app/config.h"

namespace hf::app {
namespace {

constexpr Duration kDay = 24h;

void describe_listen(ConfigSection& section, ListenConfig& listen, const std::string& speaks) {
  section.text("host", listen.host, "address to bind to; beyond loopback only with authentication")
      .port("port", listen.port, speaks);
}

}  // namespace

void describe(ConfigSchema& schema, Config& config) {
  schema.section("process", "this process")
      .list("roles", config.roles, "which parts of the chain run here; empty: all that shop.mode has")
      .text("data", config.data, "folder of everything that is stored; created if absent")
      .choice("log_level", config.log_level, {"debug", "info", "warn", "error"}, "what is logged to standard error")
      .choice(
          "store", config.store_name, {"sqlite", "mariadb", "mariadb-all"},
          "mariadb: local servers, started here, in the place of the sqlite: databases (2pc: of payment and inventory; "
          "mariadb-all: of the others, too)")
      .text("messages", config.messages, "the broker: \"embedded:\", or rocketmq://host:8081 (rocketmqs:// for TLS)")
      .text("messages_access_key", config.messages_access_key,
            "access key for that broker; empty: calls are not signed")
      .secret("messages_secret_key", config.messages_secret_key, "its secret")
      .duration("drain", config.drain, 0s, 5min, "how long SIGTERM waits for what is under way");

  schema.section("twilio", "the account that router, notifier and phone share")
      .text("account_sid", config.account_sid, "AC and 32 hexadecimal digits")
      .secret("auth_token", config.auth_token, "its token; also signs status callbacks");

  auto& broker = schema.section("broker", "the message broker (RocketMQ 5 gRPC)");
  describe_listen(broker, config.broker_listen, "gRPC, TLS and plaintext on one port");
  broker.text("certificate_file", config.broker_listen.certificate_file, "PEM; empty: self-signed, made at start")
      .text("key_file", config.broker_listen.key_file, "PEM")
      .text("name", config.broker.name, "broker name in routes; stable")
      .text("advertise", config.broker.advertise, "host:port given to clients; empty: the address each client used")
      .flag("auto_create_topics", config.broker.auto_create_topics, "an unknown topic is created, type MIXED")
      .flag("auto_create_groups", config.broker.auto_create_groups, "an unknown consumer group is created")
      .list("topics", config.broker_topics,
            "created at start: \"name\" or \"name:NORMAL|TRANSACTION|MIXED\"; empty: those of shop.mode")
      .list("groups", config.broker_groups,
            "created at start; they see each topic from its first message on; empty: those of shop.mode")
      .integer("max_attempts", config.broker.max_attempts, 1, 1000, "deliveries before a message is dead-lettered")
      .choice("check_profile", config.check_profile, {"default", "window-15s"},
              "window-15s: undecided half messages are parked and reported after 15 s in all")
      .duration("first_check", config.broker.check_back.first_after, 100ms, 1h,
                "age of a half message at its first check-back")
      .duration("check_interval", config.broker.check_back.interval, 100ms, 1h, "between check-backs")
      .duration("client_expiry", config.broker.client_expiry, 1s, 1h,
                "without a call and a stream for so long a client is gone: what it had received goes to others")
      .integer("max_checks", config.broker.check_back.max_checks, 1, 1000, "delivered check-backs, then it is parked")
      .integer("max_pending", config.broker.check_back.max_pending, std::size_t{1}, std::size_t{100'000'000},
               "undecided half messages; beyond: TOO_MANY_REQUESTS")
      .duration("keep_consumed", config.broker.retention.keep_consumed, 0s, 3650 * kDay,
                "what all groups consumed stays this long")
      .integer("keep_consumed_bytes", config.broker.retention.keep_consumed_bytes, std::uint64_t{0},
               std::uint64_t{1} << 50, "… and at most this much log, in bytes")
      .integer("segment_bytes", config.broker.segment_bytes, std::uint64_t{8} << 20, std::uint64_t{1} << 30,
               "size of a log segment; fixed when the data folder is made")
      .integer("cache_bytes", config.broker.cache_bytes, std::size_t{0}, std::size_t{1} << 34,
               "recent messages kept in memory for consumers that keep up")
      .text("access_key", config.broker_access_key, "clients must sign with it; empty: nobody is asked")
      .secret("secret_key", config.broker_secret_key, "its secret");

  auto& shop = schema.section("shop", "the order service");
  describe_listen(shop, config.shop_listen, "HTTP: POST /orders, GET /orders/{id}, GET /items");
  shop.choice("mode", config.mode_name, {"message", "outbox", "2pc"},
              "how an order stays consistent: transactional message, local message table, two-phase commit")
      .text("database", config.shop_database, "where orders, stock and markers are kept")
      .text("topic", config.shop.topic, "topic of the orders' messages")
      .list("items", config.shop.items, "put on sale at the first start: \"id;name;price in minor units;pieces\"")
      .integer("orders_in_flight", config.shop.orders_in_flight, std::size_t{1}, std::size_t{100'000}, "beyond: 503")
      .duration("retry_after", config.shop.retry_after, 1s, 1h, "what a refused client is told to wait")
      .duration("repeat_wait", config.shop.repeat_wait, 100ms, 1min, "how long a repeat waits for the first of its key")
      .text("base_url", config.base_urls["shop"], "2pc: where the coordinator reaches it; empty: its listener")
      .choice("calls", config.place_order.calls, {"auto", "parallel", "sequential"},
              "2pc: payment and inventory at once, or one after the other; auto: at once, unless rows stay locked (XA)")
      .integer("tries", config.place_order.tries, std::size_t{1}, std::size_t{20},
               "2pc: transactions for one order, if it is aborted for a passing reason")
      .integer("transactions_at_once", config.place_order.transactions_at_once, std::size_t{1}, std::size_t{10'000},
               "2pc: other orders wait for their turn; no more than the stores take branches")
      .duration("call_timeout", config.place_order.call_timeout, 100ms, 1min,
                "2pc: of one call to payment or inventory")
      .duration("answer_within", config.place_order.answer_within, 1s, 5min,
                "2pc: after so long the client hears that it is still under way")
      .duration("ask_every", config.place_order.ask_every, 10ms, 10min,
                "2pc: how often orders nobody waits for any more are asked about")
      .text("phone", config.place_order.phone, "2pc: who is told of an order whose request names nobody")
      .list("channels", config.place_order.channels, "2pc: how: sms, whatsapp, voice");

  participant::OutboxConfig& outbox = config.local_table.outbox;
  schema.section("outbox", "the local message table of shop and inventory (outbox; 2pc: the confirmations)")
      .text("database", config.outbox_database,
            "empty: where the orders are; another one is refused: one local transaction must hold order and message")
      .duration("poll", outbox.poll, 10ms, 1min, "the relay looks at least this often for rows that nobody told it of")
      .duration("lease", outbox.lease, 1s, 10min,
                "a claimed row belongs to its relay for so long (on MySQL also to one that died)")
      .integer("batch", outbox.batch, std::size_t{1}, std::size_t{1000}, "rows of one claim")
      .duration("retry_first", outbox.retry_first, 1ms, 1h, "wait after a failed try; doubles")
      .duration("retry_max", outbox.retry_max, 1ms, 1h, "its longest")
      .integer("refusals_max", outbox.refusals_max, std::int64_t{1}, std::int64_t{1000},
               "refused by the broker so often, a row is blocked, and its aggregate with it")
      .duration("redo_first", outbox.redo_first, 100ms, 7 * kDay,
                "an order without a result is published again; doubles")
      .duration("redo_max", outbox.redo_max, 100ms, 7 * kDay, "its longest")
      .duration("keep", outbox.keep, 0s, 365 * kDay, "rows that are done stay so long")
      .duration("keep_keys", config.local_table.inbox.keep, 1min, 365 * kDay,
                "the inbox recognises a message for so long; longer than one can come again");

  auto& payment = schema.section("payment", "the payment service (2pc)");
  describe_listen(payment, config.payment_listen, "HTTP: POST /payment/pay, inside a transaction");
  payment.text("base_url", config.base_urls["payment"], "where the coordinator reaches it; empty: its listener")
      .text("database", config.payment_database, "where accounts and their branches are kept")
      .list("accounts", config.payment.accounts, "opened at the first start: \"card;balance\"");

  auto& inventory = schema.section("inventory", "the inventory service (2pc, outbox)");
  describe_listen(inventory, config.inventory_listen, "HTTP: POST /inventory/getTotalPrice, /inventory/updateStock");
  inventory.text("base_url", config.base_urls["inventory"], "where the coordinator reaches it; empty: its listener")
      .text("database", config.inventory_database, "where stock and its branches are kept")
      .list("stock", config.inventory.stock, "put on sale at the first start: \"item;pieces;unit price\"");

  auto& coordinator = schema.section("coordinator", "the transaction coordinator (2pc)");
  describe_listen(coordinator, config.coordinator_listen, "HTTP: /balcoordinator, /2pc/v1");
  coordinator.text("database", config.coordinator_database, "where decisions are kept")
      .text("id", config.coordinator.id, "1 … 12 of [a-z0-9-]; stable, and no two coordinators share one")
      .text("base_url", config.coordinator.base_url, "where participants reach it; empty: its listener")
      .duration("prepare_timeout", config.coordinator.prepare_timeout, 10ms, 10min, "silence for so long is a no")
      .duration("notify_timeout", config.coordinator.notify_timeout, 10ms, 10min, "of one try to tell a decision")
      .duration("retry_first", config.coordinator.retry_first, 1ms, 1h, "between tries of a notify; doubles")
      .duration("retry_max", config.coordinator.retry_max, 1ms, kDay, "its longest")
      .duration("active_max", config.coordinator.active_max, 100ms, kDay,
                "without a wish to commit or abort for so long, a transaction is aborted (nobody has voted yet)")
      .integer("transactions_max", config.coordinator.transactions_max, std::size_t{1}, std::size_t{10'000'000},
               "unfinished ones; beyond: 503")
      .integer("participants_max", config.coordinator.participants_max, std::size_t{1}, std::size_t{1000},
               "in one transaction")
      .integer("calls_per_participant", config.coordinator.calls_per_participant, std::size_t{1}, std::size_t{10'000},
               "calls under way at one address; the others wait their turn")
      .duration("keep_finished", config.coordinator.keep_finished, 1s, 3650 * kDay,
                "for outcome queries and the views");

  auto& two_phase = schema.section("two_phase", "what coordinator, payment, inventory and shop share (2pc)");
  two_phase.secret("secret", config.two_phase.secret, "wanted by each of the others; empty: nobody is asked")
      .text("coordinator_url", config.two_phase.coordinator_url, "a coordinator of this process wins")
      .text("payment_url", config.two_phase.payment_url, "a payment service of this process wins")
      .text("inventory_url", config.two_phase.inventory_url, "an inventory service of this process wins")
      .duration("call_timeout", config.two_phase.call_timeout, 10ms, 10min, "of one call between them")
      .duration("ask_after", config.two_phase.ask_after, 10ms, kDay,
                "in doubt for so long, a participant asks the outcome")
      .duration("ask_max", config.two_phase.ask_max, 10ms, kDay, "longest wait between its questions")
      .duration("alarm_after", config.two_phase.alarm_after, 10ms, kDay,
                "in doubt for so long: logged as an error, counted")
      .flag("xa", config.two_phase.branches.xa,
            "XA branches where the database has them; false: reservations everywhere")
      .integer("open_max", config.two_phase.branches.open_max, std::size_t{1}, std::size_t{100'000},
               "branches of one participant that are active at once; beyond: 503")
      .duration("active_max", config.two_phase.branches.active_max, 1s, 1h,
                "an active branch whose prepare never came is rolled back (it has not voted)")
      .duration("keep_ended", config.two_phase.branches.keep_ended, 1h, 365 * kDay,
                "ended branches are remembered; at least coordinator.keep_finished");

  auto& router = schema.section("router", "the event router (EventBridge)");
  describe_listen(router, config.router_listen, "AWS JSON 1.1, signed");
  router.text("database", config.router_database, "where rules, events and deliveries are kept")
      .text("region", config.router.region, "of every ARN and of the signature's scope")
      .text("account", config.router.account, "12 digits, of every ARN")
      .text("access_key", config.router_access_key, "who may call the API")
      .secret("secret_key", config.router_secret_key, "its secret")
      .text("rules_file", config.router.rules_file, "applied at every start; empty: the built-in three channel rules")
      .text("notifier_url", config.router.notifier_url,
            "{{notifier_url}} in the rules; a notifier of this process wins")
      .text("twilio_number", config.router.twilio_number, "{{twilio_number}}, the sender")
      .text("whatsapp_number", config.router.whatsapp_number, "{{whatsapp_number}}")
      .list("topics", config.router_topics, "topics whose messages become events: \"topic;source;detail-type\"")
      .text("group", config.router.group, "consumer group of these subscriptions")
      .duration("request_timeout", config.router.request_timeout, 100ms, 60s, "for a destination's whole answer")
      .integer("concurrency_per_destination", config.router.concurrency_per_destination, std::size_t{1},
               std::size_t{1000}, "requests under way at one destination")
      .duration("retry_first", config.router.retry_first, 10ms, 1h, "wait before the first retry; doubles")
      .duration("retry_max", config.router.retry_max, 10ms, kDay, "longest wait by the policy")
      .duration("retry_after_max", config.router.retry_after_max, 0s, kDay, "longest wait a Retry-After can ask for")
      .duration("keep_finished", config.router.keep_finished, 0s, 3650 * kDay,
                "delivered events are kept this long; 0s: always");

  auto& notifier = schema.section("notifier", "the notification gateway (Twilio REST) with its delivery ledger");
  describe_listen(notifier, config.notifier_listen, "Twilio REST");
  notifier.text("database", config.notifier.database, "the delivery ledger")
      .text("provider_url", config.notifier.provider_url, "Twilio's base URL; a phone of this process wins")
      .text("callback_base_url", config.notifier.callback_base_url,
            "where the provider reaches us; a free port is filled in")
      .text("from_sms", config.notifier.from_sms, "From of a message without one")
      .text("from_whatsapp", config.notifier.from_whatsapp, "the same for WhatsApp")
      .text("from_voice", config.notifier.from_voice, "the same for calls")
      .duration("call_timeout", config.notifier.call_timeout, 100ms, 5min, "of one provider call")
      .duration("answer_within", config.notifier.answer_within, 100ms, 5min, "a request is held this long before 503")
      .integer("calls_in_flight", config.notifier.calls_in_flight, std::size_t{1}, std::size_t{1000},
               "provider calls at a time")
      .real("calls_per_second", config.notifier.calls_per_second, 0, 1e6,
            "provider calls begun per second; 0: no limit")
      .duration("retry_min", config.notifier.retry_min, 1ms, 1h, "first back-off after `certainly not created`")
      .duration("retry_max", config.notifier.retry_max, 1ms, kDay, "its longest")
      .duration("retry_for", config.notifier.retry_for, 1s, 30 * kDay, "then the notification is parked")
      .list("looks", config.notifier_looks, "after a lost answer the provider's list is looked at after these times")
      .choice("on_absent", config.on_absent, {"resend", "park"},
              "what happens when a lost call is proven to have created nothing")
      .integer("attempts_max", config.notifier.attempts_max, 1, 10, "calls whose outcome was lost, before parking");

  auto& phone = schema.section("phone", "the phone sandbox (Twilio REST)");
  describe_listen(phone, config.phone_listen, "Twilio REST, and /control");
  phone.text("database", config.phone.database, "messages and calls")
      .list("senders", config.phone.senders, "numbers the account owns; empty: any is ours")
      .duration("step", config.phone.step, 1ms, 1h, "from one status to the next")
      .duration("ring", config.phone.ring, 1ms, 10min, "how long a call rings")
      .duration("hang", config.phone.hang, 1s, 1h, "how long a hanging request hangs");

  auto& console = schema.section("console", "metrics, health, administration");
  describe_listen(console, config.console_listen, "HTTP: /metrics, /health, /admin");
  console.secret("admin_token", config.admin_token, "wanted as `Authorization: Bearer …`; empty: nobody is asked");
}

}  // namespace hf::app
