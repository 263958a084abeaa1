#include "net/tls.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>

#include "base/assert.h"
#include "sys/wait.h"

namespace hf::net {

namespace {

template <auto Free>
struct Freer {
  void operator()(auto* p) const { Free(p); }
};
using SslPtr = std::unique_ptr<SSL, Freer<SSL_free>>;
using ContextPtr = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using CertificatePtr = std::unique_ptr<X509, Freer<X509_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>>;

constexpr std::size_t kRecordBytes = 16 << 10;  // RFC 8446 §5.1: the most that one record holds

/// What OpenSSL has to say about the call that just failed; empties its queue.
std::string last_error() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  if (code == 0) return "unknown reason";
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "error " + std::to_string(code);
}

std::string encode_alpn(const std::vector<std::string>& names) {
  std::string wire;
  for (const std::string& name : names) {
    HF_ASSERT(!name.empty() && name.size() < 256);
    wire += static_cast<char>(name.size());
    wire += name;
  }
  return wire;
}

class Context final : public TlsContext {
 public:
  Context(const SSL_METHOD* method, std::string alpn) : ctx_(SSL_CTX_new(method)), alpn_(std::move(alpn)) {
    HF_ASSERT(ctx_ != nullptr);
    SSL_CTX_set_min_proto_version(ctx_.get(), TLS1_2_VERSION);
    SSL_CTX_set_options(ctx_.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx_.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  }
  SSL_CTX* get() const { return ctx_.get(); }

  void choose_alpn_as_server() { SSL_CTX_set_alpn_select_cb(ctx_.get(), select_alpn, this); }

 private:
  static int select_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
                         unsigned int offered_size, void* self) {
    const std::string& ours = static_cast<const Context*>(self)->alpn_;
    unsigned char* chosen = nullptr;
    const int outcome = SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const unsigned char*>(ours.data()),
                                              static_cast<unsigned int>(ours.size()), offered, offered_size);
    if (outcome != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
  }

  ContextPtr ctx_;
  std::string alpn_;
};

void add_extension(X509* certificate, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  HF_ASSERT(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1);
}

CertificatePtr make_self_signed(EVP_PKEY* key) {
  constexpr long kYear = 365L * 24 * 3600;
  CertificatePtr certificate(X509_new());
  HF_ASSERT(certificate != nullptr);
  std::uint64_t serial = 0;
  HF_ASSERT(RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) == 1);
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), serial >> 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -24 * 3600);  // clocks differ
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 10 * kYear);
  X509_NAME* name = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), name);
  X509_set_pubkey(certificate.get(), key);
  add_extension(certificate.get(), NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1");
  HF_ASSERT(X509_sign(certificate.get(), key, EVP_sha256()) > 0);
  return certificate;
}

void use_self_signed(SSL_CTX* ctx) {
  const KeyPtr key(EVP_EC_gen("P-256"));
  HF_ASSERT(key != nullptr);
  const CertificatePtr certificate = make_self_signed(key.get());
  HF_ASSERT(SSL_CTX_use_certificate(ctx, certificate.get()) == 1);
  HF_ASSERT(SSL_CTX_use_PrivateKey(ctx, key.get()) == 1);
}

Error unusable(std::string_view what, const std::string& file) {
  return Error{Code::invalid, std::string(what) + " '" + file + "': " + last_error()};
}

/// The engine: OpenSSL between two memory buffers. The coroutines carry bytes between those and the lower stream.
class Engine final : public TlsStream {
 public:
  Engine(std::shared_ptr<const TlsContext> context, std::unique_ptr<ByteStream> lower, sys::Clock& clock)
      : context_(std::move(context)),
        lower_(std::move(lower)),
        ssl_(SSL_new(static_cast<const Context&>(*context_).get())),
        received_(BIO_new(BIO_s_mem())),
        to_send_(BIO_new(BIO_s_mem())),
        flushed_(clock) {
    HF_ASSERT(ssl_ != nullptr && received_ != nullptr && to_send_ != nullptr);
    SSL_set_bio(ssl_.get(), received_, to_send_);  // takes both
  }

  void accept(std::string_view first) {
    SSL_set_accept_state(ssl_.get());
    feed(as_bytes(first));
  }

