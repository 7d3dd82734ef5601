#include "net/fake_server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <utility>

namespace mdp::net::test {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Cert = std::unique_ptr<X509, decltype(&X509_free)>;

Key make_key() { return {EVP_EC_gen("P-256"), &EVP_PKEY_free}; }

void add_extension(X509* cert, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  X509_add_ext(cert, extension, -1);
  X509_EXTENSION_free(extension);
}

// `issuer` and `issuer_key` of nullptr: self-signed. Days are relative to now.
Cert make_cert(const char* name, const char* alt_names, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key,
               bool ca, int from_day, int to_day) {
  static std::atomic<long> serial{1};
  Cert cert(X509_new(), &X509_free);
  X509_set_version(cert.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(cert.get()), serial++);
  X509_gmtime_adj(X509_getm_notBefore(cert.get()), from_day * 86'400L);
  X509_gmtime_adj(X509_getm_notAfter(cert.get()), to_day * 86'400L);
  X509_set_pubkey(cert.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(cert.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  X509* signer = issuer != nullptr ? issuer : cert.get();
  X509_set_issuer_name(cert.get(), X509_get_subject_name(signer));
  add_extension(cert.get(), signer, NID_basic_constraints, ca ? "critical,CA:TRUE" : "CA:FALSE");
  if (ca) add_extension(cert.get(), signer, NID_key_usage, "critical,keyCertSign,cRLSign");
  if (alt_names != nullptr) add_extension(cert.get(), signer, NID_subject_alt_name, alt_names);
  X509_sign(cert.get(), issuer_key != nullptr ? issuer_key : key, EVP_sha256());
  return cert;
}

void write_pem(const std::string& path, X509* cert, EVP_PKEY* key) {
  FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) throw std::runtime_error("cannot write " + path);
  PEM_write_X509(file, cert);
  if (key != nullptr) PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(file);
}

std::string websocket_accept(std::string_view key) {
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char hash[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), hash);
  unsigned char base64[64];
  const int bytes = EVP_EncodeBlock(base64, hash, sizeof hash);
  return {reinterpret_cast<char*>(base64), static_cast<std::size_t>(bytes)};
}

SSL* as_ssl(void* ssl) { return static_cast<SSL*>(ssl); }

}  // namespace

bool eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(
        std::chrono::microseconds(200));  // the pace of the polling, nothing relies on it
  }
  return true;
}

Certificates::Certificates() {
  std::string name = (std::filesystem::temp_directory_path() / "mdp-net-test-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr)
    throw std::runtime_error("cannot make a folder in the temporary directory");
  folder_ = name;
  constexpr const char* kLocal = "DNS:localhost,IP:127.0.0.1,IP:::1";
  const Key ca_key = make_key();
  const Cert ca = make_cert("mdp test CA", nullptr, ca_key.get(), nullptr, nullptr, true, -10, 10);
  write_pem(ca_file(), ca.get(), nullptr);
  const Key key = make_key();
  const auto signed_by_ca = [&](CertificateKind kind, const char* alt_names, int from_day, int to_day) {
    write_pem(
        server_file(kind),
        make_cert("mdp test", alt_names, key.get(), ca.get(), ca_key.get(), false, from_day, to_day).get(),
        key.get());
  };
  signed_by_ca(CertificateKind::Good, kLocal, -5, 5);
  signed_by_ca(CertificateKind::Expired, kLocal, -5, -1);
  signed_by_ca(CertificateKind::NotYetValid, kLocal, 1, 5);
  signed_by_ca(CertificateKind::WrongHost, "DNS:stream.example.com", -5, 5);
  write_pem(server_file(CertificateKind::SelfSigned),
            make_cert("mdp test", kLocal, key.get(), nullptr, nullptr, false, -5, 5).get(), key.get());
  const Key other_key = make_key();
  const Cert other = make_cert("some other CA", nullptr, other_key.get(), nullptr, nullptr, true, -10, 10);
  write_pem(server_file(CertificateKind::UnknownCa),
            make_cert("mdp test", kLocal, key.get(), other.get(), other_key.get(), false, -5, 5).get(),
            key.get());
}

Certificates::~Certificates() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::string Certificates::server_file(CertificateKind kind) const {
  return folder_ + "/server" + std::to_string(static_cast<int>(kind)) + ".pem";
}

const Certificates& Certificates::shared() {
  static const Certificates certificates;
  return certificates;
}

// ---------------------------------------------------------------- Connection

Connection::Connection(int socket, void* ssl_context, int index) : socket_(socket), index_(index) {
  const int on = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (ssl_context == nullptr) return;
  ssl_ = SSL_new(static_cast<SSL_CTX*>(ssl_context));
  SSL_set_fd(as_ssl(ssl_), socket_);
}

Connection::~Connection() {
  if (ssl_ != nullptr) SSL_free(as_ssl(ssl_));
  if (socket_ >= 0) ::close(socket_);
}

bool Connection::handshake() { return ssl_ == nullptr || SSL_accept(as_ssl(ssl_)) == 1; }

bool Connection::read_exactly(char* to, std::size_t bytes) {
  while (bytes > 0) {
    const int n = ssl_ != nullptr ? SSL_read(as_ssl(ssl_), to, static_cast<int>(bytes))
                                  : static_cast<int>(::recv(socket_, to, bytes, 0));
    if (n <= 0) return false;
    to += n;
    bytes -= static_cast<std::size_t>(n);
  }
  return true;
}

bool Connection::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t chunk = std::min<std::size_t>(bytes.size(), 1 << 20);
    const int n = ssl_ != nullptr ? SSL_write(as_ssl(ssl_), bytes.data(), static_cast<int>(chunk))
                                  : static_cast<int>(::send(socket_, bytes.data(), chunk, MSG_NOSIGNAL));
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::string Connection::read_request() {
  std::string head;
  char c = 0;
  while (!head.ends_with("\r\n\r\n")) {
    if (!read_exactly(&c, 1)) return {};
    head += c;
  }
  return head;
}

std::string Connection::read_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  return read_exactly(bytes.data(), count) ? bytes : std::string();
}

