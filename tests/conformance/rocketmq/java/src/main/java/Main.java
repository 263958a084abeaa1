import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.apis.ClientConfiguration;
import org.apache.rocketmq.client.apis.ClientException;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.consumer.ConsumeResult;
import org.apache.rocketmq.client.apis.consumer.FilterExpression;
import org.apache.rocketmq.client.apis.consumer.FilterExpressionType;
import org.apache.rocketmq.client.apis.consumer.PushConsumer;
import org.apache.rocketmq.client.apis.consumer.SimpleConsumer;
import org.apache.rocketmq.client.apis.message.Message;
import org.apache.rocketmq.client.apis.message.MessageBuilder;
import org.apache.rocketmq.client.apis.message.MessageView;
import org.apache.rocketmq.client.apis.producer.Producer;
import org.apache.rocketmq.client.apis.producer.SendReceipt;
import org.apache.rocketmq.client.apis.producer.Transaction;
import org.apache.rocketmq.client.apis.producer.TransactionResolution;

/**
 * The official RocketMQ 5 client for Java, with its defaults (TLS), against a broker.
 *
 * <pre>
 * java -jar conformance.jar ADDRESS                    prints PASS/FAIL lines, the sum last; exit 1 if anything failed
 * java -jar conformance.jar orphan ADDRESS TOPIC KEY   sends one half message, prints "HALF KEY", waits to be killed
 * </pre>
 */
public final class Main {
    private static final String RUN = UUID.randomUUID().toString().substring(0, 8);
    private static final String NORMAL_TOPIC = topic("NORMAL_TOPIC", "conf-java-normal-" + RUN);
    private static final String TRANSACTION_TOPIC = topic("TRANSACTION_TOPIC", "conf-java-tx-" + RUN);
    private static final ClientServiceProvider PROVIDER = ClientServiceProvider.loadService();

    /** What the checker of this process answers, by key; and the keys it was asked about. */
    private static final Map<String, TransactionResolution> DECISIONS = new ConcurrentHashMap<>();
    private static final Set<String> CHECKED = ConcurrentHashMap.newKeySet();

    private final String address;
    private final ClientConfiguration configuration;
    private Producer producer;

    private interface Test {
        void run() throws Exception;
    }

