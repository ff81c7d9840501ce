// SPDX-License-Identifier: Apache-2.0
#include "control/ovsdb/jsonrpc.h"

#include <algorithm>

#include "lib/json/writer.h"

namespace sluice::ovsdb {

namespace {

constexpr std::string_view kProbeId = "echo";
constexpr size_t kQuotedBytes = 60;

std::string quote(std::string_view text) {
    std::string out;
    json::append_quoted(&out, text.substr(0, kQuotedBytes));
    return out;
}

Result<Message> classify(json::Document document) {
    Message message{};
    const json::Value root = document.root();
    message.document = std::move(document);
    message.id = root.find("id");
    if (root.has("method")) {
        message.method = root.find("method").string();
        message.params = root.find("params");
        message.kind =
            message.id.is_null() ? Message::Kind::kNotification : Message::Kind::kRequest;
        if (message.method.empty() || !message.params.is_array()) {
            return Error{"a request without a method name or a list of params"};
        }
        return message;
    }
    if (message.id.is_null() || !(root.has("result") || root.has("error"))) {
        return Error{"neither a request nor a reply"};
    }
    message.error = root.find("error");
    message.result = root.find("result");
    message.kind = message.error.is_null() ? Message::Kind::kResult : Message::Kind::kError;
    return message;
}

}  // namespace

JsonRpc::JsonRpc(EventLoop* loop, const Options& options, Counters* counters, Callbacks callbacks)
    : loop_(loop),
      options_(options),
      counters_(counters),
      callbacks_(std::move(callbacks)),
      stream_(loop, {options.connect_timeout_ms, options.max_send_bytes},
              {.on_open =
                   [this] {
                       last_rx_ms_ = EventLoop::now_ms();
                       arm_probe(options_.probe_interval_ms);
                       callbacks_.on_open();
                   },
               .on_bytes = [this](std::string_view bytes) { on_bytes(bytes); },
               .on_close = [this](const Error& error) { fail(error); }}) {}

JsonRpc::~JsonRpc() {
    close();
}

Result<void> JsonRpc::connect(const Remote& remote, const TlsFiles& tls_files) {
    return stream_.connect(remote, tls_files);
}

void JsonRpc::close() {
    closed_ = true;
    loop_->cancel_timer(probe_timer_);
    probe_timer_ = 0;
    stream_.close();
}

void JsonRpc::fail(const Error& error) {
    if (!closed_) {
        close();
        callbacks_.on_close(error);
    }
}

void JsonRpc::write(std::string_view text) {
    counters_->bytes_tx += text.size();
    stream_.send(text);
}

int64_t JsonRpc::request(std::string_view method, std::string_view params) {
    const int64_t id = next_id_++;
    json::Writer writer;
    writer.begin_object().member("id").value(id).member("method").value(method);
    writer.member("params").raw(params).end_object();
    write(writer.text());
    return id;
}

void JsonRpc::reply_error(json::Value id, std::string_view error) {
    json::Writer writer;
    writer.begin_object().member("id").value(id).member("result").null();
    writer.member("error").value(error).end_object();
    write(writer.text());
}

void JsonRpc::set_probe_interval(int64_t interval_ms) {
    options_.probe_interval_ms = interval_ms;
    probe_sent_ = false;
    loop_->cancel_timer(probe_timer_);
    probe_timer_ = 0;
    if (stream_.is_open()) {
        arm_probe(interval_ms);
    }
}

void JsonRpc::arm_probe(int64_t delay_ms) {
    if (options_.probe_interval_ms > 0) {
        probe_timer_ = loop_->add_timer(delay_ms, [this] { on_probe_timer(); });
    }
}

void JsonRpc::on_probe_timer() {
    probe_timer_ = 0;
    stream_.read_now();
    if (closed_) {
        return;
    }
    const int64_t idle_ms = EventLoop::now_ms() - last_rx_ms_;
    if (idle_ms < options_.probe_interval_ms) {
        arm_probe(options_.probe_interval_ms - idle_ms);
        return;
    }
    if (probe_sent_) {
        fail(Error{"no answer to the inactivity probe: nothing received for " +
                   std::to_string(idle_ms) + " ms"});
        return;
    }
    probe_sent_ = true;
    ++counters_->probes;
    write("{\"id\":\"echo\",\"method\":\"echo\",\"params\":[]}");
    arm_probe(options_.probe_interval_ms);
}

void JsonRpc::on_bytes(std::string_view bytes) {
    counters_->bytes_rx += bytes.size();
    last_rx_ms_ = EventLoop::now_ms();
    probe_sent_ = false;
    while (!bytes.empty() && !closed_) {
        const json::Scanner::Step step = scanner_.feed(bytes);
        if (step.state == json::Scanner::State::kBad) {
            fail(Error{"malformed JSON-RPC: a message begins with " +
                       quote(bytes.substr(step.used))});
            return;
        }
        if (!scanner_.idle() || step.state == json::Scanner::State::kDone) {
            partial_.append(bytes.substr(0, step.used));
        }
        bytes.remove_prefix(step.used);
        if (partial_.size() > options_.max_message_bytes) {
            fail(Error{"a message of more than " + std::to_string(options_.max_message_bytes) +
                       " bytes"});
            return;
        }
        if (step.state == json::Scanner::State::kDone) {
            std::string text = std::move(partial_);
            partial_ = std::string();
            on_text(std::move(text));
        }
    }
}

void JsonRpc::on_text(std::string text) {
    ++counters_->messages_rx;
    const std::string start = text.substr(0, kQuotedBytes);
    Result<json::Document> document = json::Document::parse(std::move(text));
    if (!document) {
        fail(document.error().with_context("malformed JSON-RPC, in the message that begins with " +
                                           quote(start)));
        return;
    }
    const Result<Message> message = classify(std::move(document).value());
    if (!message) {
        fail(message.error().with_context("malformed JSON-RPC: " + quote(start)));
        return;
    }
    if (message->kind == Message::Kind::kRequest && message->method == "echo") {
        json::Writer writer;
        writer.begin_object().member("id").value(message->id).member("error").null();
        writer.member("result").value(message->params).end_object();
        write(writer.text());
        return;
    }
    const bool is_reply =
        message->kind == Message::Kind::kResult || message->kind == Message::Kind::kError;
    if (is_reply && message->id.string() == kProbeId) {
        return;
    }
    callbacks_.on_message(*message);
}

}  // namespace sluice::ovsdb
