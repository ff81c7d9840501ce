// SPDX-License-Identifier: Apache-2.0
#include "tools/doctor/host_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>

namespace sluice::doctor {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kEnoughHugeBytes = 256u << 20;
constexpr long kEnoughMemlockKb = 64 << 10;

/// The files of one machine.
class Files {
public:
    explicit Files(const std::string& root) : root_(root) {}

    std::optional<std::string> read(const std::string& path) const {
        std::ifstream file(root_ + path);
        if (!file) {
            return std::nullopt;
        }
        std::ostringstream text;
        text << file.rdbuf();
        std::string value = text.str();
        while (!value.empty() && (value.back() == '\n' || value.back() == ' ')) {
            value.pop_back();
        }
        return value;
    }
    uint64_t number(const std::string& path) const {
        const auto text = read(path);
        return text ? std::strtoull(text->c_str(), nullptr, 10) : 0;
    }
    bool exists(const std::string& path) const {
        std::error_code ignored;
        return fs::exists(root_ + path, ignored);
    }
    std::vector<std::string> list(const std::string& path) const {
        std::vector<std::string> names;
        std::error_code error;
        for (fs::directory_iterator at(root_ + path, error), end; !error && at != end;
             at.increment(error)) {
            names.push_back(at->path().filename());
        }
        std::sort(names.begin(), names.end());
        return names;
    }

private:
    std::string root_;
};

/// "0-3,8" as the kernel writes it.
std::set<unsigned> parse_list(const std::string& text) {
    std::set<unsigned> all;
    std::istringstream in(text);
    std::string part;
    while (std::getline(in, part, ',')) {
        char* end = nullptr;
        const unsigned long first = std::strtoul(part.c_str(), &end, 10);
        if (end == part.c_str()) {
            continue;
        }
        const unsigned long last = *end == '-' ? std::strtoul(end + 1, nullptr, 10) : first;
        for (unsigned long i = first; i <= last && i - first < 4096; ++i) {
            all.insert(static_cast<unsigned>(i));
        }
    }
    return all;
}

std::string cores_text(const std::vector<unsigned>& cores) {
    return fmt::format("{}", fmt::join(cores, ","));
}

class Check {
public:
    Check(const HostView& view, Diagnosis* diagnosis)
        : view_(view), files_(view.root), out_(diagnosis) {}

    void hugepages() {
        out_->checked.emplace_back("hugepages");
        uint64_t total = 0;
        uint64_t unused = 0;
        for (const std::string& name : files_.list("/sys/kernel/mm/hugepages")) {
            const std::string dir = "/sys/kernel/mm/hugepages/" + name;
            const uint64_t kb = std::strtoull(name.c_str() + name.find('-') + 1, nullptr, 10);
            total += files_.number(dir + "/nr_hugepages") * kb * 1024;
            unused += files_.number(dir + "/free_hugepages") * kb * 1024;
        }
        const Severity severity = view_.wants_huge ? Severity::kCritical : Severity::kWarning;
        if (total == 0) {
            add(severity, "hugepages", "hugepages", "none are reserved",
                "every table and packet buffer is found through 4 kB pages (TLB misses), and dpdk "
                "ports cannot work without",
                "sysctl -w vm.nr_hugepages=1024, then start sluiced with --huge");
        } else if (unused < kEnoughHugeBytes && !view_.daemon_pid) {
            add(severity, "hugepages", "hugepages",
                fmt::format("{} MB are free of {} MB", unused >> 20, total >> 20),
                "sluiced --huge cannot start with its --memory-mb of 256",
                fmt::format("sysctl -w vm.nr_hugepages={}",
                            (total - unused + 2 * kEnoughHugeBytes) >> 21));
        }
        const auto mounts = files_.read("/proc/mounts");
        if (total && mounts && mounts->find(" hugetlbfs ") == std::string::npos) {
            add(severity, "hugepages", "hugetlbfs", "is mounted nowhere",
                "reserved hugepages cannot be used", "mount -t hugetlbfs hugetlbfs /dev/hugepages");
        }
    }

