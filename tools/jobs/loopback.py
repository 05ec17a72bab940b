"""What keeps the libraries that speak between processes on this machine's own interface, where nobody else can listen or call.

Given to the processes that we start. Knows interfaces. Does not know what they say.
"""

from __future__ import annotations

import socket


def only_loopback() -> dict[str, str]:
    """For the environment of gloo, NCCL and vLLM, which otherwise bind to whatever address this machine's name has."""
    names = [name for _, name in socket.if_nameindex() if name.rstrip("0") == "lo"] or ["lo"]
    return {
        "GLOO_SOCKET_IFNAME": names[0], "NCCL_SOCKET_IFNAME": f"={names[0]}", "NCCL_RAS_ENABLE": "0",
        "MASTER_ADDR": "127.0.0.1", "VLLM_HOST_IP": "127.0.0.1",
    }  # fmt: skip
