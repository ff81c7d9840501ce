// SPDX-License-Identifier: Apache-2.0
// Tls: the client side of one TLS connection, between two byte buffers; it does no I/O.
//
// Ciphertext from the socket goes into receive(), what comes out is appended to the caller's
// plaintext; send() encrypts, and take_output() hands over what must go to the socket. So the
// stream waits for its descriptor in one way, TLS or not, and a renegotiation, an early alert or
// a session ticket needs no special case.
//
// Both sides prove who they are: we present a certificate, the server's must chain to our CA.
// Names are not compared, as certificates made by ovs-pki name machines, not addresses.
//
// Threads: one thread at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "lib/base/result.h"

namespace sluice::ovsdb {

/// PEM files; read anew at each connection, so they may be renewed under us.
struct TlsFiles {
    std::string private_key;
    std::string certificate;
    std::string ca_cert;  ///< the server's certificate must be signed by it; names are not compared
};

class Tls {
public:
    /// Reads the files and begins the handshake (its first bytes wait in take_output()).
    static Result<std::unique_ptr<Tls>> connect(const TlsFiles& files);
    ~Tls();
    Tls(const Tls&) = delete;
    Tls& operator=(const Tls&) = delete;

    Result<void> receive(std::string_view ciphertext, std::string* plaintext);
    Result<void> send(std::string_view plaintext);
    void take_output(std::string* ciphertext);

    /// The handshake is over and the server's certificate is good.
    bool established() const { return established_; }
    /// The server said goodbye.
    bool closed() const { return closed_; }

private:
    struct Handles;
    Tls();
    Result<void> handshake();
    Error failure(const char* doing) const;

    std::unique_ptr<Handles> handles_;
    std::string ca_cert_;
    bool established_ = false;
    bool closed_ = false;
};

}  // namespace sluice::ovsdb
