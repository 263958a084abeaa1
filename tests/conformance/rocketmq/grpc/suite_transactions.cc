#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <iostream>
#include <thread>

#include "conformance/rocketmq/grpc/client.h"

namespace judge {
namespace {

struct Consumer {
  explicit Consumer(const Setup& setup)
      : client(setup.channel, unique("consumer")), group(unique("conf-grpc")), topic(setup.transaction_topic) {
    require_code(client.route(topic).status(), pb::OK, "QueryRoute");
    client.open_consumer(group, topic);
    (void)client.receive(group, topic, 1, 10s, 5s);
  }
  std::vector<pb::Message> collect(std::size_t wanted, Seconds limit) {
    return judge::collect(client, group, topic, wanted, limit);
  }
  Client client;
  std::string group, topic;
};

struct Producer : Client {
  explicit Producer(const Setup& setup) : Client(setup.channel, unique("producer")), topic(setup.transaction_topic) {
    open_producer({topic});
  }
  pb::SendResultEntry half(const std::string& key) {
    pb::Message one = message(topic, key, pb::TRANSACTION);
    one.mutable_system_properties()->add_keys(key);
    (*one.mutable_user_properties())["key"] = key;
    const pb::SendResultEntry entry = send(one);
    require(!entry.transaction_id().empty(), "a transaction id");
    return entry;
  }
  std::string topic;
};

void commit(const Setup& setup) {
  Consumer consumer(setup);
  Producer producer(setup);
  const pb::SendResultEntry half = producer.half("commit");
  require(consumer.collect(1, 5s).empty(), "a half message is invisible");
  require_code(producer.end_transaction(producer.topic, half, pb::COMMIT), pb::OK, "commit");
  const auto start = std::chrono::steady_clock::now();
  const std::vector<pb::Message> seen = consumer.collect(1, 20s);
  require(seen.size() == 1 && seen[0].system_properties().message_id() == half.message_id(),
          "committed, it is delivered");
  require(seen[0].system_properties().message_type() == pb::NORMAL, "as a normal message");
  require(std::chrono::steady_clock::now() - start < 15s, "at once");
}

void rollback(const Setup& setup) {
  Consumer consumer(setup);
  Producer producer(setup);
  require_code(producer.end_transaction(producer.topic, producer.half("rollback"), pb::ROLLBACK), pb::OK, "rollback");
  require(consumer.collect(1, 6s).empty(), "never delivered");
}

void the_first_decision_stands(const Setup& setup) {
  Consumer consumer(setup);
  Producer producer(setup);
  const pb::SendResultEntry committed = producer.half("committed"), rolled_back = producer.half("rolled back");
  require_code(producer.end_transaction(producer.topic, committed, pb::TRANSACTION_RESOLUTION_UNSPECIFIED), pb::OK,
               "unknown is taken");
  require_code(producer.end_transaction(producer.topic, committed, pb::COMMIT), pb::OK, "commit");
  require_code(producer.end_transaction(producer.topic, committed, pb::COMMIT), pb::OK, "the same again");
  require(producer.end_transaction(producer.topic, committed, pb::ROLLBACK).code() != pb::OK,
          "rollback after commit is refused");
  require_code(producer.end_transaction(producer.topic, rolled_back, pb::ROLLBACK), pb::OK, "rollback");
  require(producer.end_transaction(producer.topic, rolled_back, pb::COMMIT).code() != pb::OK,
          "commit after rollback is refused");
  const std::vector<pb::Message> seen = consumer.collect(2, 8s);
  require(seen.size() == 1 && seen[0].body() == "committed", "delivered once, and only it");
}

void bad_decisions(const Setup& setup) {
  Producer producer(setup);
  pb::SendResultEntry nothing;
  nothing.set_message_id("01");
  require_code(producer.end_transaction(producer.topic, nothing, pb::COMMIT), pb::INVALID_TRANSACTION_ID,
               "no transaction id");
  nothing.set_transaction_id("garbage");
  require(producer.end_transaction(producer.topic, nothing, pb::COMMIT).code() != pb::OK, "a transaction nobody knows");
  pb::SendResultEntry half = producer.half("wrong topic");
  require(producer.end_transaction("x y", half, pb::COMMIT).code() == pb::ILLEGAL_TOPIC, "an illegal topic");
  require_code(producer.end_transaction(producer.topic, half, pb::ROLLBACK), pb::OK, "the half message is still there");
}

/// Waits for the check-back of `key`. Reads until the stream gives it: bounded by `limit`.
pb::RecoverOrphanedTransactionCommand await_check(Client& client, const std::string& key, Seconds limit) {
  std::atomic<bool> done = false;
  std::thread watchdog([&] {
    for (auto waited = 0ms; !done && waited < limit; waited += 100ms) std::this_thread::sleep_for(100ms);
    if (!done) client.cancel_telemetry();
  });
  std::optional<pb::RecoverOrphanedTransactionCommand> found;
  while (!found) {
    const std::optional<pb::TelemetryCommand> command = client.next_command();
    if (!command) break;
    const auto& recover = command->recover_orphaned_transaction_command();
    const auto& keys = recover.message().system_properties().keys();
    if (!keys.empty() && keys.Get(0) == key) found = recover;
  }
  done = true;
  watchdog.join();
  require(found.has_value(), "a check-back of " + key + " within " + std::to_string(limit.count()) + " s");
  return *found;
}

void check_back(const Setup& setup) {
  Consumer consumer(setup);
  Producer producer(setup);
  const std::string key = unique("check");
  const pb::SendResultEntry half = producer.half(key);
  const pb::RecoverOrphanedTransactionCommand check = await_check(producer, key, 40s);
  require(check.transaction_id() == half.transaction_id(), "the transaction id");
  const pb::Message& asked = check.message();
  require(asked.body() == key && asked.topic().name() == producer.topic, "the whole half message");
  require(asked.user_properties().at("key") == key, "its properties");
  require(asked.system_properties().message_type() == pb::TRANSACTION, "its type");
  require(!asked.system_properties().body_digest().checksum().empty(), "its digest");
  require_code(producer.end_transaction(producer.topic, half, pb::COMMIT, pb::SOURCE_SERVER_CHECK), pb::OK,
               "the answer");
  require(consumer.collect(1, 10s).size() == 1, "committed");
}

/// A process of its own leaves a half message behind: killed with SIGKILL before it decides.
void leave_orphan(const Setup& setup, const std::string& key) {
  int out[2];
  require(::pipe(out) == 0, "pipe");
  const pid_t child = ::fork();
  require(child >= 0, "fork");
  if (child == 0) {
    ::dup2(out[1], STDOUT_FILENO);
    ::close(out[0]);
    ::execl("/proc/self/exe", setup.program.c_str(), "orphan", setup.address.c_str(), setup.transaction_topic.c_str(),
            key.c_str(), nullptr);
    ::_exit(127);
  }
  ::close(out[1]);
  std::string text;
  for (char c; text.find("HALF " + key) == std::string::npos && ::read(out[0], &c, 1) == 1;) text += c;
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  ::close(out[0]);
  require(text.find("HALF " + key) != std::string::npos && WIFSIGNALED(status), "the orphan was left behind");
}

void a_killed_producer(const Setup& setup) {
  Consumer consumer(setup);
  const std::string commit_key = unique("orphan-commit"), rollback_key = unique("orphan-rollback");
  leave_orphan(setup, commit_key);
  leave_orphan(setup, rollback_key);
  Producer heir(setup);
  for (const auto& [key, resolution] : {std::pair(commit_key, pb::COMMIT), std::pair(rollback_key, pb::ROLLBACK)}) {
    const pb::RecoverOrphanedTransactionCommand check = await_check(heir, key, 90s);
    pb::SendResultEntry half;
    half.set_message_id(check.message().system_properties().message_id());
    half.set_transaction_id(check.transaction_id());
    require_code(heir.end_transaction(heir.topic, half, resolution, pb::SOURCE_SERVER_CHECK), pb::OK, "the answer");
  }
  const std::vector<pb::Message> seen = consumer.collect(2, 8s);
  require(seen.size() == 1 && seen[0].body() == commit_key, "the one was delivered, the other never");
}

}  // namespace

int be_an_orphan(const Setup& setup, const std::string& topic, const std::string& key) {
  Client client(setup.channel, unique("orphan"));
  client.open_producer({topic});
  pb::Message one = message(topic, key, pb::TRANSACTION);
  one.mutable_system_properties()->add_keys(key);
  client.send(one);
  std::cout << "HALF " << key << std::endl;
  for (;;) ::pause();
}

std::vector<Test> transaction_tests(const Setup& setup) {
  return {
      {"a half message is invisible until it is committed", [=] { commit(setup); }},
      {"a rolled back message is never seen", [=] { rollback(setup); }},
      {"the first decision stands", [=] { the_first_decision_stands(setup); }},
      {"bad decisions are refused", [=] { bad_decisions(setup); }},
      {"a check-back names the whole message", [=] { check_back(setup); }},
      {"a check-back of a killed producer is answered by another", [=] { a_killed_producer(setup); }},
  };
}

}  // namespace judge
