"""Ports for servers that are killed and started again on the same ones."""
import fcntl
import os
import pathlib
import random
import socket
import tempfile

_LOWEST, _HIGHEST = 10240, 32000
_reserved = []  # locked files: what this process has been given


def _below_outgoing():
    """Below the range from which the kernel takes the ports of outgoing connections: between a kill and the next start one
    of those could be given to anybody."""
    lowest = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    return min(lowest, _HIGHEST) if lowest > _LOWEST else _HIGHEST


def reserve_port():
    """A free port on loopback that no other test is given until this process ends, whether somebody listens or not."""
    folder = pathlib.Path(tempfile.gettempdir()) / f"holdfast-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for _ in range(1000):
        port = random.SystemRandom().randrange(_LOWEST, _below_outgoing())
        lock = open(folder / str(port), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:  # another test has it, or somebody else
            lock.close()
            continue
        _reserved.append(lock)
        return port
    raise RuntimeError("no free port on 127.0.0.1 in a thousand tries")