  void connect(const std::string& host, const std::string& alpn) {
    SSL_set_connect_state(ssl_.get());
    X509_VERIFY_PARAM* rules = SSL_get0_param(ssl_.get());
    if (X509_VERIFY_PARAM_set1_ip_asc(rules, host.c_str()) != 1) {
      ERR_clear_error();
      SSL_set_hostflags(ssl_.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
      HF_ASSERT(SSL_set1_host(ssl_.get(), host.c_str()) == 1);
      SSL_set_tlsext_host_name(ssl_.get(), host.c_str());  // RFC 6066: names only, never addresses
    }
    if (alpn.empty()) return;
    const std::string wire = encode_alpn({alpn});
    SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(wire.data()),
                        static_cast<unsigned int>(wire.size()));
  }

  Task<> handshake() override {
    for (;;) {
      ERR_clear_error();
      const int outcome = SSL_do_handshake(ssl_.get());
      const int reason = SSL_get_error(ssl_.get(), outcome);
      const std::string why = reason == SSL_ERROR_SSL ? handshake_failure() : std::string();
      Result<void> sent = co_await flush();  // the alert too, if it failed
      if (outcome == 1 && sent) break;
      if (reason == SSL_ERROR_SSL) co_return Error{Code::unavailable, "TLS handshake: " + why};
      if (!sent) co_return Error(std::move(sent).error());
      HF_CO_TRY(const std::size_t n, co_await receive());
      if (n == 0) co_return Error{Code::unavailable, "TLS handshake: the other end closed the connection"};
    }
    const unsigned char* name = nullptr;
    unsigned int size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &name, &size);
    if (size > 0) alpn_.assign(reinterpret_cast<const char*>(name), size);
    co_return ok();
  }

  Task<std::size_t> read_some(MutableBytes into) override {
    for (;;) {
      if (auto now = take_plain(into)) co_return std::move(*now);
      HF_CO_TRY(const std::size_t n, co_await receive());
      if (n == 0) co_return Error{Code::unavailable, "TLS: the connection was cut off"};  // no close_notify: truncation
      if (BIO_ctrl_pending(to_send_) > 0) HF_CO_TRY(co_await flush());                    // the answer to a key update
    }
  }

  std::optional<Result<std::size_t>> try_read(MutableBytes into) override {
    std::array<std::uint8_t, kRecordBytes> buffer;
    for (;;) {
      if (auto now = take_plain(into)) return now;
      const std::optional<Result<std::size_t>> arrived = lower_->try_read(buffer);
      if (!arrived || !*arrived || **arrived == 0) return arrived;
      feed(Bytes(buffer).first(**arrived));
    }
  }

  Task<> write_all(Bytes bytes) override {
    while (!bytes.empty()) {
      const Bytes piece = bytes.first(std::min(bytes.size(), 4 * kRecordBytes));
      if (closed_) co_return Error{Code::unavailable, "TLS: the connection is closed"};
      ERR_clear_error();
      const int n = SSL_write(ssl_.get(), piece.data(), static_cast<int>(piece.size()));
      if (n <= 0) co_return Error{Code::unavailable, "TLS write: " + last_error()};  // memory buffers never say "later"
      bytes = bytes.subspan(static_cast<std::size_t>(n));
      HF_CO_TRY(co_await flush());
    }
    co_return ok();
  }

  Task<> finish_writing() override {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());  // queues our close_notify; whether theirs came is the reader's business
    HF_CO_TRY(co_await flush());
    co_return co_await lower_->finish_writing();
  }

  void close() override {
    closed_ = true;
    lower_->close();
  }

  const std::string& peer() const override { return lower_->peer(); }
  const std::string& local() const override { return lower_->local(); }
  bool secure() const override { return true; }
  const std::string& alpn() const override { return alpn_; }

 private:
  void feed(Bytes bytes) {
    if (bytes.empty()) return;
    HF_ASSERT(BIO_write(received_, bytes.data(), static_cast<int>(bytes.size())) == static_cast<int>(bytes.size()));
  }

  /// Decrypted bytes that are there already. nullopt: more must be received first.
  std::optional<Result<std::size_t>> take_plain(MutableBytes into) {
    if (closed_) return Error{Code::unavailable, "TLS: the connection is closed"};
    ERR_clear_error();
    const int n = SSL_read(ssl_.get(), into.data(), static_cast<int>(std::min<std::size_t>(into.size(), 1 << 30)));
    if (n > 0) return static_cast<std::size_t>(n);
    switch (SSL_get_error(ssl_.get(), n)) {
      case SSL_ERROR_WANT_READ:
        return std::nullopt;
      case SSL_ERROR_ZERO_RETURN:
        return std::size_t{0};
      default:
        return Error{Code::unavailable, "TLS read: " + last_error()};
    }
  }

  Task<std::size_t> receive() {
    if (incoming_.empty()) incoming_.resize(kRecordBytes);
    HF_CO_TRY(const std::size_t n, co_await lower_->read_some(MutableBytes(incoming_)));
    feed(Bytes(incoming_).first(n));
    co_return n;
  }

  /// Sends what OpenSSL wants sent. Reader and writer may both come here: one carries, the other waits until it is
  /// done.
  Task<> flush() {
    while (flushing_) co_await flushed_.wait();
    flushing_ = true;
    Result<void> outcome = ok();
    while (outcome && BIO_ctrl_pending(to_send_) > 0) {
      outgoing_.resize(BIO_ctrl_pending(to_send_));
      HF_ASSERT(BIO_read(to_send_, outgoing_.data(), static_cast<int>(outgoing_.size())) ==
                static_cast<int>(outgoing_.size()));
      outcome = co_await lower_->write_all(Bytes(outgoing_));
    }
    flushing_ = false;
    flushed_.notify_all();
    co_return outcome;
  }

  std::string handshake_failure() const {
    const long verdict = SSL_get_verify_result(ssl_.get());
    if (verdict != X509_V_OK) {
      ERR_clear_error();
      return std::string("certificate refused: ") + X509_verify_cert_error_string(verdict);
    }
    return last_error();
  }

  std::shared_ptr<const TlsContext> context_;
  std::unique_ptr<ByteStream> lower_;
  SslPtr ssl_;
  BIO* received_;  // owned by ssl_
  BIO* to_send_;   // owned by ssl_
  sys::Event flushed_;
  std::vector<std::uint8_t> incoming_, outgoing_;
  std::string alpn_;
  bool flushing_ = false;
  bool closed_ = false;
};

}  // namespace

