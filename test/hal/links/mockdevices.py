"""Devices that umockdev makes for the programs that it preloads: a serial adapter with modem lines, a raw HID device.

Speaks JSON lines on standard input and output: {"id": 1, "do": "plug", "what": "tty"} is answered by {"id": 1, ...}.
"""
import json
import os
import pty
import shutil
import struct
import tty

import gi

gi.require_version("UMockdev", "1.0")
from gi.repository import GLib, UMockdev  # noqa: E402

REPORT = bytes.fromhex("0600ff 0901 a101 0901 1500 26ff00 7508 9540 8102 0902 9540 9102 0903 9508 b102 c0")

TTY = """P: /devices/usb1/1-1
E: DEVTYPE=usb_device
E: SUBSYSTEM=usb
A: idVendor=0403
A: idProduct=6001
A: serial=MOCK1
A: manufacturer=FTDI

P: /devices/usb1/1-1/1-1:1.0/ttyUSB0
E: SUBSYSTEM=usb-serial
E: DRIVER=ftdi_sio
L: driver=../../../../../bus/usb-serial/drivers/ftdi_sio
A: latency_timer=16\\n

P: /devices/usb1/1-1/1-1:1.0/ttyUSB0/tty/ttyUSB0
E: SUBSYSTEM=tty
E: DEVNAME=/dev/ttyUSB0
L: device=../../../ttyUSB0
E: ID_VENDOR_ID=0403
E: ID_MODEL_ID=6001
E: ID_SERIAL_SHORT=MOCK1
E: ID_VENDOR_ENC=FTDI
E: DEVLINKS=/dev/serial/by-id/usb-FTDI_MOCK1-if00-port0
"""

HID = f"""P: /devices/usb1/1-2
E: DEVTYPE=usb_device
E: SUBSYSTEM=usb
A: idVendor=1234
A: idProduct=5678
A: serial=MOCK2
A: manufacturer=dirql
A: product=Mock board
A: bcdDevice=0100

P: /devices/usb1/1-2/1-2:1.0
E: DEVTYPE=usb_interface
E: SUBSYSTEM=usb
A: bInterfaceNumber=00

P: /devices/usb1/1-2/1-2:1.0/0003:1234:5678.0001
E: SUBSYSTEM=hid
E: HID_ID=0003:00001234:00005678
E: HID_NAME=dirql Mock board
E: HID_UNIQ=MOCK2
H: report_descriptor={REPORT.hex().upper()}

P: /devices/usb1/1-2/1-2:1.0/0003:1234:5678.0001/hidraw/hidraw0
E: SUBSYSTEM=hidraw
E: DEVNAME=/dev/hidraw0
L: device=../../../0003:1234:5678.0001
"""

NODES = {"tty": "/dev/ttyUSB0", "hid": "/dev/hidraw0"}
TREES = {"tty": TTY, "hid": HID}

TIOCMGET, TIOCMBIS, TIOCMBIC, TIOCMSET = 0x5415, 0x5416, 0x5417, 0x5418
TIOCSBRK, TIOCCBRK, TIOCMIWAIT, TIOCGICOUNT = 0x5427, 0x5428, 0x545C, 0x545D
TIOCGSERIAL, TIOCSSERIAL = 0x541E, 0x541F
MODEM = {"dtr": 0x002, "rts": 0x004, "cts": 0x020, "dcd": 0x040, "ri": 0x080, "dsr": 0x100}
COUNTED = ("cts", "dsr", "ri", "dcd", "rx", "tx", "frame", "overrun", "parity", "brk", "bufOverrun")


class Pty:
    """A device node. umockdev would make it, but cannot make it again after an unplug."""

    def __init__(self, node):
        # with a file of our own at the clients' end it outlives them
        self.fd, self.keeper = pty.openpty()
        tty.setraw(self.keeper)
        os.set_blocking(self.fd, False)
        self.path = testbed.get_root_dir() + node
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        os.symlink(os.ttyname(self.keeper), self.path)

    def close(self):
        os.unlink(self.path)
        os.close(self.keeper)
        os.close(self.fd)