    private Main(String address) {
        this.address = address;
        this.configuration = ClientConfiguration.newBuilder()
                .setEndpoints(address)
                .setRequestTimeout(Duration.ofSeconds(5))
                .build();
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments.length == 4 && arguments[0].equals("orphan")) {
            new Main(arguments[1]).orphan(arguments[2], arguments[3]);
            return;
        }
        if (arguments.length != 1) {
            System.err.println("usage: java -jar conformance.jar ADDRESS");
            System.exit(2);
        }
        int failed = 1;
        try {
            failed = new Main(arguments[0]).runAll();
        } catch (Throwable problem) {
            System.out.println("FAIL java: start: " + oneLine(problem));
            System.out.println("0 passed, 1 failed");
        }
        System.exit(failed == 0 ? 0 : 1);
    }

    private int runAll() throws Exception {
        producer = newProducer(NORMAL_TOPIC, TRANSACTION_TOPIC);
        Map<String, Test> tests = new LinkedHashMap<>();
        tests.put("normal messages arrive whole, once", this::normalMessages);
        tests.put("tags filter", this::tagsFilter);
        tests.put("an unacknowledged message comes again", this::comesAgain);
        tests.put("a message can be given back", this::givenBack);
        tests.put("a push consumer acknowledges what succeeds and repeats what fails", this::pushConsumer);
        tests.put("a half message is invisible until it is committed", this::commit);
        tests.put("a rolled back message is never seen", this::rollback);
        tests.put("a check-back of a killed producer is answered by another", this::checkBack);
        tests.put("bad input is refused by name", this::badInput);
        int passed = 0;
        int failed = 0;
        String only = System.getenv().getOrDefault("ONLY", "");
        for (Map.Entry<String, Test> test : tests.entrySet()) {
            if (!test.getKey().contains(only)) {
                continue;
            }
            try {
                test.getValue().run();
                passed++;
                System.out.println("PASS java: " + test.getKey());
            } catch (Throwable problem) {
                failed++;
                System.out.println("FAIL java: " + test.getKey() + ": " + oneLine(problem));
            }
        }
        producer.close();
        System.out.println(passed + " passed, " + failed + " failed");
        return failed + (passed == 0 ? 1 : 0);
    }

    private void normalMessages() throws Exception {
        try (SimpleConsumer consumer = newConsumer(NORMAL_TOPIC, "*")) {
            Map<String, Integer> sent = new HashMap<>();
            for (int i = 0; i < 20; i++) {
                Message message = message(NORMAL_TOPIC, "number " + i + " 🚀")
                        .setTag(i % 2 == 0 ? "even" : "odd")
                        .setKeys("key-" + i, "run-" + RUN)
                        .addProperty("number", String.valueOf(i))
                        .addProperty("text", "订单 🚀")
                        .build();
                sent.put(producer.send(message).getMessageId().toString(), i);
            }
            List<MessageView> seen = collect(consumer, 20, 30);
            Set<String> ids = new HashSet<>();
            for (MessageView view : seen) {
                String id = view.getMessageId().toString();
                ids.add(id);
                int i = sent.get(id);
                same("number " + i + " 🚀", body(view));
                same(Optional.of(i % 2 == 0 ? "even" : "odd"), view.getTag());
                same(Set.of("key-" + i, "run-" + RUN), new HashSet<>(view.getKeys()));
                same(Map.of("number", String.valueOf(i), "text", "订单 🚀"), view.getProperties());
                same(1, view.getDeliveryAttempt());
            }
            same(20, ids.size());
            same(0, consumer.receive(16, Duration.ofSeconds(15)).size());
        }
    }

    private void tagsFilter() throws Exception {
        try (SimpleConsumer consumer = newConsumer(NORMAL_TOPIC, "red || blue")) {
            for (String tag : List.of("red", "green", "Red", "blue")) {
                producer.send(message(NORMAL_TOPIC, tag).setTag(tag).build());
            }
            producer.send(message(NORMAL_TOPIC, "no tag").build());
            List<String> tags = new ArrayList<>();
            for (MessageView view : collect(consumer, 3, 8)) {
                tags.add(view.getTag().orElse(""));
            }
            Collections.sort(tags);
            same(List.of("blue", "red"), tags);
        }
    }

    private void comesAgain() throws Exception {
        try (SimpleConsumer consumer = newConsumer(NORMAL_TOPIC, "*")) {
            SendReceipt receipt = producer.send(message(NORMAL_TOPIC, "again").build());
            MessageView first = one(consumer, Duration.ofSeconds(10));
            same(receipt.getMessageId().toString(), first.getMessageId().toString());
            Thread.sleep(10_500);
            refused("INVALID_RECEIPT_HANDLE|receipt", () -> consumer.ack(first));
            List<MessageView> second = collect(consumer, 1, 30);
            same(receipt.getMessageId().toString(), second.get(0).getMessageId().toString());
            same(2, second.get(0).getDeliveryAttempt());
        }
    }

    private void givenBack() throws Exception {
        try (SimpleConsumer consumer = newConsumer(NORMAL_TOPIC, "*")) {
            SendReceipt receipt = producer.send(message(NORMAL_TOPIC, "give back").build());
            MessageView first = one(consumer, Duration.ofSeconds(60));
            consumer.changeInvisibleDuration(first, Duration.ofSeconds(1));
            List<MessageView> second = collect(consumer, 1, 20);
            same(receipt.getMessageId().toString(), second.get(0).getMessageId().toString());
        }
    }

    private void pushConsumer() throws Exception {
        Map<String, AtomicInteger> attempts = new ConcurrentHashMap<>();
        PushConsumer consumer = PROVIDER.newPushConsumerBuilder()
                .setClientConfiguration(configuration)
                .setConsumerGroup("conf-java-push-" + RUN)
                .setSubscriptionExpressions(Map.of(NORMAL_TOPIC, new FilterExpression("push", FilterExpressionType.TAG)))
                .setMessageListener(view -> {
                    String key = view.getKeys().iterator().next();
                    int n = attempts.computeIfAbsent(key, k -> new AtomicInteger()).incrementAndGet();
                    return key.equals("fails-once") && n == 1 ? ConsumeResult.FAILURE : ConsumeResult.SUCCESS;
                })
                .build();
        try {
            // After its first assignment scan its group exists everywhere: it hears what is sent from then on.
            for (int i = 0; i < 120 && !attempts.containsKey("probe"); i++) {
                producer.send(message(NORMAL_TOPIC, "probe").setTag("push").setKeys("probe").build());
                Thread.sleep(500);
            }
            for (String key : List.of("good", "fails-once")) {
                producer.send(message(NORMAL_TOPIC, key).setTag("push").setKeys(key).build());
            }
            eventually(30, () -> attempts.containsKey("fails-once") && attempts.get("fails-once").get() == 2);
            same(1, attempts.get("good").get());
        } finally {
            consumer.close();
        }
    }

    private void commit() throws Exception {
        try (SimpleConsumer consumer = newConsumer(TRANSACTION_TOPIC, "*")) {
            Transaction transaction = producer.beginTransaction();
            SendReceipt receipt = producer.send(message(TRANSACTION_TOPIC, "commit me").build(), transaction);
            same(0, consumer.receive(16, Duration.ofSeconds(15)).size());
            transaction.commit();
            List<MessageView> seen = collect(consumer, 1, 15);
            same(1, seen.size());
            same(receipt.getMessageId().toString(), seen.get(0).getMessageId().toString());
            same("commit me", body(seen.get(0)));
        }
    }

    private void rollback() throws Exception {
        try (SimpleConsumer consumer = newConsumer(TRANSACTION_TOPIC, "*")) {
            Transaction transaction = producer.beginTransaction();
            producer.send(message(TRANSACTION_TOPIC, "never").setKeys("never").build(), transaction);
            transaction.rollback();
            same(0, collect(consumer, 1, 6).size());
        }
    }

    private void checkBack() throws Exception {
        try (SimpleConsumer consumer = newConsumer(TRANSACTION_TOPIC, "*")) {
            String commit = "orphan-commit-" + RUN;
            String rollback = "orphan-rollback-" + RUN;
            DECISIONS.put(commit, TransactionResolution.COMMIT);
            DECISIONS.put(rollback, TransactionResolution.ROLLBACK);
            leaveOrphan(commit);
            leaveOrphan(rollback);
            List<MessageView> seen = collect(consumer, 1, 90);
            same(1, seen.size());
            same(List.of(commit), List.copyOf(seen.get(0).getKeys()));
            eventually(40, () -> CHECKED.contains(rollback));
            same(0, collect(consumer, 1, 6).size());
        }
    }

    private void badInput() throws Exception {
        refused("vertical|ILLEGAL_MESSAGE_TAG|tag", () -> message(NORMAL_TOPIC, "x").setTag("a|b").build());
        refused("PROPERTY_KEY|reserved|40007",
                () -> producer.send(message(NORMAL_TOPIC, "x").addProperty("UNIQ_KEY", "x").build()));
        byte[] large = new byte[4 * 1024 * 1024 + 1];
        refused("TOO_LARGE|exceeds|41301|size", () -> producer.send(
                PROVIDER.newMessageBuilder().setTopic(NORMAL_TOPIC).setBody(large).build()));
    }

    /** The other side of checkBack(): a process of its own. */
    private void orphan(String topic, String key) throws Exception {
        Producer sender = newProducer(topic);
        Transaction transaction = sender.beginTransaction();
        sender.send(message(topic, key).setKeys(key).build(), transaction);
        System.out.println("HALF " + key);
        Thread.sleep(TimeUnit.MINUTES.toMillis(10));
    }

    private void leaveOrphan(String key) throws Exception {
        Process process = new ProcessBuilder(
                        ProcessHandle.current().info().command().orElse("java"),
                        "-cp", System.getProperty("java.class.path"),
                        "-Drocketmq.log.root=" + System.getProperty("rocketmq.log.root", "/tmp"),
                        "Main", "orphan", address, TRANSACTION_TOPIC, key)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        BufferedReader lines = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
        String line = lines.readLine();
        while (line != null && !line.equals("HALF " + key)) {
            line = lines.readLine();
        }
        same("HALF " + key, line);
        process.destroyForcibly().waitFor();
    }

    private Producer newProducer(String... topics) throws ClientException {
        return PROVIDER.newProducerBuilder()
                .setClientConfiguration(configuration)
                .setTopics(topics)
                .setTransactionChecker(view -> {
                    String key = view.getKeys().isEmpty() ? "" : view.getKeys().iterator().next();
                    CHECKED.add(key);
                    return DECISIONS.getOrDefault(key, TransactionResolution.UNKNOWN);
                })
                .build();
    }

    private SimpleConsumer newConsumer(String topic, String tags) throws ClientException {
        SimpleConsumer consumer = PROVIDER.newSimpleConsumerBuilder()
                .setClientConfiguration(configuration)
                .setConsumerGroup("conf-java-" + UUID.randomUUID().toString().substring(0, 8))
                .setAwaitDuration(Duration.ofSeconds(5))
                .setSubscriptionExpressions(Map.of(topic, new FilterExpression(tags, FilterExpressionType.TAG)))
                .build();
        consumer.receive(1, Duration.ofSeconds(10)); // a new group sees what is sent after its first receive
        return consumer;
    }

    /** Receives and acknowledges until {@code wanted} messages came or {@code seconds} passed. */
    private static List<MessageView> collect(SimpleConsumer consumer, int wanted, int seconds) throws ClientException {
        List<MessageView> seen = new ArrayList<>();
        Instant end = Instant.now().plusSeconds(seconds);
        while (seen.size() < wanted && Instant.now().isBefore(end)) {
            for (MessageView view : consumer.receive(16, Duration.ofSeconds(15))) {
                seen.add(view);
                consumer.ack(view);
            }
        }
        return seen;
    }

    private static MessageView one(SimpleConsumer consumer, Duration invisible) throws ClientException {
        for (int i = 0; i < 5; i++) {
            Collection<MessageView> views = consumer.receive(1, invisible);
            if (!views.isEmpty()) {
                return views.iterator().next();
            }
        }
        throw new AssertionError("no message came");
    }

    private static MessageBuilder message(String topic, String body) {
        return PROVIDER.newMessageBuilder().setTopic(topic).setBody(body.getBytes(StandardCharsets.UTF_8));
    }

    private static String body(MessageView view) {
        ByteBuffer buffer = view.getBody();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        return new String(bytes, StandardCharsets.UTF_8);
    }

    private static void same(Object wanted, Object got) {
        if (!wanted.equals(got)) {
            throw new AssertionError("wanted " + wanted + ", got " + got);
        }
    }

    private static void refused(String why, Test call) throws Exception {
        try {
            call.run();
        } catch (Throwable problem) {
            String text = oneLine(problem);
            if (!text.matches("(?is).*(" + why + ").*")) {
                throw new AssertionError("refused, but not because of " + why + ": " + text);
            }
            return;
        }
        throw new AssertionError("accepted what should be refused: " + why);
    }

    private static void eventually(int seconds, java.util.function.BooleanSupplier condition) throws Exception {
        for (int i = 0; i < seconds * 10; i++) {
            if (condition.getAsBoolean()) {
                return;
            }
            Thread.sleep(100);
        }
        throw new AssertionError("it did not happen within " + seconds + " s");
    }

    private static String oneLine(Throwable problem) {
        String text = String.valueOf(problem).replace('\n', ' ');
        return text.substring(0, Math.min(500, text.length()));
    }

    private static String topic(String variable, String fallback) {
        return System.getenv().getOrDefault(variable, fallback);
    }
}
