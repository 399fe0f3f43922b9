# SPDX-License-Identifier: Apache-2.0
"""What programs do all day, in one script that checks itself; fed to python3 in a container by 50-python.sh."""

import fcntl
import mmap
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time


def threads():
    total, lock = [0], threading.Lock()

    def work(numbers):
        for n in numbers:
            with lock:
                total[0] += n
    workers = [threading.Thread(target=work, args=(range(i, 1000, 20),)) for i in range(20)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return total[0]


def echo(family, address):
    data = os.urandom(1 << 20)
    server = socket.socket(family)
    server.bind(address)
    server.listen()

    def serve():
        connection, _ = server.accept()
        with connection:
            while chunk := connection.recv(65536):
                connection.sendall(chunk)
    threading.Thread(target=serve, daemon=True).start()
    back = b""
    with socket.socket(family) as client:
        client.connect(server.getsockname())
        sender = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
        sender.start()
        while chunk := client.recv(65536):
            back += chunk
        sender.join()
    server.close()
    return "%d %s" % (len(back), "same" if back == data else "different")


def temporary_file():
    with tempfile.NamedTemporaryFile() as f:
        f.write(b"abc" * (1 << 20))
        f.flush()
        size, name = os.stat(f.name).st_size, f.name
    return "%d %s" % (size, "there" if os.path.exists(name) else "removed")


def map_file():
    with tempfile.TemporaryFile() as f:
        f.truncate(1 << 20)
        with mmap.mmap(f.fileno(), 0) as m:
            m[4096:4101] = b"hello"
            m.flush()
        f.seek(4096)
        return "ok" if f.read(5) == b"hello" else "different"


def selected():
    a, b = socket.socketpair()
    epoll = select.epoll()
    epoll.register(a, select.EPOLLIN)
    before = epoll.poll(0.05)
    b.send(b"x")
    return "ok" if not before and epoll.poll(5)[0][1] & select.EPOLLIN else "wrong"


def forked():
    pid = os.fork()
    if pid == 0:
        os._exit(11)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def piped():
    read, write = os.pipe()
    data = bytes(range(256)) * 4096
    threading.Thread(target=lambda: (os.write(write, data), os.close(write))).start()
    back = b""
    while chunk := os.read(read, 1 << 16):
        back += chunk
    return "ok" if back == data else "different"


def locked():
    with tempfile.NamedTemporaryFile() as f, open(f.name, "rb") as other:
        fcntl.flock(f, fcntl.LOCK_EX)
        try:
            fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return "ok"
    return "not held"


def clock():
    start, mono = time.time(), time.monotonic()
    time.sleep(0.2)
    spent = time.monotonic() - mono
    return "ok" if start > 1.7e9 and 0.19 < spent < 20 else "wrong: %f %f" % (start, spent)


print("arguments", sys.argv[1:])
print("threads", threads())
print("loopback", echo(socket.AF_INET, ("127.0.0.1", 0)))
print("loopback6", echo(socket.AF_INET6, ("::1", 0)))
print("unix", echo(socket.AF_UNIX, tempfile.mkdtemp() + "/socket"))
print("subprocess", subprocess.run(["echo", "ok"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip())
print("pipeline", subprocess.check_output("printf 'a\\nb\\n' | wc -l", shell=True, text=True).strip())
print("tempfile", temporary_file())
print("mmap", map_file())
print("select", selected())
print("fork", forked())
print("pipes", piped())
print("locks", locked())
print("clock", clock())
print("random", "ok" if os.urandom(16) != os.getrandom(16) else "repeats")
print("done")
sys.exit(6)