    void numa() {
        out_->checked.emplace_back("numa");
        std::map<unsigned, int> node_of;
        for (const std::string& name : files_.list("/sys/devices/system/node")) {
            if (name.rfind("node", 0) == 0) {
                const int node = std::atoi(name.c_str() + 4);
                const auto list = files_.read("/sys/devices/system/node/" + name + "/cpulist");
                for (const unsigned core : parse_list(list.value_or(""))) {
                    node_of[core] = node;
                }
            }
        }
        std::vector<std::pair<std::string, int>> devices = view_.node_of_port;
        for (const std::string& device : view_.pci_devices) {
            const auto text = files_.read("/sys/bus/pci/devices/" + device + "/numa_node");
            devices.emplace_back(device, text ? std::atoi(text->c_str()) : -1);
        }
        for (const auto& [device, node] : devices) {
            std::vector<unsigned> far;
            std::copy_if(view_.cores.begin(), view_.cores.end(), std::back_inserter(far),
                         [&, home = node](unsigned core) {
                             const auto it = node_of.find(core);
                             return home >= 0 && it != node_of.end() && it->second != home;
                         });
            if (!far.empty()) {
                add(Severity::kWarning, "numa", "device " + device,
                    fmt::format("is on NUMA node {}, cores {} are not", node, cores_text(far)),
                    "each of its packets crosses the link between sockets",
                    fmt::format(
                        "sluiced --cores with cores of node {}: {}", node,
                        files_.read(fmt::format("/sys/devices/system/node/node{}/cpulist", node))
                            .value_or("?")));
            }
        }
    }

    void iommu() {
        out_->checked.emplace_back("iommu");
        const bool has_groups = !files_.list("/sys/kernel/iommu_groups").empty();
        const bool unsafe =
            files_.read("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode") == "Y";
        const Severity severity = view_.pci_devices.empty() ? Severity::kNote : Severity::kWarning;
        if (!has_groups && !unsafe) {
            add(severity, "iommu", "IOMMU", "is off or not there",
                "dpdk ports cannot be opened through vfio-pci",
                "intel_iommu=on iommu=pt (amd_iommu=on) on the kernel command line");
        } else if (!has_groups) {
            add(severity, "iommu", "IOMMU", "is off; vfio runs without it",
                "a device may write anywhere in memory",
                "intel_iommu=on iommu=pt on the kernel command line");
        }
        if (!view_.pci_devices.empty() && !files_.exists("/sys/bus/pci/drivers/vfio-pci")) {
            add(Severity::kCritical, "kernel_modules", "vfio-pci", "is not loaded",
                "dpdk ports cannot be opened", "modprobe vfio-pci");
        }
    }

    void governor() {
        out_->checked.emplace_back("governor");
        std::map<std::string, std::vector<unsigned>> slow;
        for (const unsigned core : cores_or_all()) {
            const auto text = files_.read(
                fmt::format("/sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor", core));
            if (text && *text != "performance") {
                slow[*text].push_back(core);
            }
        }
        for (const auto& [name, cores] : slow) {
            add(Severity::kWarning, "governor",
                fmt::format("governor of cores {}", cores_text(cores)), "is " + name,
                "a core is slow when packets come after a pause",
                "cpupower frequency-set -g performance");
        }
    }

    void isolation() {
        out_->checked.emplace_back("isolated_cores");
        const auto isolated = files_.read("/sys/devices/system/cpu/isolated");
        if (view_.cores.empty()) {
            if (view_.daemon_pid) {
                add(Severity::kNote, "isolated_cores", "workers", "are not pinned to cores",
                    "the scheduler moves them, and runs others on their cores",
                    "sluiced --cores LIST");
            }
            return;
        }
        const std::set<unsigned> set = parse_list(isolated.value_or(""));
        std::vector<unsigned> shared;
        std::copy_if(view_.cores.begin(), view_.cores.end(), std::back_inserter(shared),
                     [&](unsigned core) { return !set.count(core); });
        if (isolated && !shared.empty()) {
            const std::string list = cores_text(shared);
            add(Severity::kNote, "isolated_cores", "cores " + list,
                "are not isolated: other threads run there too",
                "packets wait while the worker does not run",
                fmt::format("isolcpus={0} nohz_full={0} rcu_nocbs={0} on the kernel command line",
                            list));
        }
        siblings();
    }

