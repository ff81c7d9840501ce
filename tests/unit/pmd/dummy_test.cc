// SPDX-License-Identifier: Apache-2.0
#include "pmd/dummy.h"

#include <pcap/pcap.h>
#include <poll.h>
#include <rte_mbuf.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>

#include "tests/unit/pmd/lab.h"

using namespace sluice;
using namespace sluice::lab;

namespace {

/// All frames of a capture, as libpcap reads them.
std::vector<Bytes> read_pcap(const std::string& path) {
    std::vector<Bytes> frames;
    char error[PCAP_ERRBUF_SIZE];
    pcap_t* file = pcap_open_offline(path.c_str(), error);
    if (!file) {
        return frames;
    }
    pcap_pkthdr* header = nullptr;
    const u_char* bytes = nullptr;
    while (pcap_next_ex(file, &header, &bytes) == 1) {
        frames.emplace_back(bytes, bytes + header->caplen);
    }
    pcap_close(file);
    return frames;
}

void write_pcap(const std::string& path, const std::vector<Bytes>& frames) {
    pcap_t* handle = pcap_open_dead(DLT_EN10MB, 65535);
    pcap_dumper_t* file = pcap_dump_open(handle, path.c_str());
    for (const Bytes& frame : frames) {
        pcap_pkthdr header{};
        header.caplen = header.len = static_cast<bpf_u_int32>(frame.size());
        pcap_dump(reinterpret_cast<u_char*>(file), &header, frame.data());
    }
    pcap_dump_close(file);
    pcap_close(handle);
}

/// The listening side of netdev-dummy's stream.
class StreamPeer {
public:
    explicit StreamPeer(const std::string& path) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        listener_ = socket(AF_UNIX, SOCK_STREAM, 0);
        REQUIRE(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(listen(listener_, 1) == 0);
    }
    ~StreamPeer() {
        hang_up();
        close(listener_);
    }
    bool is_called() const {
        pollfd p{listener_, POLLIN, 0};
        return poll(&p, 1, 0) == 1;
    }
    void pick_up() { fd_ = accept(listener_, nullptr, nullptr); }
    void hang_up() {
        if (fd_ >= 0) {
            close(fd_);
        }
        fd_ = -1;
    }
    void write(const Bytes& bytes) const {
        REQUIRE(::write(fd_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    }
    Bytes read(size_t n) const {
        Bytes bytes(n);
        REQUIRE(recv(fd_, bytes.data(), n, MSG_WAITALL) == static_cast<ssize_t>(n));
        return bytes;
    }

private:
    int listener_;
    int fd_ = -1;
};

Bytes framed(const Bytes& frame) {
    Bytes bytes(2 + frame.size());
    bytes[0] = static_cast<uint8_t>(frame.size() >> 8);
    bytes[1] = static_cast<uint8_t>(frame.size());
    std::copy(frame.begin(), frame.end(), bytes.begin() + 2);
    return bytes;
}

}  // namespace

TEST_CASE("what is injected is received, what is sent is drained", "[dummy]") {
    auto ports = make_ports();
    const PortId id = add(*ports, "d=dummy,ring=4");
    const auto table = ports->snapshot();
    pmd::DummyPort* dummy = ports->dummy(id);
    REQUIRE(dummy);
    const std::vector<Bytes> sent = {plain(1), plain(2, 1514), plain(3, 14), plain(4, 9014)};
    for (const Bytes& frame : sent) {
        REQUIRE(dummy->inject(frame).ok());
    }
    CHECK_FALSE(dummy->inject(plain(5)).ok());      // the ring holds four
    CHECK_FALSE(dummy->inject(Bytes(13, 0)).ok());  // no frame
    CHECK(receive(*table, id, 4, 0x88b5) == sent);
    for (const Bytes& frame : sent) {
        REQUIRE(send(*table, id, frame));
    }
    CHECK_FALSE(send(*table, id, plain(5)));
    CHECK(dummy->drain() == sent);
    CHECK(dummy->drain().empty());
    const PortStats stats = *ports->stats(id);
    CHECK(stats.rx_packets == 4);
    CHECK(stats.tx_packets == 4);
    CHECK(stats.tx_dropped == 1);
    CHECK(stats.rx_bytes == 60 + 1514 + 14 + 9014);
    CHECK(mbufs_in_use(*ports) == 0);
    CHECK(ports->link_up(id));
    dummy->set_link(false);
    CHECK_FALSE(ports->link_up(id));
}

TEST_CASE("captures grow with each burst and are continued", "[dummy]") {
    TempDir dir;
    const std::string tx = dir.path + "/tx.pcap";
    const std::string rx = dir.path + "/rx.pcap";
    const std::string both = dir.path + "/both.pcap";
    auto ports = make_ports();
    const std::string text = "d=dummy,tx_pcap=" + tx + ",rxq_pcap=" + rx + ",pcap=" + both;
    std::vector<Bytes> all;
    for (uint32_t round = 0; round < 2; ++round) {
        const PortId id = add(*ports, text);
        const auto table = ports->snapshot();
        REQUIRE(ports->dummy(id)->inject(plain(round, 100)).ok());
        CHECK(receive(*table, id, 1, 0x88b5).size() == 1);
        REQUIRE(send(*table, id, plain(round + 10, 3000)));
        all.push_back(plain(round, 100));
        all.push_back(plain(round + 10, 3000));
        CHECK(read_pcap(both) == all);  // while the port is open
        remove(*ports, id);
    }
    CHECK(read_pcap(tx) == std::vector<Bytes>{all[1], all[3]});
    CHECK(read_pcap(rx) == std::vector<Bytes>{all[0], all[2]});
    REQUIRE(run("echo this is no capture at all > " + dir.path + "/other"));
    const Result<PortId> wrong = ports->add(spec("e=dummy,tx_pcap=" + dir.path + "/other"));
    REQUIRE_FALSE(wrong.ok());
    CHECK_THAT(wrong.error().message, Catch::Contains("cannot be continued"));
}

TEST_CASE("a stream carries frames both ways and is connected again", "[dummy]") {
    TempDir dir;
    auto ports = make_ports();
    const std::string path = dir.path + "/s";
    const PortId id = add(*ports, "d=dummy,stream=unix:" + path);
    const auto table = ports->snapshot();
    CHECK_FALSE(send(*table, id, plain(1)));  // nobody listens yet
    CHECK_FALSE(ports->link_up(id));
    StreamPeer peer(path);
    rte_mbuf* m = nullptr;
    for (int life = 0; life < 2; ++life) {
        for (int i = 0; i < 5000 && !peer.is_called(); ++i) {
            CHECK(table->rx_queues(0)[0].rx(&m, 1) == 0);
            usleep(1000);
        }
        REQUIRE(peer.is_called());
        peer.pick_up();
        CHECK(ports->link_up(id));
        REQUIRE(send(*table, id, plain(2, 2500)));
        REQUIRE(send(*table, id, plain(3)));
        CHECK(peer.read(2502) == framed(plain(2, 2500)));
        CHECK(peer.read(62) == framed(plain(3)));
        // Two frames in one write, then one in three pieces.
        Bytes bytes = framed(plain(4));
        const Bytes more = framed(plain(5, 1514));
        bytes.insert(bytes.end(), more.begin(), more.end());
        peer.write(bytes);
        CHECK(receive(*table, id, 2, 0x88b5) == std::vector<Bytes>{plain(4), plain(5, 1514)});
        peer.write({bytes[0]});
        CHECK(table->rx_queues(0)[0].rx(&m, 1) == 0);
        peer.write(Bytes(bytes.begin() + 1, bytes.begin() + 30));
        CHECK(table->rx_queues(0)[0].rx(&m, 1) == 0);
        peer.write(Bytes(bytes.begin() + 30, bytes.begin() + 62));
        CHECK(receive(*table, id, 1, 0x88b5) == std::vector<Bytes>{plain(4)});
        peer.hang_up();
        usleep(1000);
        CHECK(table->rx_queues(0)[0].rx(&m, 1) == 0);
    }
    CHECK(mbufs_in_use(*ports) == 0);
}

TEST_CASE("pcap reads one file and writes another", "[pcap]") {
    TempDir dir;
    const std::vector<Bytes> frames = {plain(1), plain(2, 1514), with_tag(plain(3), 0x8100, 5),
                                       plain(4, 5000)};
    write_pcap(dir.path + "/in", frames);
    auto ports = make_ports();
    const PortId id =
        add(*ports, "p=pcap,rx_pcap=" + dir.path + "/in,tx_pcap=" + dir.path + "/out,mtu=9000");
    REQUIRE(id != kNoPort);
    const auto table = ports->snapshot();
    CHECK((*table)[id].mtu == 9000);
    CHECK(receive(*table, id, 4, 0x88b5) == frames);
    for (const Bytes& frame : frames) {
        REQUIRE(send(*table, id, frame));
    }
    remove(*ports, id);
    CHECK(read_pcap(dir.path + "/out") == frames);
    CHECK(mbufs_in_use(*ports) == 0);
}