bool Connection::accept_websocket(std::string_view then) {
  if (!handshake()) return false;
  request = read_request();
  constexpr std::string_view kKey = "Sec-WebSocket-Key: ";
  const std::size_t at = request.find(kKey);
  if (at == std::string::npos) return false;
  const std::size_t start = at + kKey.size();
  const std::string key = request.substr(start, request.find("\r\n", start) - start);
  return write(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
      "Upgrade\r\nSec-WebSocket-Accept: " +
      websocket_accept(key) + "\r\n\r\n" + std::string(then));
}

bool Connection::send_frame(int opcode, std::string_view payload, bool fin) {
  return write(encode(opcode, payload, fin));
}

std::optional<Connection::Frame> Connection::read_frame() {
  unsigned char head[2];
  if (!read_exactly(reinterpret_cast<char*>(head), 2)) return std::nullopt;
  std::uint64_t bytes = head[1] & 0x7F;
  const int length_bytes = bytes == 126 ? 2 : bytes == 127 ? 8 : 0;
  if (length_bytes > 0) {
    unsigned char more[8];
    if (!read_exactly(reinterpret_cast<char*>(more), static_cast<std::size_t>(length_bytes)))
      return std::nullopt;
    bytes = 0;
    for (int i = 0; i < length_bytes; ++i) bytes = bytes << 8 | more[i];
  }
  char mask[4];
  if ((head[1] & 0x80) == 0 || !read_exactly(mask, 4)) return std::nullopt;  // a client must mask
  Frame frame{head[0] & 0x0F, std::string(bytes, '\0')};
  if (!read_exactly(frame.payload.data(), bytes)) return std::nullopt;
  for (std::size_t i = 0; i < bytes; ++i)
    frame.payload[i] = static_cast<char>(frame.payload[i] ^ mask[i % 4]);
  return frame;
}

void Connection::read_until_closed() {
  while (const auto frame = read_frame()) {
    if (frame->opcode == 9) send_frame(10, frame->payload);
    if (frame->opcode == 8) {
      send_frame(8, frame->payload);
      return;
    }
  }
}

void Connection::reset() {
  const linger now{1, 0};
  setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  if (ssl_ != nullptr) SSL_set_quiet_shutdown(as_ssl(ssl_), 1);
  const std::lock_guard lock(mutex_);
  ::close(std::exchange(socket_, -1));
}

void Connection::cut() { ::shutdown(socket_, SHUT_WR); }

void Connection::shut_down() {
  const std::lock_guard lock(mutex_);
  ::shutdown(socket_, SHUT_RDWR);
}

// ---------------------------------------------------------------- FakeServer

FakeServer::FakeServer(Script script, ServerOptions options) : script_(std::move(script)), options_(options) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes with write(2)
  if (options_.tls) {
    SSL_CTX* context = SSL_CTX_new(TLS_server_method());
    ssl_context_ = context;
    const std::string file = Certificates::shared().server_file(options_.certificate);
    if (SSL_CTX_use_certificate_chain_file(context, file.c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, file.c_str(), SSL_FILETYPE_PEM) != 1) {
      throw std::runtime_error("cannot use " + file);
    }
  }
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (options_.send_buffer_bytes > 0) {
    setsockopt(listener_, SOL_SOCKET, SO_SNDBUF, &options_.send_buffer_bytes, sizeof(int));
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  inet_pton(AF_INET, options_.address, &address.sin_addr);
  socklen_t size = sizeof address;
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 64) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("cannot listen on loopback");
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_loop(); });
}

void FakeServer::accept_loop() {
  while (true) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) return;
    const std::lock_guard lock(mutex_);
    if (stopping_) {
      ::close(socket);
      return;
    }
    connections_.push_back(std::make_unique<Connection>(socket, ssl_context_, accepted_++));
    threads_.emplace_back([this, connection = connections_.back().get()] {
      script_(*connection);
      connection->shut_down();
    });
  }
}

FakeServer::~FakeServer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    for (const auto& connection : connections_) connection->shut_down();
  }
  acceptor_.join();
  for (auto& thread : threads_) thread.join();
  connections_.clear();
  ::close(listener_);
  if (ssl_context_ != nullptr) SSL_CTX_free(static_cast<SSL_CTX*>(ssl_context_));
}

std::string FakeServer::url(std::string_view scheme, std::string_view host) const {
  return std::string(scheme) + "://" + std::string(host) + ":" + std::to_string(port_);
}

}  // namespace mdp::net::test