    void memlock() {
        out_->checked.emplace_back("memlock");
        long kb = view_.own_memlock_kb;
        std::string who = "this shell";
        if (view_.daemon_pid) {
            const auto limits = files_.read(fmt::format("/proc/{}/limits", view_.daemon_pid));
            const size_t at = limits ? limits->find("Max locked memory") : std::string::npos;
            if (at != std::string::npos) {
                const std::string value = limits->substr(at + 17, 30);
                kb = value.find("unlimited") < 15 ? -1 : std::atol(value.c_str()) / 1024;
                who = "sluiced";
            }
        }
        if (kb >= 0 && kb < kEnoughMemlockKb) {
            add(Severity::kWarning, "memlock", "locked memory",
                fmt::format("is limited to {} kB for {}", kb, who),
                "afxdp and dpdk ports may not be able to map their rings",
                "ulimit -l unlimited, or LimitMEMLOCK=infinity in the service");
        }
    }

    void modules() {
        out_->checked.emplace_back("kernel_modules");
        if (!files_.exists("/dev/net/tun")) {
            add(Severity::kCritical, "kernel_modules", "/dev/net/tun", "is not there",
                "tap and internal ports cannot be made", "modprobe tun");
        }
    }

    void clock() {
        out_->checked.emplace_back("clocksource");
        const auto source =
            files_.read("/sys/devices/system/clocksource/clocksource0/current_clocksource");
        const auto cpu = files_.read("/proc/cpuinfo");
        const bool is_constant = !cpu || cpu->find("constant_tsc") != std::string::npos;
        if (source && *source != "tsc" && *source != "kvm-clock") {
            add(Severity::kWarning, "clocksource", "clock source", "is " + *source + ", not tsc",
                "the kernel does not trust the counter that workers take their time from",
                "clocksource=tsc tsc=reliable on the kernel command line, if the hardware allows");
        }
        if (!is_constant) {
            add(Severity::kWarning, "clocksource", "TSC", "changes its rate with the core's",
                "timeouts of connections, meters and captures are off", "");
        }
    }

    void rivals() {
        out_->checked.emplace_back("rivals");
        for (const char* name : {"ovs-vswitchd", "ovn-controller"}) {
            const uint64_t pid = files_.number(fmt::format("{}/{}.pid", view_.run_dir, name));
            if (pid && files_.exists(fmt::format("/proc/{}", pid))) {
                add(Severity::kCritical, "rivals", name, fmt::format("runs here too (pid {})", pid),
                    "it and sluiced both claim the ports of br-int and the chassis",
                    fmt::format("systemctl disable --now {}", name));
            }
        }
    }

private:
    void add(Severity severity, const char* check, std::string subject, std::string text,
             std::string cost, std::string mend) {
        out_->findings.push_back({severity, check, std::move(subject), std::move(text),
                                  std::move(cost), std::move(mend), 0});
    }
    std::vector<unsigned> cores_or_all() const {
        if (!view_.cores.empty()) {
            return view_.cores;
        }
        const auto online = files_.read("/sys/devices/system/cpu/online");
        const std::set<unsigned> all = parse_list(online.value_or(""));
        return {all.begin(), all.end()};
    }
    /// Two workers on one physical core.
    void siblings() {
        std::set<std::string> seen;
        for (const unsigned core : view_.cores) {
            const auto list = files_.read(
                fmt::format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", core));
            if (list && !seen.insert(*list).second) {
                add(Severity::kWarning, "isolated_cores", "cores " + *list,
                    "are hyperthreads of one physical core, and workers run on both",
                    "the two together do little more than one", "give one of them in --cores");
            }
        }
    }

    const HostView& view_;
    const Files files_;
    Diagnosis* out_;
};

}  // namespace

void check_host(const HostView& view, Diagnosis* diagnosis) {
    Check check(view, diagnosis);
    check.hugepages();
    check.numa();
    check.iommu();
    check.governor();
    check.isolation();
    check.memlock();
    check.modules();
    check.clock();
    check.rivals();
}

}  // namespace sluice::doctor
