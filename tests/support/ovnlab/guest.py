# SPDX-License-Identifier: Apache-2.0
"""A real virtual machine: Debian's kernel and busybox under QEMU, its network card on vhost-user.

    image = guest.image(folder)               # fetched and put together once, kept in the folder
    vm = Guest(lab, image, 'vm1', socket, mac)  # QEMU serves the socket; sluiced connects to it
    vm.run('ip addr show eth0')               # (status, text) of a command in the guest's shell

QEMU interprets the guest's instructions (TCG): it needs no hardware help and boots in seconds.
"""
import glob
import gzip
import os
import re
import shutil
import socket
import subprocess
import time

MODULES = ('virtio', 'virtio_ring', 'virtio_pci_modern_dev', 'virtio_pci_legacy_dev', 'virtio_pci',
           'failover', 'net_failover', 'virtio_net')
INIT = '''#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for round in 1 2; do for m in %s; do insmod /lib/$m.ko 2>/dev/null; done; done
ip link set lo up
stty -echo
export PS1=
echo guest is up
exec sh
''' % ' '.join(MODULES)
LEASE = '''#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr flush dev eth0
ip addr add $ip/$mask dev eth0
[ -n "$router" ] && ip route add default via $router
[ -n "$mtu" ] && ip link set eth0 mtu $mtu
exit 0
'''


class NoGuest(RuntimeError):
    """What is missing to run virtual machines here."""


def image(folder):
    """(kernel, initramfs) in the folder, made if they are not there yet."""
    if not shutil.which('qemu-system-x86_64'):
        raise NoGuest('qemu-system-x86_64 is not installed')
    kernel, ramdisk = folder + '/vmlinuz', folder + '/initrd.gz'
    if not os.path.exists(ramdisk):
        os.makedirs(folder, exist_ok=True)
        unpacked = folder + '/unpacked'
        fetch(unpacked)
        shutil.copy(glob.glob(unpacked + '/boot/vmlinuz-*')[0], kernel)
        pack(unpacked, folder, ramdisk)
        shutil.rmtree(unpacked)
    return kernel, ramdisk


def newest_kernel():
    text = subprocess.run(['apt-cache', 'depends', 'linux-image-cloud-amd64'], capture_output=True,
                          text=True).stdout
    found = re.search(r'Depends: (linux-image-\S+)', text)
    if not found:
        raise NoGuest('apt knows no linux-image-cloud-amd64')
    return found.group(1)


def fetch(folder):
    """Debian's packages, unpacked aside: nothing is installed on this machine."""
    os.makedirs(folder)
    done = subprocess.run(['apt-get', 'download', 'busybox-static', newest_kernel()], cwd=folder,
                          capture_output=True, text=True)
    if done.returncode != 0:
        shutil.rmtree(folder)
        raise NoGuest('apt-get download: ' + (done.stderr.strip().splitlines() or ['failed'])[-1])
    for package in glob.glob(folder + '/*.deb'):
        subprocess.run(['dpkg', '-x', package, folder], check=True)


def pack(unpacked, folder, ramdisk):
    root = folder + '/root'
    shutil.rmtree(root, ignore_errors=True)
    for name in ('bin', 'lib', 'proc', 'sys', 'dev', 'tmp', 'etc'):
        os.makedirs('%s/%s' % (root, name))
    shutil.copy(unpacked + '/bin/busybox', root + '/bin/busybox')
    for module in MODULES:
        paths = glob.glob('%s/lib/modules/*/kernel/**/%s.ko' % (unpacked, module), recursive=True)
        if paths:
            shutil.copy(paths[0], root + '/lib/')
    for path, text in (('/init', INIT), ('/lease', LEASE)):
        with open(root + path, 'w') as file:
            file.write(text)
        os.chmod(root + path, 0o755)
    names = subprocess.run(['find', '.'], cwd=root, check=True, capture_output=True).stdout
    archive = subprocess.run([root + '/bin/busybox', 'cpio', '-o', '-H', 'newc'], cwd=root, input=names,
                             check=True, capture_output=True).stdout
    with gzip.open(ramdisk + '.new', 'wb', compresslevel=1) as file:
        file.write(archive)
    os.rename(ramdisk + '.new', ramdisk)
    shutil.rmtree(root)


