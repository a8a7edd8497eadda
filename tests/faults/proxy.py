"""A proxy between the service and MariaDB that breaks the network without closing it: a program of its own, told by lines.

    proxy.py PORT SERVER-PORT     commands come on standard input, each is answered with a line

| command | from then on |
|---|---|
| `pass` | everything is forwarded, including the bytes that were held back |
| `blackhole` | nothing is forwarded, new connections are accepted and stay silent; no connection is closed |
| `silence N` | the same for N of the open connections only |
| `lose PERCENT WORDS` | the answer to a statement that begins with one of the WORDS is dropped with this probability, and the connection is closed after the server has answered |
| `reset` | every open connection is reset |
| `count` | the answer has the number of open connections, and of answers that were dropped |
"""

import asyncio
import random
import socket
import struct
import sys

QUERY, PREPARE, EXECUTE = 0x03, 0x16, 0x17


class Link:
    """One connection of the service and its counterpart to the server."""

    def __init__(self, proxy: 'Proxy', reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.proxy, self.reader, self.writer = proxy, reader, writer
        self.flowing = asyncio.Event()
        if proxy.open_flow:
            self.flowing.set()
        self.statements: dict[int, bytes] = {}
        self.prepared: bytes | None = None
        self.losing = False
        self.logged_in = False
        self.server: asyncio.StreamWriter | None = None

    async def run(self) -> None:
        """Forwards until one side closes."""
        await self.flowing.wait()
        try:
            reader, self.server = await asyncio.open_connection('127.0.0.1', self.proxy.server_port)
        except OSError:
            self.close()
            return
        tasks = [asyncio.ensure_future(self.requests()), asyncio.ensure_future(self.answers(reader))]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.close()

    async def requests(self) -> None:
        """From the service to the server, packet by packet, because statements are looked at."""
        assert self.server
        while True:
            head = await self.reader.readexactly(4)
            body = await self.reader.readexactly(int.from_bytes(head[:3], 'little'))
            await self.flowing.wait()
            self.look(head[3], body)
            self.server.write(head + body)
            await self.server.drain()

    def look(self, number: int, body: bytes) -> None:
        """Decides whether the answer to this packet is to be lost."""
        if number != 0 or not body:
            return
        statement = None
        if body[0] == QUERY:
            statement = body[1:]
        elif body[0] == PREPARE:
            self.prepared = body[1:]
        elif body[0] == EXECUTE:
            statement = self.statements.get(struct.unpack_from('<I', body, 1)[0])
        if statement and self.proxy.loses(statement):
            self.losing = True

    async def answers(self, reader: asyncio.StreamReader) -> None:
        """From the server to the service."""
        while data := await reader.read(65536):
            await self.flowing.wait()
            if self.losing:
                self.proxy.lost += 1
                return
            if self.prepared is not None and len(data) >= 9 and data[4] == 0:
                self.statements[struct.unpack_from('<I', data, 5)[0]] = self.prepared
                self.prepared = None
            self.writer.write(data)
            await self.writer.drain()

    def reset(self) -> None:
        """Closes the service's side with a reset."""
        connection = self.writer.get_extra_info('socket')
        if connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.close()

    def close(self) -> None:
        """Closes both sides."""
        self.proxy.links.discard(self)
        self.writer.close()
        if self.server:
            self.server.close()


class Proxy:
    """All connections, and the fault that they have."""

    def __init__(self, server_port: int) -> None:
        self.server_port = server_port
        self.links: set[Link] = set()
        self.open_flow = True
        self.percent, self.words, self.lost = 0.0, (b'',), 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        link = Link(self, reader, writer)
        self.links.add(link)
        try:
            await link.run()
        except (OSError, asyncio.IncompleteReadError):
            link.close()

    def loses(self, statement: bytes) -> bool:
        """Whether the answer to this statement is to be lost."""
        return (self.percent > 0 and statement.lstrip()[:20].upper().startswith(self.words)
                and random.random() * 100 < self.percent)

    def do(self, command: list[str]) -> str:
        """Carries out a command."""
        name = command[0]
        if name == 'pass':
            self.open_flow, self.percent = True, 0.0
            for link in self.links:
                link.flowing.set()
        elif name == 'blackhole':
            self.open_flow = False
            for link in self.links:
                link.flowing.clear()
        elif name == 'silence':
            for link in random.sample(sorted(self.links, key=id), min(int(command[1]), len(self.links))):
                link.flowing.clear()
        elif name == 'lose':
            self.percent, self.words = float(command[1]), tuple(word.upper().encode() for word in command[2:])
        elif name == 'reset':
            for link in list(self.links):
                link.reset()
        elif name != 'count':
            return 'unknown command'
        return '%d %d' % (len(self.links), self.lost)


async def main() -> None:
    """Listens, and obeys until standard input ends."""
    proxy = Proxy(int(sys.argv[2]))
    server = await asyncio.start_server(proxy.accept, '127.0.0.1', int(sys.argv[1]))
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    print('ready', flush=True)
    while line := await lines.readline():
        print(proxy.do(line.decode().split()), flush=True)
    server.close()


if __name__ == '__main__':
    asyncio.run(main())