class Serial(UMockdev.IoctlBase):
    """An adapter whose driver has TIOCMIWAIT, TIOCGICOUNT and the low-latency flag."""

    def start(self, features):
        self.features = features
        self.pty = Pty(NODES["tty"])
        self.got = bytearray()
        self.queue = bytearray()
        self.lines = 0
        self.brk = False
        self.flags = 0
        self.counts = dict.fromkeys(COUNTED, 0)
        self.waiting = []
        self.history = []
        self.reading = GLib.unix_fd_add_full(0, self.pty.fd, GLib.IOCondition.IN, self.readable)
        self.writing = 0

    def readable(self, fd, condition):
        try:
            self.got += os.read(fd, 65536)
        except OSError:
            return False
        return True

    def writable(self, fd, condition):
        try:
            sent = os.write(fd, bytes(self.queue[:4096]))
            del self.queue[:sent]
        except BlockingIOError:
            pass
        if self.queue:
            return True
        self.writing = 0
        return False

    def send(self, data):
        self.queue += data
        if not self.writing:
            self.writing = GLib.unix_fd_add_full(0, self.pty.fd, GLib.IOCondition.OUT, self.writable)

    def stop(self):
        GLib.source_remove(self.reading)
        if self.writing:
            GLib.source_remove(self.writing)
        for client in self.waiting:
            client.complete(-1, 5)  # EIO
        self.waiting = []
        self.pty.close()

    def change(self, line, times):
        """`times` changes of a line, faster than anything that looks."""
        for _ in range(times):
            self.lines ^= MODEM[line]
            self.counts[line] += 1
        waiting, self.waiting = self.waiting, []
        for client in waiting:
            client.complete(0, 0)

    def do_handle_ioctl(self, client):
        request = client.get_request()
        arg = client.get_arg()
        if request in (TIOCMGET, TIOCMBIS, TIOCMBIC, TIOCMSET):
            data = arg.resolve(0, 4)
            if request == TIOCMGET:
                data.update(0, struct.pack("I", self.lines))
            else:
                (bits,) = struct.unpack("I", bytes(data.retrieve()))
                outputs = MODEM["dtr"] | MODEM["rts"]
                bits &= outputs
                if request == TIOCMBIS:
                    self.lines |= bits
                elif request == TIOCMBIC:
                    self.lines &= ~bits
                else:
                    self.lines = self.lines & ~outputs | bits
                self.history.append([bool(self.lines & MODEM["dtr"]), bool(self.lines & MODEM["rts"])])
            client.complete(0, 0)
        elif request in (TIOCSBRK, TIOCCBRK):
            if "break" in self.features:
                self.brk = request == TIOCSBRK
                client.complete(0, 0)
            else:
                client.complete(-1, 95)  # EOPNOTSUPP
        elif request == TIOCMIWAIT and "wait" in self.features:
            self.waiting.append(client)
        elif request == TIOCGICOUNT and "count" in self.features:
            words = [self.counts[name] for name in COUNTED] + [0] * 9
            arg.resolve(0, 80).update(0, struct.pack("20I", *words))
            client.complete(0, 0)
        elif request == TIOCGSERIAL:
            arg.resolve(0, 72).update(16, struct.pack("i", self.flags))
            client.complete(0, 0)
        elif request == TIOCSSERIAL:
            (self.flags,) = struct.unpack("i", bytes(arg.resolve(0, 72).retrieve())[16:20])
            client.complete(0, 0)
        elif request in (TIOCMIWAIT, TIOCGICOUNT):
            client.complete(-1, 25)  # ENOTTY
        else:
            return False
        return True


def descriptor_ioctl(number, size):
    return 2 << 30 | size << 16 | ord("H") << 8 | number


