#include <algorithm>
#include <map>
#include <thread>

#include "conformance/rocketmq/grpc/client.h"

namespace judge {
namespace {

/// A consumer of its own group, which sees what is sent from now on.
struct Consumer {
  Consumer(const Setup& setup, const std::string& topic, const std::string& tags = "*")
      : client(setup.channel, unique("consumer")), group(unique("conf-grpc")) {
    require_code(client.route(topic).status(), pb::OK, "QueryRoute");
    settings = client.open_consumer(group, topic, tags);
    (void)client.receive(group, topic, 1, 10s, 5s, tags);
  }
  Client client;
  std::string group;
  pb::Settings settings;
};

void route_is_what_clients_need(const Setup& setup) {
  Client client(setup.channel, unique("router"));
  const pb::QueryRouteResponse route = client.route(setup.normal_topic);
  require_code(route.status(), pb::OK, "QueryRoute");
  bool queue_zero = false;
  for (const pb::MessageQueue& queue : route.message_queues()) {
    queue_zero = queue_zero || (queue.id() == 0 && queue.permission() == pb::READ_WRITE);
    require(queue.topic().name() == setup.normal_topic, "every queue names its topic");
    require(queue.broker().id() == 0 && !queue.broker().name().empty(), "the broker is a named master");
    require(!queue.accept_message_types().empty(), "accepted message types are named");
    for (const int type : queue.accept_message_types())
      require(type >= pb::NORMAL && type <= pb::TRANSACTION, "types that old clients know");
    const pb::Endpoints& endpoints = queue.broker().endpoints();
    require(endpoints.scheme() != pb::ADDRESS_SCHEME_UNSPECIFIED && endpoints.addresses_size() == 1,
            "one address, its scheme");
    if (std::getenv("ADVERTISED") == nullptr)
      require(endpoints.addresses(0).host() == "mapped.example.org" && endpoints.addresses(0).port() == 18081,
              "the endpoints are those the client uses");
  }
  require(queue_zero, "queue 0 can be read and written (the Node client uses no other)");
}

void settings_are_filled_in(const Setup& setup) {
  Client producer(setup.channel, unique("producer"));
  const pb::Settings own = producer.open_producer({setup.normal_topic});
  require(own.client_type() == pb::PRODUCER, "client_type is echoed");
  require(own.publishing().topics_size() == 1 && own.publishing().topics(0).name() == setup.normal_topic,
          "topics are echoed");
  require(own.publishing().max_body_size() > 0, "max_body_size");
  require(own.backoff_policy().max_attempts() > 0 && own.backoff_policy().has_exponential_backoff(),
          "back-off of sends");
  require(producer.open_producer({}).publishing().max_body_size() > 0, "a producer without topics is answered, too");
  Consumer consumer(setup, setup.normal_topic);
  const pb::Subscription& subscription = consumer.settings.subscription();
  require(subscription.group().name() == consumer.group, "the group is echoed");
  require(subscription.has_fifo() && subscription.receive_batch_size() == 32, "fifo and batch size");
  require(subscription.long_polling_timeout().seconds() >= 5 && subscription.long_polling_timeout().nanos() == 0,
          "polling time in whole seconds");
  require(consumer.settings.backoff_policy().has_customized_backoff() ||
              consumer.settings.backoff_policy().has_exponential_backoff(),
          "back-off of deliveries");
  require(consumer.settings.backoff_policy().max_attempts() == 17, "17 attempts");
}

void messages_arrive_whole(const Setup& setup) {
  Consumer consumer(setup, setup.normal_topic);
  Client producer(setup.channel, unique("producer"));
  producer.open_producer({setup.normal_topic});
  std::map<std::string, pb::Message> sent;
  std::set<std::int64_t> offsets;
  for (int i = 0; i < 50; ++i) {
    pb::Message one = message(setup.normal_topic, "body " + std::to_string(i));
    one.mutable_system_properties()->set_tag("标签");
    one.mutable_system_properties()->add_keys("key with space " + std::to_string(i));
    one.mutable_system_properties()->add_keys("second");
    (*one.mutable_user_properties())["number"] = std::to_string(i);
    (*one.mutable_user_properties())["empty"] = "";
    offsets.insert(producer.send(one).offset());
    sent[one.system_properties().message_id()] = one;
  }
  require(!offsets.empty(), "offsets");
  const std::vector<pb::Message> seen = collect(consumer.client, consumer.group, setup.normal_topic, 50, 30s);
  require(seen.size() == 50, "50 messages, got " + std::to_string(seen.size()));
  for (const pb::Message& got : seen) {
    const pb::SystemProperties& system = got.system_properties();
    const auto original = sent.find(system.message_id());
    require(original != sent.end(), "a message that was sent, once");
    require(got.body() == original->second.body(), "body");
    require(system.tag() == "标签", "tag");
    require(std::ranges::equal(system.keys(), original->second.system_properties().keys()), "keys, with their spaces");
    require(got.user_properties().size() == 2 && got.user_properties().at("empty").empty(),
            "exactly the user's properties");
    require(system.body_digest().type() != pb::DIGEST_TYPE_UNSPECIFIED && !system.body_digest().checksum().empty(),
            "digest");
    require(system.body_encoding() == pb::IDENTITY, "encoding");
    require(system.has_store_timestamp() && system.has_born_timestamp(), "times");
    require(system.delivery_attempt() == 1, "first attempt");
    require(!system.has_message_group() && !system.has_priority() && !system.has_delivery_timestamp(),
            "absent stays absent");
    require(!system.receipt_handle().empty() && system.receipt_handle().size() < 1024, "receipt handle");
    sent.erase(original);
  }
}

void a_batch_has_an_entry_per_message(const Setup& setup) {
  Client producer(setup.channel, unique("producer"));
  producer.open_producer({setup.normal_topic});
  pb::SendMessageRequest request;
  for (int i = 0; i < 3; ++i) *request.add_messages() = message(setup.normal_topic, "batch");
  const pb::SendMessageResponse response = producer.send_all(request);
  require_code(response.status(), pb::OK, "batch");
  require(response.entries_size() == 3, "three entries");
  for (int i = 0; i < 3; ++i)
    require(response.entries(i).message_id() == request.messages(i).system_properties().message_id(), "in order");
}

void frames_and_an_empty_poll(const Setup& setup) {
  Consumer consumer(setup, setup.normal_topic);
  const Client::Received nothing = consumer.client.receive(consumer.group, setup.normal_topic, 1, 10s, 5s);
  require_code(nothing.status, pb::MESSAGE_NOT_FOUND, "an empty poll");
  require(nothing.frames ==
              (std::vector<int>{pb::ReceiveMessageResponse::kStatus, pb::ReceiveMessageResponse::kDeliveryTimestamp}),
          "status, then delivery timestamp");
  require(nothing.took >= 4500ms && nothing.took < 20s,
          "an empty poll waits: " + std::to_string(nothing.took.count()) + " ms");
  Client producer(setup.channel, unique("producer"));
  producer.open_producer({setup.normal_topic});
  for (int i = 0; i < 3; ++i) producer.send(message(setup.normal_topic, "x"));
  const Client::Received some = consumer.client.receive(consumer.group, setup.normal_topic, 50, 10s, 20s);
  require_code(some.status, pb::OK, "receive");
  require(some.frames.front() == pb::ReceiveMessageResponse::kStatus, "status first");
  require(some.frames.back() == pb::ReceiveMessageResponse::kDeliveryTimestamp, "delivery timestamp last");
  require(some.messages.size() + 2 == some.frames.size(), "one message a frame");
  require(some.took < 15s, "what is there is given at once");
}

void a_long_poll_is_woken(const Setup& setup) {
  Consumer consumer(setup, setup.normal_topic);
  Client producer(setup.channel, unique("producer"));
  producer.open_producer({setup.normal_topic});
  std::thread later([&] {
    std::this_thread::sleep_for(1s);
    producer.send(message(setup.normal_topic, "wake"));
  });
  const Client::Received received = consumer.client.receive(consumer.group, setup.normal_topic, 1, 10s, 20s);
  later.join();
  require(received.messages.size() == 1 && received.took < 15s, "it did not wait for the end of the poll");
}

void at_most_32_and_none_twice(const Setup& setup) {
  Consumer consumer(setup, setup.normal_topic);
  Client producer(setup.channel, unique("producer"));
  producer.open_producer({setup.normal_topic});
  pb::SendMessageRequest request;
  for (int i = 0; i < 100; ++i) *request.add_messages() = message(setup.normal_topic, "many");
  require_code(producer.send_all(request).status(), pb::OK, "batch of 100");
  require(consumer.client.receive(consumer.group, setup.normal_topic, 50, 60s, 5s).messages.size() <= 32, "32 at most");
  Consumer other(setup, setup.normal_topic);
  std::set<std::string> ids;
  require_code(producer.send_all(request).status(), pb::OK, "batch of 100, again");
  for (const pb::Message& one : collect(other.client, other.group, setup.normal_topic, 100, 30s))
    require(ids.insert(one.system_properties().message_id()).second, "acknowledged messages do not come twice");
  require(ids.size() == 100, "all of them, got " + std::to_string(ids.size()));
}

void unacknowledged_comes_again(const Setup& setup) {
  Consumer consumer(setup, setup.normal_topic);
  Client producer(setup.channel, unique("producer"));
  producer.open_producer({setup.normal_topic});
  const std::string id = producer.send(message(setup.normal_topic, "again")).message_id();
  const Client::Received first = consumer.client.receive(consumer.group, setup.normal_topic, 1, 10s, 5s);
  require(first.messages.size() == 1, "the message");
  std::this_thread::sleep_for(10500ms);
  const pb::AckMessageResponse late = consumer.client.ack(consumer.group, first.messages[0]);
  require_code(late.status(), pb::INVALID_RECEIPT_HANDLE, "an ack that is too late");
  require(late.status().message().find("INVALID_RECEIPT_HANDLE") != std::string::npos, "the text says so");
  const Client::Received second = consumer.client.receive(consumer.group, setup.normal_topic, 1, 10s, 20s);
  require(second.messages.size() == 1, "it came again");
  require(second.messages[0].system_properties().message_id() == id, "with its id");
  require(second.messages[0].system_properties().delivery_attempt() == 2, "as the second attempt");
  require_code(consumer.client.ack(consumer.group, second.messages[0]).status(), pb::OK, "ack");
  require_code(consumer.client.ack(consumer.group, second.messages[0]).status(), pb::OK, "ack again inside its time");
}

void changing_the_invisible_duration(const Setup& setup) {
  Consumer consumer(setup, setup.normal_topic);
  Client producer(setup.channel, unique("producer"));
  producer.open_producer({setup.normal_topic});
  producer.send(message(setup.normal_topic, "give back"));
  const Client::Received first = consumer.client.receive(consumer.group, setup.normal_topic, 1, 60s, 5s);
  require(first.messages.size() == 1, "the message");
  pb::ChangeInvisibleDurationRequest request;
  request.mutable_group()->set_name(consumer.group);
  request.mutable_topic()->set_name(setup.normal_topic);
  request.set_receipt_handle(first.messages[0].system_properties().receipt_handle());
  request.set_message_id(first.messages[0].system_properties().message_id());
  request.mutable_invisible_duration()->set_seconds(0);
  pb::ChangeInvisibleDurationResponse response;
  require(consumer.client.stub().ChangeInvisibleDuration(consumer.client.context().get(), request, &response).ok(),
          "the call");
  require_code(response.status(), pb::OK, "ChangeInvisibleDuration");
  require(!response.receipt_handle().empty() && response.receipt_handle() != request.receipt_handle(), "a new handle");
  require(consumer.client.ack(consumer.group, first.messages[0]).status().code() != pb::OK,
          "the old handle is useless");
  require(collect(consumer.client, consumer.group, setup.normal_topic, 1, 10s).size() == 1, "it is visible at once");
}

void every_group_gets_each_message(const Setup& setup) {
  Consumer one(setup, setup.normal_topic), two(setup, setup.normal_topic);
  Client second_member(setup.channel, unique("consumer"));
  second_member.open_consumer(one.group, setup.normal_topic);
  Client producer(setup.channel, unique("producer"));
  producer.open_producer({setup.normal_topic});
  for (int i = 0; i < 10; ++i) producer.send(message(setup.normal_topic, "shared"));
  require(collect(two.client, two.group, setup.normal_topic, 10, 20s).size() == 10, "the other group has all");
  const std::size_t a = collect(one.client, one.group, setup.normal_topic, 4, 10s).size();
  const std::size_t b = collect(second_member, one.group, setup.normal_topic, 10 - a, 10s).size();
  require(a + b == 10, "the members of one group share");
}

void tags_are_compared_as_text(const Setup& setup) {
  const std::string tags = "Aa || other";
  Consumer consumer(setup, setup.normal_topic, tags);
  Client producer(setup.channel, unique("producer"));
  producer.open_producer({setup.normal_topic});
  for (const char* tag : {"Aa", "BB", "aa", "other", "*", ""}) {  // "Aa" and "BB" have one Java hash
    pb::Message one = message(setup.normal_topic, tag[0] == 0 ? "none" : tag);
    if (tag[0] != 0) one.mutable_system_properties()->set_tag(tag);
    producer.send(one);
  }
  std::set<std::string> bodies;
  for (const pb::Message& one : collect(consumer.client, consumer.group, setup.normal_topic, 3, 6s, tags))
    bodies.insert(one.body());
  require(bodies == (std::set<std::string>{"Aa", "other"}), "exactly the two");
}

void four_mebibytes(const Setup& setup, Security security) {
  Setup own = setup;
  own.channel = open_channel(setup.address, security);
  Consumer consumer(own, setup.normal_topic);
  Client producer(own.channel, unique("producer"));
  producer.open_producer({setup.normal_topic});
  pb::Message large = message(setup.normal_topic, std::string(4 << 20, 'x'));
  (*large.mutable_user_properties())["k"] = std::string(16383, 'v');
  producer.send(large);
  const std::vector<pb::Message> seen = collect(consumer.client, consumer.group, setup.normal_topic, 1, 20s);
  require(seen.size() == 1 && seen[0].body() == large.body(), "4 MiB and 16 KiB of properties arrive");
}

}  // namespace

std::vector<Test> message_tests(const Setup& setup) {
  return {
      {"the route is what clients need", [=] { route_is_what_clients_need(setup); }},
      {"settings are filled in", [=] { settings_are_filled_in(setup); }},
      {"messages arrive whole", [=] { messages_arrive_whole(setup); }},
      {"a batch has an entry per message", [=] { a_batch_has_an_entry_per_message(setup); }},
      {"frames, and an empty poll", [=] { frames_and_an_empty_poll(setup); }},
      {"a long poll is woken", [=] { a_long_poll_is_woken(setup); }},
      {"32 messages at most, none twice", [=] { at_most_32_and_none_twice(setup); }},
      {"an unacknowledged message comes again", [=] { unacknowledged_comes_again(setup); }},
      {"a message can be given back", [=] { changing_the_invisible_duration(setup); }},
      {"every group gets each message", [=] { every_group_gets_each_message(setup); }},
      {"tags are compared as text", [=] { tags_are_compared_as_text(setup); }},
      {"4 MiB over plaintext", [=] { four_mebibytes(setup, Security::plaintext); }},
      {"4 MiB over TLS", [=] { four_mebibytes(setup, Security::tls); }},
  };
}

}  // namespace judge