Result<std::shared_ptr<const TlsContext>> TlsContext::server(const TlsServerConfig& config,
                                                             std::vector<std::string> alpn) {
  auto context = std::make_shared<Context>(TLS_server_method(), encode_alpn(alpn));
  context->choose_alpn_as_server();
  ERR_clear_error();
  if (config.certificate_file.empty() && config.key_file.empty()) {
    use_self_signed(context->get());
    return context;
  }
  if (SSL_CTX_use_certificate_chain_file(context->get(), config.certificate_file.c_str()) != 1) {
    return unusable("TLS certificate", config.certificate_file);
  }
  if (SSL_CTX_use_PrivateKey_file(context->get(), config.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return unusable("TLS key", config.key_file);
  }
  return context;
}

Result<std::shared_ptr<const TlsContext>> TlsContext::client(const TlsClientConfig& config) {
  auto context = std::make_shared<Context>(TLS_client_method(), std::string());
  ERR_clear_error();
  SSL_CTX_set_verify(context->get(), config.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (!config.verify) return context;  // reading the system's authorities takes some 30 ms
  if (config.ca_file.empty()) {
    SSL_CTX_set_default_verify_paths(context->get());
  } else if (SSL_CTX_load_verify_locations(context->get(), config.ca_file.c_str(), nullptr) != 1) {
    return unusable("TLS certificate authorities", config.ca_file);
  }
  return context;
}

std::unique_ptr<TlsStream> make_tls_server(std::shared_ptr<const TlsContext> context, std::unique_ptr<ByteStream> lower,
                                           std::string first, sys::Clock& clock) {
  auto engine = std::make_unique<Engine>(std::move(context), std::move(lower), clock);
  engine->accept(first);
  return engine;
}

std::unique_ptr<TlsStream> make_tls_client(std::shared_ptr<const TlsContext> context, std::unique_ptr<ByteStream> lower,
                                           const std::string& host, const std::string& alpn, sys::Clock& clock) {
  auto engine = std::make_unique<Engine>(std::move(context), std::move(lower), clock);
  engine->connect(host, alpn);
  return engine;
}

}  // namespace hf::net