class RawHid(UMockdev.IoctlBase):
    """A hidraw node: a read gives one report, a write takes one. The terminal only tells when there is one to read."""

    def start(self, features):
        self.features = features
        self.pty = Pty(NODES["hid"])
        self.got = bytearray()
        self.queue = []
        self.feature = bytes(8)
        self.isGone = False

    def send(self, data):
        self.queue.append(data)
        os.write(self.pty.fd, b"!")

    def stop(self):
        self.isGone = True
        self.pty.close()

    def do_handle_read(self, client):
        if self.isGone:
            client.complete(-1, 5)  # EIO
            return True
        if not self.queue:
            client.complete(-1, 11)  # EAGAIN
            return True
        os.read(self.pty.keeper, 1)
        report = self.queue.pop(0)
        client.get_arg().update(0, report)
        client.complete(len(report), 0)
        return True

    def do_handle_write(self, client):
        report = bytes(client.get_arg().retrieve())
        self.got += report[1:]  # without the 0 for 'no id'
        client.complete(len(report), 0)
        return True

    def do_handle_ioctl(self, client):
        request = client.get_request()
        arg = client.get_arg()
        kind, number, size = request >> 8 & 0xFF, request & 0xFF, request >> 16 & 0x3FFF
        if kind != ord("H"):
            return False
        if number == 1:  # HIDIOCGRDESCSIZE
            arg.resolve(0, 4).update(0, struct.pack("i", len(REPORT)))
            client.complete(0, 0)
        elif number == 2:  # HIDIOCGRDESC
            arg.resolve(0, 4 + len(REPORT)).update(0, struct.pack("i", len(REPORT)) + REPORT)
            client.complete(0, 0)
        elif number == 3:  # HIDIOCGRAWINFO
            arg.resolve(0, 8).update(0, struct.pack("IHH", 3, 0x1234, 0x5678))
            client.complete(0, 0)
        elif number == 6:  # HIDIOCSFEATURE
            self.feature = bytes(arg.resolve(0, size).retrieve())[1:]
            client.complete(size, 0)
        elif number == 7:  # HIDIOCGFEATURE
            answer = (b"\0" + self.feature)[:size]
            arg.resolve(0, size).update(0, answer)
            client.complete(len(answer), 0)
        else:
            client.complete(-1, 22)  # EINVAL
        return True


KINDS = {"tty": Serial, "hid": RawHid}
devices = {}


def plug(what, features):
    device = KINDS[what]()
    testbed.add_from_string(TREES[what])
    device.start(features)
    # with ioctls of its own a file must not be closed while a thread reads it: umockdev ends the program
    if features:
        testbed.attach_ioctl(NODES[what], device)
    devices[what] = device


def unplug(what):
    device = devices.pop(what, None)
    if device is None:
        return
    if device.features:
        testbed.detach_ioctl(NODES[what])
    device.stop()
    paths = [line[3:] for line in TREES[what].splitlines() if line.startswith("P: ")]
    for path in reversed(paths):
        testbed.remove_device(f"/sys{path}")


def answer(request):
    what = request.get("what")
    do = request["do"]
    if do == "plug":
        plug(what, request.get("features", ["plain"]))
    elif do == "unplug":
        unplug(what)
    elif do == "send":
        devices[what].send(bytes.fromhex(request["hex"]))
    elif do == "received":
        return {"hex": devices[what].got.hex()}
    elif do == "take":
        taken = devices[what].got.hex()
        devices[what].got.clear()
        return {"hex": taken}
    elif do == "change":
        devices[what].change(request["line"], request["times"])
    elif do == "error":
        devices[what].counts[request["kind"]] += request["times"]
    elif do == "state":
        device = devices[what]
        return {
            "dtr": bool(device.lines & MODEM["dtr"]),
            "rts": bool(device.lines & MODEM["rts"]),
            "brk": device.brk,
            "flags": device.flags,
            "history": device.history,
            "waiting": len(device.waiting),
        }
    return {}


def take(channel, condition):
    global rest
    data = os.read(0, 1 << 20)
    if not data:
        loop.quit()
        return False
    *lines, rest = (rest + data).split(b"\n")
    for line in lines:
        request = json.loads(line)
        try:
            reply = answer(request)
        except Exception as error:  # the test is told
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps({"id": request["id"], **reply}), flush=True)
    return True


rest = b""
testbed = UMockdev.Testbed.new()
loop = GLib.MainLoop()
GLib.io_add_watch(GLib.IOChannel.unix_new(0), GLib.PRIORITY_DEFAULT, GLib.IOCondition.IN | GLib.IOCondition.HUP, take)
print(json.dumps({"root": testbed.get_root_dir()}), flush=True)
loop.run()
shutil.rmtree(testbed.get_root_dir(), ignore_errors=True)