class Guest:
    """A running virtual machine with one network card, and its shell."""

    def __init__(self, lab, image_files, name, vhost_socket, mac, queues=1):
        self.lab, self.name, self.mac = lab, name, mac
        self.kernel, self.ramdisk = image_files
        self.vhost_socket, self.queues = vhost_socket, queues
        self.console_path = '%s/%s.console' % (lab.folder, name)
        self.process = self.console = None
        self.ip = None

    def start(self, timeout_s=120):
        for path in (self.console_path, self.vhost_socket):
            if os.path.exists(path):
                os.unlink(path)
        with open('%s/%s.qemu.log' % (self.lab.folder, self.name), 'ab') as log:
            self.process = subprocess.Popen(
                ['setpriv', '--pdeathsig', 'KILL', '--', 'qemu-system-x86_64', '-display', 'none',
                 '-no-reboot', '-nodefaults', '-machine', 'q35,accel=tcg,memory-backend=mem', '-cpu',
                 'max', '-smp', str(self.queues), '-m', '192', '-object',
                 'memory-backend-memfd,id=mem,size=192M,share=on', '-kernel', self.kernel, '-initrd',
                 self.ramdisk, '-append', 'console=ttyS0 quiet panic=-1', '-chardev',
                 'socket,id=console,path=%s,server=on,wait=off' % self.console_path, '-serial',
                 'chardev:console', '-chardev',
                 'socket,id=net,path=%s,server=on,wait=off' % self.vhost_socket, '-netdev',
                 'vhost-user,id=card,chardev=net,queues=%d' % self.queues, '-device',
                 # vectors=0: QEMU 7.2 under TCG does not survive vhost-user with MSI-X.
                 'virtio-net-pci,netdev=card,mac=%s,romfile=,vectors=0,mq=%s'
                 % (self.mac, 'on' if self.queues > 1 else 'off')],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.lab.helpers.append(self.process)
        self.lab.wait(self.attach, 'QEMU of ' + self.name)
        self.read_until('guest is up', timeout_s)

    def attach(self):
        self.console, self.text = socket.socket(socket.AF_UNIX), ''
        return self.console.connect_ex(self.console_path) == 0

    def read_until(self, marker, timeout_s):
        end = time.time() + timeout_s
        while marker not in self.text:
            self.console.settimeout(max(0.01, end - time.time()))
            try:
                data = self.console.recv(65536)
            except (socket.timeout, OSError):
                data = b''
            if not data:
                raise RuntimeError('%s: no "%s" on the console, but: %s' % (
                    self.name, marker, self.text[-2000:]))
            self.text += data.decode(errors='replace').replace('\r', '')
        before, _, self.text = self.text.partition(marker)
        return before

    def run(self, command, timeout_s=60):
        """(exit status, output) of a command in the guest."""
        self.console.sendall(("%s\necho 'end-of'-command $?\n" % command).encode())
        text = self.read_until('end-of-command ', timeout_s)
        status = self.read_until('\n', 10)
        return int(status), text

    def lease(self, timeout_s=60):
        """Asks by DHCP; returns the address, or None."""
        self.run('ip link set eth0 up')
        self.run('udhcpc -i eth0 -n -q -t 10 -T 1 -s /lease', timeout_s)
        found = re.search(r'inet (\d+\.\d+\.\d+\.\d+)', self.run('ip -4 addr show eth0')[1])
        self.ip = found.group(1) if found else None
        return self.ip

    def ping(self, target, count=5, size=56):
        """How many of the pings were answered."""
        _, text = self.run('ping -c %d -s %d -W 5 %s' % (count, size, target), 10 * count + 30)
        found = re.search(r'(\d+) packets received', text)
        return int(found.group(1)) if found else 0

    def stop(self):
        if self.console:
            self.console.close()
        if self.process:
            self.process.kill()
            self.process.wait()
            self.lab.helpers.remove(self.process)
            self.process = None
