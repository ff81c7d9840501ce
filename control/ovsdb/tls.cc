// SPDX-License-Identifier: Apache-2.0
#include "control/ovsdb/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <array>

namespace sluice::ovsdb {

namespace {

std::string last_error() {
    const unsigned long code = ERR_peek_last_error();
    ERR_clear_error();
    if (code == 0) {
        return "unknown error";
    }
    const char* const reason = ERR_reason_error_string(code);
    if (reason != nullptr) {
        return reason;
    }
    std::array<char, 256> buffer{};
    ERR_error_string_n(code, buffer.data(), buffer.size());
    return buffer.data();
}

struct ContextFree {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using Context = std::unique_ptr<SSL_CTX, ContextFree>;

Result<void> load_files(SSL_CTX* context, const TlsFiles& files) {
    if (SSL_CTX_load_verify_locations(context, files.ca_cert.c_str(), nullptr) != 1) {
        return Error{"cannot use CA certificate file " + files.ca_cert + ": " + last_error()};
    }
    if (SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1) {
        return Error{"cannot use certificate file " + files.certificate + ": " + last_error()};
    }
    if (SSL_CTX_use_PrivateKey_file(context, files.private_key.c_str(), SSL_FILETYPE_PEM) != 1) {
        return Error{"cannot use private key file " + files.private_key + ": " + last_error()};
    }
    if (SSL_CTX_check_private_key(context) != 1) {
        return Error{"private key " + files.private_key + " does not belong to certificate " +
                     files.certificate};
    }
    return {};
}

}  // namespace

struct Tls::Handles {
    SSL* ssl = nullptr;
    BIO* in = nullptr;   // owned by ssl
    BIO* out = nullptr;  // owned by ssl
    ~Handles() { SSL_free(ssl); }
};

Tls::Tls() : handles_(std::make_unique<Handles>()) {}
Tls::~Tls() = default;

Result<std::unique_ptr<Tls>> Tls::connect(const TlsFiles& files) {
    ERR_clear_error();
    const Context context(SSL_CTX_new(TLS_client_method()));
    if (context == nullptr) {
        return Error{"cannot set up TLS: " + last_error()};
    }
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    const Result<void> loaded = load_files(context.get(), files);
    if (!loaded) {
        return loaded.error();
    }
    std::unique_ptr<Tls> tls(new Tls());
    tls->ca_cert_ = files.ca_cert;
    Handles& handles = *tls->handles_;
    handles.ssl = SSL_new(context.get());
    BIO* const in = BIO_new(BIO_s_mem());
    BIO* const out = BIO_new(BIO_s_mem());
    if (handles.ssl == nullptr || in == nullptr || out == nullptr) {
        BIO_free(in);
        BIO_free(out);
        return Error{"cannot set up TLS: " + last_error()};
    }
    SSL_set_bio(handles.ssl, in, out);
    handles.in = in;
    handles.out = out;
    SSL_set_connect_state(handles.ssl);
    const Result<void> begun = tls->handshake();
    if (!begun) {
        return begun.error();
    }
    return tls;
}

Error Tls::failure(const char* doing) const {
    const long verdict = SSL_get_verify_result(handles_->ssl);
    if (verdict != X509_V_OK) {
        ERR_clear_error();
        return Error{std::string("the server's certificate is refused: ") +
                     X509_verify_cert_error_string(verdict) + " (it must be signed by the CA in " +
                     ca_cert_ + ")"};
    }
    return Error{std::string(doing) + ": " + last_error()};
}

Result<void> Tls::handshake() {
    ERR_clear_error();
    const int result = SSL_do_handshake(handles_->ssl);
    if (result == 1) {
        established_ = true;
        return {};
    }
    const int error = SSL_get_error(handles_->ssl, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        return {};
    }
    return failure("TLS handshake failed");
}

Result<void> Tls::receive(std::string_view ciphertext, std::string* plaintext) {
    // Pieces keep OpenSSL's buffer small whatever the socket gave.
    while (!ciphertext.empty() && !closed_) {
        const size_t piece = std::min<size_t>(ciphertext.size(), 65536);
        if (BIO_write(handles_->in, ciphertext.data(), static_cast<int>(piece)) !=
            static_cast<int>(piece)) {
            return failure("TLS buffer");
        }
        ciphertext.remove_prefix(piece);
        if (!established_) {
            Result<void> shaken = handshake();
            if (!shaken || !established_) {
                if (!shaken) {
                    return shaken;
                }
                continue;
            }
        }
        for (;;) {
            std::array<char, 16384> buffer;
            ERR_clear_error();
            const int got = SSL_read(handles_->ssl, buffer.data(), static_cast<int>(buffer.size()));
            if (got > 0) {
                plaintext->append(buffer.data(), static_cast<size_t>(got));
                continue;
            }
            const int error = SSL_get_error(handles_->ssl, got);
            if (error == SSL_ERROR_ZERO_RETURN) {
                closed_ = true;
            } else if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
                return failure("TLS connection failed");
            }
            break;
        }
    }
    return {};
}

Result<void> Tls::send(std::string_view plaintext) {
    while (!plaintext.empty()) {
        const size_t piece = std::min<size_t>(plaintext.size(), 65536);
        ERR_clear_error();
        const int written = SSL_write(handles_->ssl, plaintext.data(), static_cast<int>(piece));
        if (written <= 0) {
            return failure("TLS connection failed");
        }
        plaintext.remove_prefix(static_cast<size_t>(written));
    }
    return {};
}

void Tls::take_output(std::string* ciphertext) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(handles_->out, &data);
    if (size > 0) {
        ciphertext->append(data, static_cast<size_t>(size));
        (void)BIO_reset(handles_->out);
    }
}

}  // namespace sluice::ovsdb
